// @ts-check
/** The providers and what guards them: breaker, places, answers. */
import { h } from "../../dom.js";
import { count, duration, percent, words } from "../../format.js";
import { badge } from "../../parts/badge.js";
import { empty } from "../../parts/empty.js";
import { table } from "../../parts/table.js";
import { section } from "./parts.js";

const BREAKER = {
  closed: ["good", "closed: calls go through"],
  half_open: ["doubt", "half open: a few calls try it"],
  open: ["bad", "open: nothing is sent"],
};

/** {element, update(data)} */
export function providers() {
  const list = table({
    caption: "Providers",
    rows: [],
    key: (row) => row.provider,
    empty: empty("No provider was asked yet", "They appear with the first payment."),
    columns: [
      { title: "Provider", of: (row) => h("strong", row.provider) },
      { title: "Breaker", of: breaker },
      { title: "In flight", of: (row) => count(row.inflight), numeric: true },
      { title: "Authorized", of: (row) => percent(row.authorization_rate), numeric: true },
      { title: "Answers", of: answers },
      { title: "Refused by us", of: (row) => count(row.rejected), numeric: true },
      { title: "p50", of: (row) => duration(row.latency.p50_ms), numeric: true },
      { title: "p99", of: (row) => duration(row.latency.p99_ms), numeric: true },
    ],
  });
  const element = section("providers", "Providers", h("div", { class: "dense" }, list));
  return { element, update: (data) => list.update(data.providers) };
}

function breaker(row) {
  const [tone, text] = BREAKER[row.breaker] ?? [];
  return tone ? badge(row.breaker, { tone, text }) : h("span", { class: "quiet" }, "not known");
}

function answers(row) {
  const told = Object.entries(row.calls);
  if (!told.length) return h("span", { class: "quiet" }, "none");
  return h(
    "ul",
    { class: "chips", aria: { label: "Answers" } },
    told.map(([outcome, n]) => h("li", `${count(n)} ${words(outcome)}`)),
  );
}
