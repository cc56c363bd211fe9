// @ts-check
/** What needs a look, in words, the gravest first. Nothing: that is said too. */
import { fill, h } from "../../dom.js";
import { count } from "../../format.js";
import { seconds } from "./parts.js";

const LATE_S = 60;
const DOUBT_S = 900;
const RECONCILED_S = 26 * 3600;
const FAILING = 3;

/** Of an answer of GET /api/v1/operations: [{id, kind: "bad" | "doubt", part, text}]; `part`: id of the section. */
export function concernsOf(data) {
  const all = [...ofProcesses(data), ...ofProviders(data), ...ofQueues(data), ...ofWorkers(data), ...ofBooks(data)];
  const found = all.filter(({ is }) => is);
  return found.sort((one, other) => Number(one.kind !== "bad") - Number(other.kind !== "bad"));
}

const bad = (part, id, is, text) => ({ kind: "bad", part, id, is, text });
const doubt = (part, id, is, text) => ({ kind: "doubt", part, id, is, text });

function ofProcesses({ age_s: ageS, processes, http }) {
  const working = processes.some(({ alive, role }) => alive && role === "worker");
  const errors = http.by_class["5xx"] ?? 0;
  return [
    bad("processes", "unheard", ageS === null, "No process has written how it is going."),
    bad("processes", "no worker", !working, "No worker is running: events, webhooks and transfers wait."),
    doubt("figures", "5xx", errors, `${plural(errors, "request was", "requests were")} answered 5xx.`),
  ];
}

function ofProviders({ providers }) {
  return providers.flatMap(({ provider: name, breaker }) => [
    bad("providers", `${name} open`, breaker === "open", `The breaker of ${name} is open: nothing is sent there.`),
    doubt(
      "providers",
      `${name} half`,
      breaker === "half_open",
      `The breaker of ${name} is half open: a few calls try it.`,
    ),
  ]);
}

function ofQueues({ outbox, webhooks, transfers, doubts }) {
  const stale = Object.entries({ outbox, webhooks, transfers, doubts }).map(([name, { age_s: s }]) =>
    doubt("waiting", `${name} unmeasured`, s > LATE_S, `Nobody has measured the ${name} for ${seconds(s)}.`),
  );
  const { oldest_s: event } = outbox;
  const { oldest_s: webhook } = webhooks;
  const { oldest_s: open } = doubts;
  return [
    bad("waiting", "outbox", event > LATE_S, `The oldest event has waited ${seconds(event)} for Kafka.`),
    doubt("waiting", "webhooks", webhook > LATE_S, `A webhook should have been tried ${seconds(webhook)} ago.`),
    bad("waiting", "doubts", open > DOUBT_S, `An attempt has been in doubt for ${seconds(open)}.`),
    doubt(
      "dead",
      "dead",
      transfers.dead,
      `${plural(transfers.dead, "dead letter waits", "dead letters wait")} for a person.`,
    ),
    ...stale,
  ];
}

function ofWorkers({ workers }) {
  return workers.flatMap(({ name, failing, late_s: late }) => [
    bad(
      "workers",
      `${name} fails`,
      failing >= FAILING,
      `The worker ${name} has failed ${count(failing)} times in a row.`,
    ),
    doubt("workers", `${name} late`, late > LATE_S, `The worker ${name} is ${seconds(late)} late, or in a long round.`),
  ]);
}

function ofBooks({ reconciliation: last, audit, refusals }) {
  const breaches = refusals.invariant_breaches;
  const found = `The last reconciliation found ${plural(last?.discrepancies, "discrepancy", "discrepancies")}.`;
  const ago = `The last reconciliation ended ${seconds(last?.age_s)} ago.`;
  return [
    bad(
      "refusals",
      "invariants",
      breaches,
      `What must never happen has happened ${plural(breaches, "time", "times")}.`,
    ),
    bad("reconciliation", "discrepancies", last && !last.clean, found),
    doubt("reconciliation", "overdue", last?.age_s > RECONCILED_S, ago),
    doubt(
      "audit",
      "unsealed",
      audit.oldest_s > LATE_S,
      `A row of the audit log has waited ${seconds(audit.oldest_s)} for its seal.`,
    ),
  ];
}

/** {element, update(concerns)}. Read aloud when there is another one or one has gone, not when its figures change. */
export function concerns() {
  const news = h("p", { class: "unseen", role: "status" });
  const list = h("ul", { class: "concerns" });
  const well = h("p", { class: "note", data: { kind: "good" } }, h("strong", "All is well. "), "Nothing needs a look.");
  const place = h("div");
  let known = new Map();

  function update(now) {
    const next = new Map();
    for (const { id, kind, part, text } of now) {
      const item = known.get(id) ?? drawn(kind, part);
      item.button.textContent = text;
      next.set(id, item);
    }
    if ([...next.keys()].join() !== [...known.keys()].join() || !place.hasChildNodes()) {
      fill(
        list,
        [...next.values()].map(({ element }) => element),
      );
      fill(place, next.size ? list : well);
      fill(news, next.size ? `Needs a look: ${now.map(({ text }) => text).join(" ")}` : "All is well.");
    }
    known = next;
  }

  return { element: h("div", news, place), update };
}

function drawn(kind, part) {
  const button = h("button", { type: "button", class: "plain", on: { click: () => jump(part) } });
  return { element: h("li", { class: "note", data: { kind } }, button), button };
}

function jump(part) {
  const place = document.getElementById(part);
  place?.closest("details")?.setAttribute("open", "");
  place?.scrollIntoView({ block: "start" });
  const title = /** @type {HTMLElement | null} */ (place?.querySelector("h2, h3"));
  title?.setAttribute("tabindex", "-1");
  title?.focus({ preventScroll: true });
}

function plural(n, one, many) {
  return `${count(n)} ${n === 1 ? one : many}`;
}
