// @ts-check
/** A small picture of the last hours: captured and declined payments, hour by hour; and the same as a table. */
import { h, svg } from "../dom.js";
import { count } from "../format.js";
import { table } from "./table.js";

const WIDTH = 960;
const HEIGHT = 200;
const GAP_SHARE = 0.28;
const MARKS = 5;

/**
 * `hours`: [{at, captured, declined}], oldest first, `at` as ISO text. The bars share one scale that begins at zero.
 */
export function hourBars(hours) {
  const most = Math.max(1, ...hours.map((hour) => hour.captured + hour.declined));
  const step = WIDTH / hours.length;
  const bars = hours.map((hour, at) => bar(hour, at * step, step, most));
  const middle = svg("line", { class: "chart-line", x1: 0, x2: WIDTH, y1: HEIGHT / 2, y2: HEIGHT / 2 });
  const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" };
  const picture = svg("svg", { ...box, aria: { label: summary(hours) } }, most > 1 && middle, bars);
  return h(
    "figure",
    { class: "chart stack" },
    h("ul", { class: "chart-legend" }, key("bar-captured", "Captured"), key("bar-declined", "Declined")),
    h(
      "div",
      { class: "chart-picture" },
      picture,
      h("span", { class: "chart-top", aria: { hidden: true } }, count(most)),
      h("div", { class: "chart-hours", aria: { hidden: true } }, marks(hours)),
    ),
    h("details", h("summary", "Show as a table"), asTable(hours)),
  );
}

function bar(hour, x, step, most) {
  const width = step * (1 - GAP_SHARE);
  const left = x + (step * GAP_SHARE) / 2;
  const high = (n) => (n / most) * (HEIGHT - 1);
  const captured = high(hour.captured);
  const declined = high(hour.declined);
  const block = (kind, y, height) => height > 0 && svg("rect", { class: kind, x: left, width, y, height });
  return svg(
    "g",
    { class: "hour" },
    svg("title", `${span(hour.at)}: ${count(hour.captured)} captured, ${count(hour.declined)} declined`),
    svg("rect", { class: "hour-back", x, width: step, y: 0, height: HEIGHT }),
    block("bar-captured", HEIGHT - captured, captured),
    block("bar-declined", HEIGHT - captured - declined, declined),
  );
}

function asTable(hours) {
  const columns = [
    { title: "Hour", of: (hour) => span(hour.at) },
    { title: "Captured", of: (hour) => count(hour.captured), numeric: true },
    { title: "Declined", of: (hour) => count(hour.declined), numeric: true },
  ];
  return table({ caption: "Payments by hour", columns, rows: [...hours].reverse(), key: (hour) => hour.at });
}

function summary(hours) {
  const sum = (what) => hours.reduce((total, hour) => total + hour[what], 0);
  return `${count(sum("captured"))} payments captured and ${count(sum("declined"))} declined, hour by hour`;
}

function marks(hours) {
  const at = (part) => hours[Math.round((part * (hours.length - 1)) / (MARKS - 1))].at;
  return Array.from({ length: MARKS }, (_, part) => h("span", part === MARKS - 1 ? "now" : clock(at(part))));
}

function key(kind, text) {
  const shape = svg(
    "svg",
    { viewBox: "0 0 10 10", aria: { hidden: true } },
    svg("rect", { class: kind, width: 10, height: 10, rx: 2 }),
  );
  return h("li", shape, text);
}

function span(iso) {
  const end = new Date(new Date(iso).getTime() + 3_600_000);
  return `${clock(iso)} to ${clock(end)}`;
}

function clock(iso) {
  return new Date(iso).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}
