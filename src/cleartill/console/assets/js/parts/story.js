// @ts-check
/** The story of a payment or transfer: from the steps of its timeline to the rows of a waterfall. No DOM here. */
import { answer, attemptTitle, hopTitle, told, toneOf } from "./hops.js";

const RANK = { own: 0, commit: 0, bank: 1, doubt: 3, attempt: 4, event: 2, kafka: 5, webhook: 6 };
const OWN = new Set(["own", "commit"]);
const UNDECIDED = /\.(created|needs_review|retried)$/;
const ENDS_TRANSFER = /^(deposit|withdrawal)\.(succeeded|failed|in_doubt)$/;
const ENDS_DOUBT = /^(payment\.resolved|(refund|deposit|withdrawal)\.(succeeded|failed))$/;

/**
 * Rows in order of time, from the `steps` of the API's timeline. A row: {key, kind, title, code, note, outcome, tone,
 * startMs, endMs, wait, inner, open, details, traceId, decline}. Times are milliseconds since 1970, with fractions.
 * kind: own (our work), commit, bank (a provider's time), event, attempt and doubt (which lie around others), kafka,
 * webhook. `wait`: {startMs, endMs}, how long it waited before; `inner`: the part of a commit that was the transaction;
 * `open`: it has not ended yet, and reaches to `nowMs`.
 */
export function story(steps, nowMs = Date.now()) {
  const known = steps.map((step) => ({ ...step, details: step.details ?? {}, ms: msOf(step.at) }));
  const latestMs = Math.max(nowMs, ...known.map(({ ms }) => ms));
  const rows = [
    ...hops(known),
    ...attempts(known, latestMs),
    ...doubts(known, latestMs),
    ...underWay(known, latestMs),
    ...events(known),
    ...onTheirWay(known),
  ];
  return rows.sort((one, other) => one.startMs - other.startMs || RANK[one.kind] - RANK[other.kind]);
}

/** What must be seen of these rows at full length: their work and their moments, not what merely lies around. */
export function seen(rows, nowMs = Date.now()) {
  return rows.flatMap((row) => {
    if (row.kind !== "attempt" && row.kind !== "doubt") return [{ startMs: row.startMs, endMs: row.endMs }];
    return row.open ? [{ startMs: Math.max(nowMs, row.startMs), endMs: Math.max(nowMs, row.startMs) }] : [];
  });
}

/**
 * How long it took until the first decision, and who took it: {what, declined, totalMs, bankMs, ownMs}; null as long as
 * there is none. A charge or confirmation counts from its request on, a transfer (bankMs null) from its creation on.
 */
export function decision(rows) {
  const events = rows.filter(({ kind }) => kind === "event");
  const ended = events.find(({ code }) => ENDS_TRANSFER.test(code));
  if (ended)
    return { what: ended.code, declined: false, totalMs: ended.startMs - events[0].startMs, bankMs: null, ownMs: null };
  const call = rows.find(({ kind }) => kind === "bank");
  const last = call && events.find(({ code, startMs }) => startMs >= call.endMs - 1 && !UNDECIDED.test(code));
  if (!call || !last) return null;
  const entered = rows.filter(
    ({ kind, code, startMs }) => OWN.has(kind) && code === "reads.query" && startMs <= call.startMs,
  );
  const startMs = (entered.at(-1) ?? rows[0]).startMs;
  const calls = rows.filter((row) => row.kind === "bank" && row.startMs >= startMs && row.endMs <= last.startMs + 1);
  const bankMs = calls.reduce((sum, row) => sum + row.endMs - row.startMs, 0);
  const totalMs = last.startMs - startMs;
  return { what: last.code, declined: Boolean(last.decline), totalMs, bankMs, ownMs: Math.max(0, totalMs - bankMs) };
}

/** An RFC 3339 time in milliseconds since 1970, to the microsecond that it was written with. */
export function msOf(iso) {
  const [, whole, fraction = "", zone = "Z"] = iso.match(/^(.{19})(\.\d+)?(.*)$/) ?? [];
  return Date.parse(whole + (zone || "Z")) + Number(`0${fraction}`) * 1000;
}

function row(kind, step, rest) {
  const { name, outcome, details, ms } = step;
  const traceId = details.trace_id ?? null;
  const from = rest.startMs ?? ms;
  const plain = {
    code: name,
    note: "",
    tone: toneOf(outcome),
    startMs: from,
    endMs: from,
    traceId,
    details: told(details),
  };
  const of = details.event_id ?? details.attempt_key ?? details.batch_id ?? "";
  return { key: `${name} ${of} ${kind} ${details.endpoint_id ?? ""} ${step.at}`, kind, outcome, ...plain, ...rest };
}

function hops(steps) {
  const made = steps.filter(
    ({ name, outcome }) => /^(reads|vault|guard|books|provider)\./.test(name) && outcome !== "recorded",
  );
  const batches = new Map(
    made.filter(({ name }) => name === "books.batch").map((step) => [step.details.batch_id, step]),
  );
  const recorded = new Set(made.filter(({ name }) => name === "books.record").map(({ details }) => details.batch_id));
  return made
    .filter(({ name, details }) => name !== "books.batch" || !recorded.has(details.batch_id))
    .map((step) => (step.name === "provider.call" ? call(step, steps) : hop(step, batches)));
}

