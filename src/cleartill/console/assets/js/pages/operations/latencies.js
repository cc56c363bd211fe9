// @ts-check
/** Where the time goes: percentiles of the whole, and hop by hop. */
import { h } from "../../dom.js";
import { count, duration } from "../../format.js";
import { bar } from "../../parts/bars.js";
import { empty } from "../../parts/empty.js";
import { table } from "../../parts/table.js";

const WHOLE = {
  total: "Payments, from arrival to recorded outcome",
  own: "The same, less what providers took",
  http: "All requests",
};
const HOPS = {
  "vault.encrypt": "seal the card",
  "vault.decrypt": "open the card",
  "books.record": "write to the books",
  "books.batch": "the transaction of a batch",
  "books.load": "read for a decision",
  "reads.query": "read for an answer",
  "guard.wait": "wait for a place at the provider",
  "provider.call": "the provider's answer",
  "outbox.publish": "a round of the publisher",
  "kafka.produce": "an event to Kafka",
  "webhook.send": "a webhook's receiver",
};

/** {element, update(data)} */
export function latencies() {
  const whole = listed("Latency of the whole", [], "Measured");
  const hops = listed("Latency of each hop", [], "Hop");
  const legend = h(
    "ul",
    { class: "legend" },
    h("li", { data: { tone: "accent" } }, "p50"),
    h("li", { data: { tone: "half" } }, "p95"),
    h("li", { data: { tone: "faint" } }, "p99"),
  );
  const head = h("div", { class: "card-head" }, h("h2", { id: "latency-title" }, "Where the time goes"), legend);
  const element = h(
    "section",
    { class: "card dense", id: "latency", aria: { labelledby: "latency-title" } },
    head,
    whole,
    h("h3", "Hop by hop"),
    hops,
  );

  function update(data) {
    whole.update(scaled(Object.entries(WHOLE).map(([id, what]) => ({ id, what, ...data.latency[id] }))));
    hops.update(
      scaled(
        data.hops
          .map((hop) => ({ id: hop.name, what: HOPS[hop.name], ...hop }))
          .sort((one, other) => (other.p95_ms ?? 0) - (one.p95_ms ?? 0)),
      ),
    );
  }

  return { element, update };
}

/** Each with the longest of all p99, which a full bar stands for. */
function scaled(rows) {
  const most = Math.max(0, ...rows.map((row) => row.p99_ms ?? 0));
  return rows.map((row) => ({ ...row, most }));
}

function listed(caption, rows, first) {
  const name = (row) =>
    row.name
      ? h("span", { class: "hop" }, h("code", row.name), row.what && h("span", { class: "quiet small" }, row.what))
      : h("span", row.what);
  const ms = (of) => ({ title: of, of: (row) => duration(row[`${of}_ms`]), numeric: true });
  return table({
    caption,
    rows,
    empty: empty("Nothing measured in this window", "Make a payment, or choose a longer window."),
    columns: [
      { title: first, of: name },
      {
        title: "Spread",
        of: (row) =>
          bar(
            [
              { value: row.p50_ms, tone: "accent" },
              { value: row.p95_ms, tone: "half" },
              { value: row.p99_ms, tone: "faint" },
            ],
            row.most,
          ),
      },
      ms("p50"),
      ms("p95"),
      ms("p99"),
      { title: "Count", of: (row) => count(row.count), numeric: true },
    ],
  });
}
