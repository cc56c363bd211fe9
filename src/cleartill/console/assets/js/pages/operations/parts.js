// @ts-check
/** Small parts that the sections of the operations page share. */
import { h } from "../../dom.js";
import { duration } from "../../format.js";

const STALE_S = 30;

/** A section of the page. `id`: to jump to. */
export function section(id, title, ...inside) {
  return h(
    "section",
    { class: "card", id, aria: { labelledby: `${id}-title` } },
    h("h2", { id: `${id}-title` }, title),
    inside,
  );
}

/** A figure: its name, its value, and a line below. `tone`: of a value that needs a look. */
export function stat(name, value, below = null, tone = null) {
  return h(
    "div",
    { class: "stat", data: { tone } },
    h("p", { class: "quiet" }, name),
    h("p", { class: "figure" }, value),
    h("p", { class: "small quiet" }, below),
  );
}

/** Whole seconds in words, "–" for null: "4 s", "3 min 5 s", "2 h 10 min". */
export function seconds(s) {
  if (s === null || s === undefined) return "–";
  return s < 59.5 ? `${Math.round(s)} s` : duration(Math.round(s) * 1000);
}

/** How long ago something was, by its seconds: "just now", "4 s ago". */
export function ago(s) {
  if (s === null || s === undefined) return "–";
  return s < 1.5 ? "just now" : `${seconds(s)} ago`;
}

/** How old a part is, by what the API said: a word of warning once nobody measures it any more. */
export function measured(ageS) {
  if (ageS === null || ageS === undefined) return h("span", { class: "quiet small" }, "never measured");
  if (ageS > STALE_S) return h("span", { class: "stale small" }, `last measured ${ago(ageS)}`);
  return h("span", { class: "quiet small" }, `measured ${ago(ageS)}`);
}

/** A list of names and values. */
export function facts(rows) {
  return h(
    "dl",
    { class: "facts" },
    rows.filter(Boolean).map(([name, value]) => [h("dt", name), h("dd", value)]),
  );
}
