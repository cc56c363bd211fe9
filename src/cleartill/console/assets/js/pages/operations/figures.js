// @ts-check
/** The figures of the window: how many payments, how many of them approved, how fast, what was refused. */
import { fill, h } from "../../dom.js";
import { count, duration, money, percent, words } from "../../format.js";
import { section, stat } from "./parts.js";

const REFUSALS = {
  unauthorized: "Refused: no valid key",
  rate_limited: "Refused: too many requests",
  idempotency_replayed: "Repeats that got the first answer",
  idempotency_conflict: "Idempotency keys used with another body",
  idempotency_in_progress: "Repeats while the first one ran",
  books_conflict: "Steps that another one overtook",
  books_unavailable: "Not recorded: database away",
  invariant_breaches: "What must never happen",
};

/** {element, update(data)} */
export function figures() {
  const tiles = h("div", { class: "readings" });
  const outcomes = h("div", { class: "columns" });
  const element = section("figures", "Payments", tiles, h("details", h("summary", "Outcomes and refusals"), outcomes));

  function update({ payments, latency, http }) {
    fill(
      tiles,
      stat("Authorization rate", percent(payments.authorization_rate), "of those decided"),
      stat("Payments", `${rate(payments.per_s)} / s`, `${count(payments.count)} in the window`),
      stat(
        "Own time, p99",
        duration(latency.own.p99_ms),
        spread(latency.own),
      ),
      stat(
        "Total time, p99",
        duration(latency.total.p99_ms),
        spread(latency.total),
      ),
      stat("Requests", `${rate(http.per_s)} / s`, `p99 ${duration(latency.http.p99_ms)}`),
      stat(
        "Captured",
        payments.captured.length ? h("span", { class: "sums" }, payments.captured.map(sum)) : "–",
        "in the window",
      ),
    );
  }

  return { element, update: (data) => (update(data), drawOutcomes(outcomes, data)) };
}

function drawOutcomes(place, { payments, http, refusals }) {
  fill(
    place,
    tally("Payments by outcome", payments.by_status),
    tally("Declines by category", payments.declined_by_category),
    tally("Payments by provider", payments.by_provider),
    tally("Answers by class", http.by_class),
    h(
      "div",
      { id: "refusals" },
      tally("Refusals and repeats", refusals, (name) => REFUSALS[name] ?? words(name)),
    ),
  );
}

function tally(title, counts, named = words) {
  const rows = Object.entries(counts);
  const drawn = rows.length
    ? h(
        "dl",
        { class: "tally" },
        rows.map(([name, n]) => [h("dt", named(name)), h("dd", count(n))]),
      )
    : h("p", { class: "quiet" }, "None.");
  return h("div", h("h3", title), drawn);
}

function sum({ amount_minor, currency }) {
  return h("span", money(amount_minor, currency));
}

function rate(perS) {
  return perS >= 100 ? count(Math.round(perS)) : perS.toFixed(perS >= 10 ? 1 : 2);
}

/** Each figure stays on one line with its unit. */
function spread({ p50_ms, p95_ms }) {
  const figures = [`p50 ${duration(p50_ms)} ·`, `p95 ${duration(p95_ms)}`];
  return figures.map((one) => one.replaceAll(" ", "\u00a0")).join(" ");
}
