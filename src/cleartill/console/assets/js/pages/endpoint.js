// @ts-check
/** One webhook endpoint: how it is, what was told to it, and what can be done with it. */
import { api, can } from "../api.js";
import { fill, h } from "../dom.js";
import { exact, shortId, when } from "../format.js";
import { badge } from "../parts/badge.js";
import { confirm } from "../parts/dialog.js";
import { empty } from "../parts/empty.js";
import { failure } from "../parts/failure.js";
import { field } from "../parts/field.js";
import { pager } from "../parts/pager.js";
import { showSecret } from "../parts/secret.js";
import { skeleton } from "../parts/skeleton.js";
import { table } from "../parts/table.js";
import { toast } from "../parts/toast.js";
import { poll } from "../poll.js";
import { go, link, query, setQuery } from "../router.js";
import { askEndpoint, eventsOf, stateOf, whyDisabled } from "./developers/endpoint_form.js";
import { SIGNED } from "./developers/webhooks.js";

export const title = "Webhook endpoint";

const LIMIT = 20;
const EVERY_MS = 5_000;

export async function show(main, { params, signal }) {
  const path = `/api/v1/webhook-endpoints/${encodeURIComponent(params.id)}`;
  const heading = h("h1", { class: "breaks" }, title);
  const state = h("div");
  const head = h("div", { class: "page-head" }, h("div", crumbs(), heading), state);
  const about = h("div", skeleton(4));
  fill(main, head, about);
  let endpoint = await api.get(path, {}, { signal });
  const list = deliveries(path, signal);
  const draw = (now) => {
    endpoint = now;
    document.title = `${endpoint.url} · Webhook endpoint · cleartill`;
    fill(heading, endpoint.url);
    fill(state, stateOf(endpoint));
    fill(about, facts(endpoint, can("account:write") && actions()));
  };

  function actions() {
    const enabled = endpoint.status === "enabled";
    const button = (label, act, kind = "", data = {}) =>
      h("button", { type: "button", class: kind, data, on: { click: act } }, label);
    const enable = () => change({ enabled: true }, "It is enabled.");
    return h(
      "div",
      { class: "row" },
      button("Send test", test, enabled ? "primary" : ""),
      button("Edit", edit),
      enabled
        ? button("Disable", disable, "", { switch: true })
        : button("Enable", enable, "primary", { switch: true }),
      button("Rotate secret", rotate),
      button("Delete", remove, "danger"),
    );
  }

  async function change(changes, said) {
    await tell(async () => {
      draw(await api.patch(path, changes));
      /** @type {HTMLElement | null} */ (about.querySelector("[data-switch]"))?.focus();
      toast(said, { kind: "good" });
    });
  }

  async function test() {
    await tell(async () => {
      const sent = await api.post(`${path}/test`, {});
      toast("A test is on its way.", { kind: "good" });
      go(`/console/developers/deliveries/${encodeURIComponent(sent.id)}`);
    });
  }

  async function edit() {
    const send = (body) => api.patch(path, body);
    const changed = await askEndpoint({ title: "Edit the endpoint", yes: "Save", send, endpoint });
    if (changed) draw(changed);
  }

  async function disable() {
    const body =
      "Nothing is sent there while it is disabled, and what happens meanwhile is not made up for. " +
      "What waits now is sent once it is enabled again.";
    if (await confirm({ title: "Disable this endpoint?", body, yes: "Disable" }))
      await change({ enabled: false }, "It is disabled.");
  }

  async function rotate() {
    const body =
      "A new secret signs from now on. For 24 hours the old one signs beside it, so that your server can be changed " +
      "over without missing anything.";
    if (!(await confirm({ title: "Rotate the signing secret?", body, yes: "Rotate secret" }))) return;
    await tell(async () => {
      const rotated = await api.post(`${path}/rotate-secret`, {});
      draw(rotated);
      await showSecret({
        title: "The new signing secret",
        what: "Signing secret",
        secret: rotated.secret,
        more: SIGNED,
      });
    });
  }

  async function remove() {
    const body = h(
      "p",
      "Nothing is sent to ",
      h("code", endpoint.url),
      " any more, not even what waits. This cannot be undone.",
    );
    if (!(await confirm({ title: "Delete this endpoint?", body, yes: "Delete endpoint", danger: true }))) return;
    await tell(async () => {
      await api.delete(path);
      toast("The endpoint is deleted.", { kind: "good" });
      go("/console/developers?tab=webhooks");
    });
  }

  draw(endpoint);
  fill(main, head, about, list);
}

