// @ts-check
/** Rows on a time axis, each with its bar; a row opens to tell more. */
import { fill, h } from "../dom.js";
import { duration } from "../format.js";
import { axis } from "./axis.js";
import { details } from "./hop_details.js";
import { seen } from "./story.js";

const KINDS = {
  own: "our work",
  commit: "commit",
  bank: "the bank’s time",
  kafka: "event to Kafka",
  webhook: "webhook",
  left: "time left out",
};
const POINTS = new Set(["event", "kafka"]);
const AROUND = new Set(["attempt", "doubt"]);

/**
 * An ordered list of what happened. `.update(rows, nowMs)` takes the rows of `story`: what did not change stays as it
 * is, open rows stay open and focus stays where it is. `providerName`: whose time the bank's is.
 */
export function waterfall(providerName = "the bank") {
  const ticks = h("div", { class: "tl-axis-ticks" });
  const list = h("ol", { class: "tl-hops", aria: { label: "What happened, in order of time" } });
  const element = h(
    "div",
    { class: "tl-waterfall" },
    legend(providerName),
    h("div", { class: "tl-axis", aria: { hidden: true } }, ticks),
    list,
  );
  let drawn = new Map();

  function update(rows, nowMs = Date.now()) {
    if (!rows.length) return;
    const scale = axis(seen(rows, nowMs));
    const next = new Map();
    const items = [];
    let stretch = 0;
    for (const row of rows) {
      while (scale.stretches[stretch + 1] && row.startMs >= scale.stretches[stretch + 1].startMs - 0.001) {
        items.push(keep(`gap ${stretch}`, scale.breaks[stretch].ms, drawGap));
        stretch += 1;
      }
      const item = keep(row.key, { row, fromMs: scale.fromMs }, drawRow);
      place(item, row, scale);
      items.push(item);
    }
    for (let last = stretch; last < scale.breaks.length; last += 1) {
      items.push(keep(`gap ${last}`, { untilNow: scale.breaks[last].ms }, drawGap));
    }
    arrange(list, items);
    fill(ticks, drawTicks(scale.ticks));
    list.style.setProperty("--grid", grid(scale));
    drawn = next;

    function keep(key, told, draw) {
      const signature = JSON.stringify(told, (name, value) => (name === "endMs" && told.row?.open ? null : value));
      const old = drawn.get(key);
      if (old?.signature === signature) {
        next.set(key, old);
        return old.item;
      }
      const item = draw(told);
      const was = old?.item.querySelector("details");
      if (was?.open) item.querySelector("details")?.setAttribute("open", "");
      const focused = old?.item.contains(document.activeElement);
      if (focused) queueMicrotask(() => item.querySelector("summary")?.focus({ preventScroll: true }));
      next.set(key, { signature, item });
      return item;
    }
  }

  return Object.assign(element, { update });
}

function legend(providerName) {
  const said = { ...KINDS, bank: providerName === "the bank" ? KINDS.bank : `${providerName}’s time` };
  return h(
    "ul",
    { class: "tl-legend", aria: { label: "Colours" } },
    Object.entries(said).map(([kind, text]) => h("li", { data: { kind } }, text)),
  );
}

function arrange(list, items) {
  if (items.length === list.children.length && items.every((item, at) => list.children[at] === item)) return;
  items.forEach((item, at) => {
    if (list.children[at] !== item) list.insertBefore(item, list.children[at] ?? null);
  });
  while (list.children.length > items.length) list.lastElementChild?.remove();
}

function drawRow({ row, fromMs }) {
  const { kind, tone, title, note, open } = row;
  const mono = kind === "event" || kind === "kafka" || kind === "webhook";
  return h(
    "li",
    { class: "tl-hop", data: { kind, tone, open: open || null, code: row.code } },
    h(
      "details",
      h(
        "summary",
        h(
          "span",
          { class: "tl-hop-name" },
          h("span", { class: mono && "mono" }, title),
          note && [h("span", { class: "unseen" }, ","), " ", h("span", { class: "tl-hop-note" }, note)],
        ),
        h("span", { class: "tl-track", aria: { hidden: true } }, marks(row)),
        h("span", { class: "tl-hop-took" }, took(row, fromMs)),
      ),
      details(row, fromMs),
    ),
  );
}

function marks(row) {
  return [
    row.wait && h("span", { class: "tl-wait" }),
    POINTS.has(row.kind)
      ? h("span", { class: "tl-point" })
      : h("span", { class: AROUND.has(row.kind) ? "tl-around" : "tl-bar" }),
    row.inner && h("span", { class: "tl-inner" }),
  ];
}

/** What took its time tells how long, what is a moment tells when. */
function took(row, fromMs) {
  if (row.open) return [h("span", { class: "unseen" }, "still "), "open"];
  if (POINTS.has(row.kind)) return h("span", { class: "quiet" }, `+${duration(row.startMs - fromMs)}`);
  return brief(row.endMs - row.startMs);
}

function brief(ms) {
  return ms < 0.095 ? `${Math.round(ms * 1000)} µs` : duration(ms);
}

function place(item, row, scale) {
  const set = (mark, span) => {
    const from = scale.place(span.startMs);
    const to = span.open ? 100 : scale.place(span.endMs);
    mark?.style.setProperty("--x", from.toFixed(3));
    mark?.style.setProperty("--w", Math.max(0, to - from).toFixed(3));
  };
  set(item.querySelector(".tl-bar, .tl-around, .tl-point"), row);
  if (row.wait) set(item.querySelector(".tl-wait"), row.wait);
  if (row.inner) set(item.querySelector(".tl-inner"), row.inner);
}

function drawGap(told) {
  const text = typeof told === "number" ? `${duration(told)} later` : `${duration(told.untilNow)} until now`;
  return h("li", { class: "tl-gap" }, h("span", text));
}

/** A time that would read like the one before it is left out. */
function drawTicks(ticks) {
  const texts = ticks.map(({ ms }) => (ms === 0 ? "0" : `+${duration(ms)}`));
  return ticks.map(({ at }, nth) => {
    const tick = h("span", texts[nth] === texts[nth - 1] ? "" : texts[nth]);
    tick.style.setProperty("--x", at.toFixed(3));
    return tick;
  });
}

/** Lines at the ticks and bands at the breaks, as one background for all tracks. */
function grid({ ticks, breaks }) {
  const lines = ticks
    .filter(({ ms }) => ms > 0)
    .map(({ at }) => [at, `calc(${at}% - 0.5px)`, `calc(${at}% + 0.5px)`, "var(--tick)"]);
  const bands = breaks.map(({ from, to }) => [from, `${from}%`, `${to}%`, "var(--band)"]);
  const stops = [...lines, ...bands]
    .sort((one, other) => Number(one[0]) - Number(other[0]))
    .flatMap(([, from, to, colour]) => [
      `transparent ${from}`,
      `${colour} ${from}`,
      `${colour} ${to}`,
      `transparent ${to}`,
    ]);
  return stops.length ? `linear-gradient(90deg, ${stops.join(", ")})` : "none";
}
