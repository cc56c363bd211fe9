// @ts-check
/** Webhook endpoints: where events are told to, how that goes, and another one. */
import { api, can } from "../../api.js";
import { fill, h } from "../../dom.js";
import { when } from "../../format.js";
import { badge } from "../../parts/badge.js";
import { empty } from "../../parts/empty.js";
import { table } from "../../parts/table.js";
import { askEndpoint, eventsOf, stateOf } from "./endpoint_form.js";
import { showSecret } from "../../parts/secret.js";
import { go } from "../../router.js";

/** `endpoints`: as listed. Their last deliveries are asked for one by one. */
export function drawWebhooks(panel, endpoints, { signal, again }) {
  const add =
    can("account:write") &&
    h("button", { type: "button", class: "primary", on: { click: () => create() } }, "Add endpoint");
  const lasts = new Map();
  const list = table({
    caption: "Webhook endpoints",
    rows: endpoints,
    rowLink: (row) => `/console/developers/webhooks/${encodeURIComponent(row.id)}`,
    empty: empty(
      "No endpoints yet",
      "Add the address of your server that wants to hear of payments, refunds and transfers.",
    ),
    columns: [
      { title: "URL", of: (row) => h("span", { class: "address breaks" }, h("code", row.url)) },
      { title: "State", of: (row) => stateOf(row) },
      { title: "Hears of", of: (row) => eventsOf(row) },
      { title: "Last delivery", of: (row) => lasts.get(row.id) ?? lastOf(row) },
      { title: "Note", of: (row) => h("span", { class: "breaks" }, row.description ?? "–") },
    ],
  });

  function lastOf(row) {
    const cell = h("span", { class: "quiet" }, "…");
    lasts.set(row.id, cell);
    void told(row, cell, signal);
    return cell;
  }

  async function create() {
    const made = await askEndpoint({
      title: "Add a webhook endpoint",
      yes: "Add endpoint",
      send: (body) => api.post("/api/v1/webhook-endpoints", body),
    });
    if (!made) return;
    await showSecret({
      title: "The endpoint's signing secret",
      what: "Signing secret",
      secret: made.secret,
      more: SIGNED,
    });
    again();
    go(`/console/developers/webhooks/${encodeURIComponent(made.id)}`);
  }

  fill(
    panel,
    h(
      "div",
      { class: "card" },
      h("div", { class: "card-head" }, h("h2", "Webhook endpoints"), add),
      h(
        "p",
        { class: "quiet" },
        "Each event is a signed POST to your server. Only a 2xx answer within 10 s counts; ",
        "what was not heard is sent again for three days.",
      ),
      list,
    ),
  );
}

/** How to check what the secret is for. */
export const SIGNED =
  "Messages carry webhook-id, webhook-timestamp and webhook-signature (Standard Webhooks): " +
  "check them with this secret before you believe them.";

async function told(endpoint, cell, signal) {
  try {
    const found = await api.get(
      `/api/v1/webhook-endpoints/${encodeURIComponent(endpoint.id)}/deliveries`,
      { limit: 1 },
      { signal },
    );
    const [last] = found.data;
    cell.className = "row";
    if (last) fill(cell, badge(last.status), when(last.delivered_at ?? last.created_at));
    else fill(cell, h("span", { class: "quiet" }, "none yet"));
  } catch (problem) {
    if (!signal.aborted) fill(cell, h("span", { class: "quiet", title: problem.message }, "not known"));
  }
}
