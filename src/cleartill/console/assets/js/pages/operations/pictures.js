// @ts-check
/** The last half hour, minute by minute. */
import { h } from "../../dom.js";
import { count, duration, percent } from "../../format.js";
import { chart } from "../../parts/chart.js";
import { section } from "./parts.js";

/** {element, update(data)} */
export function pictures() {
  const charts = [
    chart({
      title: "Payments a minute",
      kind: "bars",
      format: count,
      least: 5,
      series: [{ name: "Payments", tone: "accent", of: (minute) => minute.payments }],
    }),
    chart({
      title: "Authorization rate",
      kind: "line",
      format: percent,
      most: 1,
      series: [{ name: "Approved", tone: "good", of: (minute) => minute.authorization_rate }],
    }),
    chart({
      title: "Time of payments, p95",
      kind: "line",
      format: (ms) => (ms ? duration(ms) : "0"),
      least: 10,
      series: [
        { name: "total", tone: "going", of: (minute) => minute.p95_ms },
        { name: "own", tone: "accent", of: (minute) => minute.own_p95_ms },
      ],
    }),
    chart({
      title: "Requests answered 5xx, a minute",
      kind: "bars",
      format: count,
      least: 5,
      series: [{ name: "5xx", tone: "bad", of: (minute) => minute.errors }],
    }),
  ];
  const hint = h(
    "p",
    { class: "quiet small" },
    "The minute that is under way is last. Times are known as far back as the window above goes.",
  );
  const element = section("pictures", "The last half hour", h("div", { class: "graphs" }, charts), hint);
  return { element, update: ({ minutes }) => charts.forEach((one) => one.update(minutes)) };
}