function hop(step, batches) {
  const { name, outcome, details, duration_ms: tookMs, ms } = step;
  const batch = name === "books.record" ? batches.get(details.batch_id) : undefined;
  const commit = name.startsWith("books.") && name !== "books.load";
  const inner = batch && { startMs: batch.ms, endMs: batch.ms + (batch.duration_ms ?? 0) };
  const all = batch ? { ...details, ...batch.details, transaction_ms: batch.duration_ms } : details;
  const rows = all.rows > 1 ? `with ${all.rows - 1} other${all.rows > 2 ? "s" : ""}` : "";
  const note = outcome === "ok" ? rows : answer(outcome, details.reason);
  const tone = outcome === "ok" ? "calm" : "bad";
  const rest = { title: hopTitle(name, details), note, tone, inner, endMs: ms + (tookMs ?? 0), details: told(all) };
  return row(commit ? "commit" : "own", step, rest);
}

/** A question to the provider; its code, which only the settled attempt knows, is told with the answer. */
function call(step, steps) {
  const { details, duration_ms: tookMs, outcome, ms } = step;
  const settled = steps.find(
    (other) =>
      other.name.startsWith("attempt.") &&
      other.outcome === outcome &&
      other.details.attempt_key === details.attempt_key,
  );
  const code = settled?.details.network_code;
  const nth = details.attempt > 1 ? `try ${details.attempt}` : "";
  const note = [answer(outcome, details.reason), code && `code ${code}`, nth].filter(Boolean).join(" · ");
  const all = code ? { ...details, network_code: code } : details;
  return row("bank", step, {
    title: hopTitle(step.name, details),
    note,
    endMs: ms + (tookMs ?? 0),
    details: told(all),
  });
}

/** One row for an attempt's opening and its end. */
function attempts(steps, nowMs) {
  const tries = steps.filter(({ name }) => name.startsWith("attempt."));
  return tries
    .filter(({ outcome }) => outcome === "opened")
    .map((opened) => {
      const key = opened.details.attempt_key;
      const settled = tries.find((one) => one.outcome !== "opened" && one.details.attempt_key === key);
      const { reason, network_code: code, resolver_tries: again } = settled?.details ?? {};
      const asked = again ? `asked again ${again === 1 ? "once" : `${again} times`}` : "";
      const said = settled
        ? answer(settled.outcome, settled.outcome === "not_sent" ? reason : null)
        : "not decided yet";
      const note = [said, code && `code ${code}`, asked].filter(Boolean).join(" · ");
      const title = attemptTitle(opened.name.slice("attempt.".length), key);
      const tone = settled ? toneOf(settled.outcome) : "going";
      const details = told({ ...opened.details, ...settled?.details });
      return row("attempt", opened, { title, note, tone, endMs: settled?.ms ?? nowMs, open: !settled, details });
    });
}

/** From the fact that nobody knows the outcome to the fact that somebody does. */
function doubts(steps, nowMs) {
  const facts = steps.filter(({ outcome }) => outcome === "recorded");
  return facts
    .filter(({ name }) => name.endsWith(".in_doubt"))
    .map((doubt) => {
      const { id, seq } = doubt.details;
      const ended = facts.find((one) => ENDS_DOUBT.test(one.name) && one.details.id === id && one.details.seq > seq);
      const note = ended ? `resolved: ${answer(ended.details.status)}` : "nobody knows the outcome yet";
      const tone = ended ? toneOf(ended.details.status) : "doubt";
      const details = ended ? told({ it_was: ended.details.status, event_id: ended.details.event_id }) : [];
      return row("doubt", doubt, { title: "In doubt", note, tone, endMs: ended?.ms ?? nowMs, open: !ended, details });
    });
}

/** A transfer, from its creation (or from a person's word to try again) until it has ended or nobody knows. */
function underWay(steps, nowMs) {
  const facts = steps.filter(({ outcome }) => outcome === "recorded");
  return facts
    .filter(({ name }) => /^(deposit|withdrawal)\.(created|retried)$/.test(name))
    .map((begun) => {
      const ended = facts.find((one) => ENDS_TRANSFER.test(one.name) && one.details.seq > begun.details.seq);
      const word = ended?.name.split(".")[1];
      const note = ended ? answer(word) : "not decided yet";
      const tone = ended ? toneOf(word) : "going";
      const details = ended ? told({ event_id: ended.details.event_id }) : [];
      return row("attempt", begun, {
        title: "Workers and bank",
        note,
        tone,
        endMs: ended?.ms ?? nowMs,
        open: !ended,
        details,
      });
    });
}

function events(steps) {
  return steps
    .filter(({ outcome }) => outcome === "recorded")
    .map((step) => {
      const { status, decline, needs_review: review } = step.details;
      const note = review ?? (decline ? answer(decline.code) : "");
      const tone = /(created|retried)$/.test(step.name) ? "calm" : toneOf(step.name.split(".")[1]);
      return row("event", step, { title: step.name, note, tone, status, decline: decline ?? null });
    });
}

/** An event's way out: to Kafka, counted from its commit on, and each try to tell an endpoint. */
function onTheirWay(steps) {
  const committed = new Map(
    steps.filter(({ outcome }) => outcome === "recorded").map((step) => [step.details.event_id, step.ms]),
  );
  return steps
    .filter(({ name }) => name.includes(" → "))
    .map((step) => {
      const [event, to] = step.name.split(" → ");
      const { partition, offset, attempt, status, error } = step.details;
      const from = committed.get(step.details.event_id);
      const wait = from !== undefined && from < step.ms ? { startMs: from, endMs: step.ms } : undefined;
      const title = `${event} → ${to === "kafka" ? "Kafka" : to}`;
      if (to === "kafka") {
        const note = `partition ${partition} · offset ${offset}`;
        return row("kafka", step, { title, note, wait, tone: "calm" });
      }
      const heard = status ? `HTTP ${status}` : answer(error ?? "no answer");
      const note = `try ${attempt} · ${heard}`;
      const endMs = step.ms + (step.duration_ms ?? 0);
      return row("webhook", step, { title, note, endMs, wait: attempt === 1 ? wait : undefined });
    });
}
