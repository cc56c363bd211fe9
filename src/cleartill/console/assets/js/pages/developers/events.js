// @ts-check
/** The event catalogue: every type, what it means, and what it looks like. */
import { fill, h } from "../../dom.js";
import { json } from "../../parts/code.js";
import { empty } from "../../parts/empty.js";
import { field } from "../../parts/field.js";

/** `types`: [{type, description, example}]; the example, a CloudEvent, is laid out when it is opened. */
export function drawEvents(panel, types) {
  const search = field({
    label: "Find a type",
    name: "find",
    type: "search",
    placeholder: "refund",
    autocomplete: "off",
  });
  const found = h("p", { class: "quiet small", role: "status" });
  const list = h("div", { class: "catalogue" });
  search.element.querySelector(".optional")?.remove();
  search.input.addEventListener("input", draw);

  function draw() {
    const asked = search.input.value.trim().toLowerCase();
    const fitting = types.filter(({ type, description }) => `${type} ${description}`.toLowerCase().includes(asked));
    found.textContent = asked ? `${fitting.length} of ${types.length} types` : `${types.length} types`;
    fill(
      list,
      fitting.length ? grouped(fitting) : empty("No such type", "Try a shorter word: payment, refund, deposit …"),
    );
  }

  fill(
    panel,
    h(
      "div",
      { class: "card" },
      h("div", { class: "card-head" }, h("h2", "Event catalogue"), found),
      h(
        "p",
        { class: "quiet" },
        "CloudEvents 1.0, the same on Kafka and in webhooks. Each is delivered at least once: keep its ",
        h("code", "id"),
        " to tell a repeat, and its ",
        h("code", "sequence"),
        " to tell the order.",
      ),
      search.element,
      list,
    ),
  );
  draw();
}

function grouped(types) {
  const groups = Map.groupBy?.(types, groupOf) ?? group(types);
  return [...groups].map(([name, all]) => h("section", h("h3", name), all.map(drawn)));
}

function group(types) {
  const groups = new Map();
  for (const one of types) groups.set(groupOf(one), [...(groups.get(groupOf(one)) ?? []), one]);
  return groups;
}

function groupOf({ type }) {
  const name = type.split(".")[0].replaceAll("_", " ");
  return name === "api key" ? "API key" : name.charAt(0).toUpperCase() + name.slice(1);
}

/** What stands between backquotes is code. */
function described(text) {
  return text.split("`").map((part, at) => (at % 2 ? h("code", part) : part));
}

function drawn({ type, description, example }) {
  const inside = h("div", { class: "catalogue-example" });
  const element = h(
    "details",
    { class: "catalogue-type" },
    h("summary", h("code", type), h("span", described(description))),
    inside,
  );
  element.addEventListener("toggle", () => {
    if (/** @type {HTMLDetailsElement} */ (element).open && !inside.hasChildNodes())
      fill(inside, json(example, `Example of ${type}`));
  });
  return element;
}
