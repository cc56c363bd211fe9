// @ts-check
/** The form of a webhook endpoint, and how its state is told. */
import { api } from "../../api.js";
import { h } from "../../dom.js";
import { badge } from "../../parts/badge.js";
import { dialog } from "../../parts/dialog.js";
import { field } from "../../parts/field.js";

const WHY = {
  gone: "its receiver answered 410 Gone",
  failing: "nothing but failures for five days",
  by_hand: "by hand",
};
const SHOWN = 3;

/** Why an endpoint is disabled, in words; "" if it is not. */
export function whyDisabled(endpoint) {
  return endpoint.status === "disabled" ? (WHY[endpoint.disabled_reason] ?? "") : "";
}

/** Enabled, failing or disabled, as a badge; the reason as its text. */
export function stateOf(endpoint) {
  if (endpoint.status === "disabled")
    return badge("disabled", {
      tone: endpoint.disabled_reason === "by_hand" ? "calm" : "bad",
      text: `disabled: ${whyDisabled(endpoint)}`,
    });
  return endpoint.failing_since ? badge("failing", { tone: "doubt" }) : badge("enabled");
}

/** What it wants to hear of: "everything", or the types, the first few of many. */
export function eventsOf(endpoint, most = SHOWN) {
  if (!endpoint.event_types.length) return h("span", "everything");
  const shown = endpoint.event_types.slice(0, most);
  const left = endpoint.event_types.length - shown.length;
  return h(
    "ul",
    { class: "chips", aria: { label: "Event types" } },
    shown.map((type) => h("li", type)),
    left > 0 && h("li", `and ${left} more`),
  );
}

/** Ask for an endpoint's URL, events and note. `send(body)` is done with them. Resolves to its answer, or undefined. */
export async function askEndpoint({ title, yes, send, endpoint = null }) {
  const types = await api
    .get("/api/v1/event-types")
    .then((found) => found.data ?? found)
    .catch(() => []);
  const url = field({
    label: "URL",
    name: "url",
    type: "url",
    required: true,
    value: endpoint?.url,
    maxlength: 2048,
    placeholder: "https://shop.example/webhooks",
    hint: "https and a public address; for local work http://127.0.0.1 too, where that is allowed.",
  });
  const note = field({
    label: "Note",
    name: "description",
    value: endpoint?.description,
    maxlength: 200,
    hint: "For people: which server this is.",
  });
  const chosen = choice(
    types.map(({ type }) => type),
    endpoint?.event_types ?? [],
  );
  const form = h("form", { class: "fields", novalidate: true }, url.element, note.element, chosen.element);

  async function run() {
    url.error(url.input.value.trim() ? "" : "Give the address that events are sent to.");
    if (!url.input.value.trim()) return (url.input.focus(), false);
    const event_types = chosen.picked();
    if (!event_types) return false;
    return send({ url: url.input.value.trim(), event_types, description: note.input.value.trim() || null });
  }

  const asked = dialog({ title, body: form, actions: [{ label: yes, kind: "primary", run }] });
  asked.element.classList.add("wide");
  return asked.closed;
}

/** Everything, or some types. `picked()`: the types, [] for everything; null if some is chosen and none is ticked. */
function choice(types, before) {
  const offered = [...new Set([...types, ...before])].filter((type) => type !== "webhook_endpoint.test").sort();
  const all = radio("Everything, also what will be added later", !before.length);
  const some = radio("Only these", before.length > 0);
  const missing = h("p", { class: "field-error", role: "alert", hidden: true }, "Choose at least one type of event.");
  const boxes = offered.map((type) =>
    field({ label: h("code", type), name: `event ${type}`, type: "checkbox", value: before.includes(type) }),
  );
  const list = h(
    "div",
    { class: "choice-list", hidden: !before.length },
    boxes.map(({ element }) => element),
  );
  const told = () => ((list.hidden = all.input.checked), (missing.hidden = true));
  for (const { input } of [all, some]) input.addEventListener("change", told);
  const picked = () => {
    if (all.input.checked) return [];
    const found = offered.filter((_, at) => /** @type {any} */ (boxes[at].input).checked);
    missing.hidden = found.length > 0;
    return found.length ? found : null;
  };
  const element = h("fieldset", { class: "choices" }, h("legend", "Events"), all.element, some.element, list, missing);
  return { element, picked };
}

let made = 0;

function radio(label, checked) {
  const id = `events-${(made += 1)}`;
  const input = /** @type {HTMLInputElement} */ (h("input", { type: "radio", name: "events", id, checked }));
  return { element: h("div", { class: "field field-check" }, input, h("label", { for: id }, label)), input };
}
