// @ts-check
/** Who works in the background, and how that goes: workers, processes, reconciliation, the audit chain. */
import { fill, h } from "../../dom.js";
import { count, duration, exact, shortId, when, words } from "../../format.js";
import { badge } from "../../parts/badge.js";
import { empty } from "../../parts/empty.js";
import { table } from "../../parts/table.js";
import { ago, facts, measured, seconds, section } from "./parts.js";

const LATE_S = 60;
const MEANING = {
  publish_outbox: "events to Kafka",
  resolve: "ask what became of payments in doubt",
  expire: "release holds that have lapsed",
  fan_out: "make deliveries of events",
  execute_transfer: "take deposits and withdrawals to the bank",
  roll_up: "add entries to balances",
  seal_audit: "seal the audit log",
  anchor_audit: "tell the audit chain's head to Kafka",
  depths: "measure what waits",
  forget_minutes: "forget old figures",
  deliver_webhook: "send webhooks",
  reconcile: "compare the books with the providers'",
  purge: "let go of what is final and old",
};

/** {element, update(data)} */
export function background() {
  const workers = drawWorkers();
  const processes = drawProcesses();
  const reconciliation = h("div", { class: "stack" });
  const audit = h("div", { class: "stack" });
  const element = h(
    "div",
    { class: "sections" },
    section("workers", "Background workers", h("div", { class: "dense" }, workers)),
    section("processes", "Processes", h("div", { class: "dense" }, processes)),
    h(
      "div",
      { class: "grid" },
      section("reconciliation", "Last reconciliation", reconciliation),
      section("audit", "Audit chain", audit),
    ),
  );

  function update(data) {
    workers.update(data.workers);
    processes.update(data.processes);
    fill(reconciliation, reconciled(data.reconciliation));
    fill(audit, sealed(data.audit));
  }

  return { element, update };
}

function drawWorkers() {
  return table({
    caption: "Background workers",
    rows: [],
    key: (row) => row.name,
    empty: empty("No worker was heard of", "Start one: cleartill work."),
    columns: [
      {
        title: "Worker",
        of: (row) =>
          h(
            "span",
            { class: "hop" },
            h("code", row.name),
            MEANING[row.name] && h("span", { class: "quiet small" }, MEANING[row.name]),
          ),
      },
      { title: "State", of: stateOf, lead: true },
      { title: "Processes", of: (row) => count(row.processes), numeric: true },
      {
        title: "Last round",
        of: (row) => ago(row.last_s),
        numeric: true,
      },
      {
        title: "Rounds: done · idle · failed",
        of: ({ rounds }) => `${count(rounds.done)} · ${count(rounds.idle)} · ${count(rounds.failed)}`,
        numeric: true,
      },
      { title: "Done", of: (row) => count(row.done), numeric: true },
      { title: "Round, p95", of: (row) => duration(row.latency.p95_ms), numeric: true },
    ],
  });
}

function stateOf(row) {
  if (!row.processes) return badge("stopped", { tone: "bad", text: "nobody runs it" });
  if (row.failing) return badge("failing", { tone: "bad", text: `failed ${count(row.failing)} in a row` });
  if (row.late_s > LATE_S) return badge("late", { tone: "doubt", text: `${seconds(row.late_s)} late` });
  return badge("running", { tone: "good" });
}

function drawProcesses() {
  return table({
    caption: "Processes",
    rows: [],
    key: (row) => row.instance,
    empty: empty("No process was heard of", "They say every few seconds how it is going."),
    columns: [
      { title: "Process", of: (row) => h("code", { title: row.instance }, shortId(row.instance)) },
      { title: "Role", of: (row) => words(row.role) },
      {
        title: "Pulse",
        lead: true,
        of: (row) =>
          badge(row.alive ? "alive" : "gone", {
            tone: row.alive ? "good" : "calm",
            text: row.alive ? "alive" : "gone",
          }),
      },
      { title: "Last heard", of: (row) => ago(row.age_s), numeric: true },
      { title: "Started", of: (row) => when(row.started_at) },
    ],
  });
}

function reconciled(last) {
  if (!last) return empty("None yet", "It runs every night, or by hand: cleartill reconcile.");
  return [
    h(
      "p",
      badge(last.clean ? "matched" : "mismatched", {
        tone: last.clean ? "good" : "bad",
        text: last.clean ? "clean" : `${count(last.discrepancies)} discrepancies`,
      }),
    ),
    facts([
      ["Ended", h("span", when(last.ended_at), ` (${exact(last.ended_at)})`)],
      ["Run", `number ${count(last.run)}`],
      ["Discrepancies", `${count(last.discrepancies)}, ${count(last.new)} of them new`],
    ]),
  ];
}

function sealed(audit) {
  return [
    facts([
      ["Sealed", audit.head === null ? "–" : `${count(audit.head)} rows`],
      ["Not sealed yet", count(audit.unsealed)],
      ["Oldest of them", audit.unsealed ? seconds(audit.oldest_s) : "–"],
    ]),
    h("p", measured(audit.age_s)),
  ];
}
