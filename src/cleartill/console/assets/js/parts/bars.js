// @ts-check
/** A bar in a table: how much, of the most there is. Decoration; the figure stands beside it. */
import { svg } from "../dom.js";

/**
 * `parts`: [{value, tone}], drawn over one another, the first in front; `most`: what the full width stands for. Values
 * are of any unit, the same for all.
 */
export function bar(parts, most) {
  const share = (value) => `${Math.max(0, Math.min(100, (100 * (value ?? 0)) / (most || 1))).toFixed(2)}%`;
  return svg(
    "svg",
    { class: "bar", aria: { hidden: true }, focusable: "false" },
    svg("rect", { class: "bar-ground", width: "100%", height: "100%", rx: 3 }),
    [...parts]
      .reverse()
      .map(({ value, tone }) =>
        svg("rect", { class: "bar-part", data: { tone }, width: share(value), height: "100%", rx: 3 }),
      ),
  );
}