/** Do it, and say so if it failed; a session that ended has been told of already. */
async function tell(act) {
  try {
    await act();
  } catch (problem) {
    if (problem.status !== 401) toast(problem.message, { kind: "bad" });
  }
}

function crumbs() {
  return h("p", { class: "crumbs" }, link("/console/developers?tab=webhooks", "Webhooks"));
}

function facts(endpoint, actions) {
  const rows = [
    ["Hears of", eventsOf(endpoint, 50)],
    ["Note", endpoint.description ?? h("span", { class: "quiet" }, "none")],
    ["Created", when(endpoint.created_at)],
    ["Id", h("code", endpoint.id)],
  ];
  if (endpoint.old_secret_until)
    rows.push(["Old secret", `signs beside the new one until ${exact(endpoint.old_secret_until)}`]);
  return h(
    "div",
    { class: "card" },
    endpoint.status === "disabled" &&
      note(
        "bad",
        "Disabled",
        endpoint.disabled_at,
        ` – ${whyDisabled(endpoint)}. Nothing is sent there until it is enabled again.`,
      ),
    endpoint.status === "enabled" &&
      endpoint.failing_since &&
      note("doubt", "Nothing but failures since", endpoint.failing_since, ". After five days of them it is disabled."),
    h(
      "dl",
      { class: "facts" },
      rows.map(([name, value]) => [h("dt", name), h("dd", value)]),
    ),
    actions,
  );
}

function note(kind, words, at, rest) {
  return h("p", { class: "note", data: { kind } }, `${words} `, when(at), rest);
}

/** Its deliveries: filtered, paged by cursor, kept current while the first page is shown. */
function deliveries(path, signal) {
  const before = [];
  let cursor = query().get("cursor") ?? "";
  let ends = new AbortController();
  const status = field({
    label: "Status",
    name: "status",
    type: "select",
    value: query().get("status") ?? "",
    options: [
      ["", "Any"],
      ["pending", "pending"],
      ["delivered", "delivered"],
      ["failed", "failed"],
    ],
  });
  status.element.querySelector(".optional")?.remove();
  const place = h("div", skeleton(4));
  const turning = h("div");
  let shown = null;

  status.input.addEventListener("change", () => {
    before.length = 0;
    turn("");
  });

  function turn(to) {
    cursor = to;
    setQuery({ status: status.input.value, cursor });
    watch();
  }

  function watch() {
    ends.abort();
    ends = new AbortController();
    const both = AbortSignal.any([signal, ends.signal]);
    const asked = { status: status.input.value, limit: LIMIT, cursor };
    shown = null;
    const fn = () => api.get(`${path}/deliveries`, asked, { signal: both });
    const until = (page) => (draw(page), Boolean(cursor));
    void poll(fn, {
      everyMs: EVERY_MS,
      signal: both,
      until,
      onError: (problem) => problem && !shown && failed(problem),
    });
  }

  function failed(problem) {
    fill(place, failure(problem, cursor ? () => turn("") : watch));
    fill(turning);
  }

  function draw(page) {
    if (shown) shown.update(page.data);
    else fill(place, (shown = listed(page.data, Boolean(status.input.value))));
    const next = page.next_cursor ? () => (before.push(cursor), turn(page.next_cursor)) : null;
    const previous = cursor ? () => turn(before.pop() ?? "") : null;
    fill(turning, pager({ next, previous }));
  }

  watch();
  const head = h(
    "div",
    { class: "card-head" },
    h("h2", "Deliveries"),
    h("form", { class: "one-filter" }, status.element),
  );
  head.querySelector("form")?.addEventListener("submit", (event) => event.preventDefault());
  return h("section", { class: "card" }, head, h("div", { class: "dense" }, place), turning);
}

function listed(rows, filtered) {
  return table({
    caption: "Deliveries, the newest event first",
    rows,
    rowLink: (row) => `/console/developers/deliveries/${encodeURIComponent(row.id)}`,
    empty: filtered
      ? empty("None in this state", "Choose another status to see the others.")
      : empty("Nothing was told yet", "It hears of what happens from now on. Send a test to try it."),
    columns: [
      { title: "Event", of: (row) => h("code", row.event_type) },
      { title: "About", of: (row) => h("code", { title: row.subject }, shortId(row.subject)) },
      { title: "Status", of: (row) => badge(row.status), lead: true },
      { title: "Tries", of: (row) => String(row.attempts), numeric: true },
      { title: "Made", of: (row) => when(row.created_at) },
      { title: "Heard, or next try", of: (row) => when(row.delivered_at ?? row.next_attempt_at) },
    ],
  });
}
