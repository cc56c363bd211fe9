// @ts-check
/** A small chart over time: bars or lines, axes, a reading under the pointer, and a table that says the same. */
import { fill, h, svg } from "../dom.js";
import { table } from "./table.js";

const HEIGHT = 150;
const LEFT = 64;
const BELOW = 20;
const ABOVE = 8;
const LABEL_EVERY_PX = 90;

let made = 0;

/**
 * `title`; `kind`: "bars" or "line"; `series`: [{name, tone, of: point => number | null}], bars: the first only;
 * `format`: number → text; `least`: the smallest top of the axis; `most`: the top, if it is fixed. Answers an element
 * with `.update(points)`: each has `at` (ISO time); null is drawn as a gap.
 */
export function chart({ title, kind, series, format = String, least = 1, most }) {
  const id = `chart-${(made += 1)}`;
  const reading = h("p", { class: "graph-reading quiet small" });
  const place = h("div", { class: "graph-place" });
  const rows = table({
    caption: title,
    rows: [],
    key: ({ at }) => at,
    columns: [
      { title: "Time", of: ({ at }) => clock(at) },
      ...series.map((one) => ({ title: one.name, of: (point) => shown(one.of(point), format), numeric: true })),
    ],
  });
  const details = /** @type {HTMLDetailsElement} */ (
    h("details", { class: "graph-table" }, h("summary", "As a table"), rows)
  );
  const legend =
    series.length > 1 &&
    h(
      "ul",
      { class: "legend" },
      series.map(({ name, tone }) => h("li", { data: { tone } }, name)),
    );
  const element = h(
    "figure",
    { class: "graph" },
    h("figcaption", h("h3", { id }, title), legend || null, reading),
    place,
    details,
  );
  let points = [];
  let at = null;

  function update(now) {
    points = now;
    draw();
    if (details.open) rows.update([...points].reverse());
  }

  function draw() {
    const width = Math.max(220, Math.floor(place.clientWidth) || 480);
    const sketch = layout(points, series, width, least, most);
    const drawing = kind === "bars" ? bars(sketch, points, series[0]) : lines(sketch, points, series);
    const name = summary(title, points, series, format);
    const props = { class: "graph-svg", role: "img", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}` };
    fill(place, svg("svg", { ...props, aria: { label: name } }, axes(sketch, points, format), drawing, cursor(sketch)));
    read();
  }

  function cursor({ x, bottom }) {
    return at !== null && svg("line", { class: "graph-cursor", x1: x(at), x2: x(at), y1: ABOVE, y2: bottom });
  }

  /** What stands at the pointer, else the last of it. */
  function read() {
    const point = points[at ?? points.length - 1];
    if (!point) return fill(reading);
    const said = series.map((one) => `${series.length > 1 ? `${one.name} ` : ""}${shown(one.of(point), format)}`);
    return fill(reading, `${clock(point.at)} · ${said.join(" · ")}`);
  }

  function point(event) {
    const box = place.getBoundingClientRect();
    const share = (event.clientX - box.left - LEFT) / Math.max(1, box.width - LEFT);
    const found = Math.max(0, Math.min(points.length - 1, Math.floor(share * points.length)));
    if (found !== at && points.length) draw((at = found));
  }

  place.addEventListener("pointermove", point);
  place.addEventListener("pointerleave", () => draw((at = null)));
  details.addEventListener("toggle", () => details.open && rows.update([...points].reverse()));
  new ResizeObserver(() => draw()).observe(place);
  return Object.assign(element, { update });
}

function layout(points, series, width, least, most) {
  const values = points.flatMap((point) => series.map((one) => one.of(point) ?? 0));
  const top = most ?? round(Math.max(least, ...values));
  const bottom = HEIGHT - BELOW;
  const step = (width - LEFT) / Math.max(1, points.length);
  return {
    top,
    bottom,
    step,
    width,
    x: (at) => LEFT + (at + 0.5) * step,
    y: (value) => bottom - (Math.min(value, top) / top) * (bottom - ABOVE),
  };
}

/** The next 1, 2 or 5 times a power of ten. */
function round(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= value * 0.999) ?? value;
}

function axes({ top, bottom, step, width, x, y }, points, format) {
  const levels = [0, top / 2, top].map((value) => [
    svg("line", { class: "graph-level", x1: LEFT, x2: width, y1: y(value), y2: y(value) }),
    svg("text", { class: "graph-text", x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, format(value)),
  ]);
  const every = Math.max(5, Math.ceil(LABEL_EVERY_PX / step / 5) * 5);
  const times = points.map((point, at) => {
    if (new Date(point.at).getMinutes() % every || x(at) < LEFT + 14 || x(at) > width - 16) return null;
    return svg("text", { class: "graph-text", x: x(at), y: bottom + 15, "text-anchor": "middle" }, clock(point.at));
  });
  return [levels, times];
}

function bars({ bottom, step, x, y }, points, one) {
  const width = Math.max(1, step * 0.72);
  return points.map((point, at) => {
    const value = one.of(point);
    if (!value) return null;
    const top = Math.min(y(value), bottom - 1.5);
    const props = { x: x(at) - width / 2, y: top, width, height: bottom - top, rx: Math.min(2, width / 2) };
    return svg("rect", { class: "graph-bar", data: { tone: one.tone }, ...props });
  });
}

function lines({ x, y }, points, series) {
  return series.map((one) => {
    const runs = [[]];
    points.forEach((point, at) => {
      const value = one.of(point);
      if (value === null || value === undefined) runs.push([]);
      else runs.at(-1).push([x(at), y(value)]);
    });
    return runs.filter((run) => run.length).map((run) => stroke(run, one.tone));
  });
}

function stroke(run, tone) {
  const [[x, y]] = run;
  if (run.length === 1) return svg("circle", { class: "graph-dot", data: { tone }, cx: x, cy: y, r: 2.5 });
  const points = run.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(" ");
  return svg("polyline", { class: "graph-line", data: { tone }, points });
}

function summary(title, points, series, format) {
  if (!points.length) return `${title}: nothing yet`;
  const said = series.map((one) => {
    const values = points.map((point) => one.of(point)).filter((value) => value !== null && value !== undefined);
    const name = series.length > 1 ? `${one.name}: ` : "";
    if (!values.length) return `${name}nothing measured`;
    return `${name}now ${shown(one.of(points.at(-1)), format)}, at most ${shown(Math.max(...values), format)}`;
  });
  return `${title}, ${clock(points[0].at)} to ${clock(points.at(-1).at)}. ${said.join("; ")}`;
}

function shown(value, format) {
  return value === null || value === undefined ? "–" : format(value);
}

function clock(iso) {
  return new Date(iso).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}
