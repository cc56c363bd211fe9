// @ts-check
/** What the steps of a timeline are called for people. No DOM here. */
import { pageOf } from "./search.js";

const OPERATIONS = {
  authorize: "authorize",
  capture: "capture",
  void: "release the hold",
  expire: "release the lapsed hold",
  refund: "refund",
  transfer: "transfer",
  prepare: "prepare",
  lookup: "what became of it?",
  lookup_transfer: "what became of it?",
};
const ANSWERS = {
  approved: "approved",
  declined: "declined",
  accepted: "taken on",
  action_required: "the payer must act first",
  unknown: "no clear answer",
  not_sent: "not sent",
  never: "it never acted, and never will",
  not_yet: "cannot say yet",
  disagrees: "it has something else",
  cut_off: "given up",
  prepared: "prepared",
  ok: "",
};
const REASONS = {
  timeout: "it took too long",
  reset: "connection reset",
  server_error: "its server failed",
  unreadable: "answer not readable",
  expired: "its time had passed",
  in_progress: "still at it",
  breaker_open: "circuit breaker open",
  bulkhead_full: "too many at once",
  connect: "no connection",
  deadline: "no time left",
  rate_limited: "turned away: too many",
  provider_unavailable: "provider not available",
};
const READ = {
  api_key: "API key checked",
  session: "Session checked",
  payment: "Payment read",
  refund: "Refund read",
  transfer: "Transfer read",
  attempt: "Attempt read",
  claim: "Idempotency key looked up",
  card: "Card read",
  blocked_card: "Card checked against blocked ones",
  merchant: "Merchant read",
};
const DETAILS = {
  what: "What was read",
  facts: "Facts recorded",
  batch_id: "Commit (batch)",
  rows: "Units in this commit",
  waited_ms: "Waited for the commit, ms",
  attempt_key: "Attempt, as the provider knows it",
  attempt: "Which try",
  provider_id: "The provider's id",
  network_code: "The provider's code",
  resolver_tries: "Times asked again",
  expires_at: "Not to be acted on after",
  event_id: "Event",
  seq: "Number in its sequence",
  topic: "Kafka topic",
  partition: "Kafka partition",
  offset: "Kafka offset",
  delivery_id: "Delivery",
  endpoint_id: "Endpoint",
  status: "Status",
  actor: "Done by",
  request_id: "Request",
  trace_id: "Trace",
  id: "Of",
};
const NO_DETAIL = new Set(["amount_minor", "currency", "decline", "trace_id", "outcome"]);

/** The title of a hop that our own code made: "Card encrypted", "Bank: authorize" … */
export function hopTitle(name, details) {
  if (name === "provider.call") return `${provider(details.provider)}: ${operation(details.operation)}`;
  if (name === "guard.wait") return `Permit to ask the ${providerNoun(details.provider)}`;
  if (name === "vault.encrypt") return "Card encrypted";
  if (name === "vault.decrypt") return "Card decrypted";
  if (name === "books.record" || name === "books.batch") return "Committed";
  if (name === "reads.query" || name === "books.load")
    return READ[details.what] ?? `Read: ${plain(details.what ?? name)}`;
  return plain(name);
}

/** "Authorize, attempt 1", of an attempt's operation and key: its number is the key's last part. */
export function attemptTitle(kind, key) {
  const number = /\.(\d+)$/.exec(key ?? "")?.[1];
  const said = operation(kind);
  return `${said.charAt(0).toUpperCase()}${said.slice(1)}${number ? `, attempt ${number}` : ""}`;
}

/** How something ended, in words: the answer, and the reason if there is one. "" for what needs no word. */
export function answer(outcome, reason) {
  const said = ANSWERS[outcome] ?? plain(outcome);
  const why = reason && (REASONS[reason] ?? plain(reason));
  return why ? (said ? `${said}: ${why}` : why) : said;
}

/** good, bad, doubt, going or calm: what an outcome means for the payment. */
export function toneOf(outcome) {
  if (["approved", "delivered", "succeeded", "captured", "resolved", "published", "accepted"].includes(outcome))
    return "good";
  if (["declined", "failed", "never", "not_sent", "error"].includes(outcome)) return "bad";
  if (["unknown", "in_doubt", "needs_review", "disagrees", "cut_off", "not_yet", "requires_action"].includes(outcome))
    return "doubt";
  return outcome === "action_required" ? "doubt" : "calm";
}

/** [{name, term, value, path}] of a step's details, in words; `path` is a page of the console, or null. */
export function told(details) {
  return Object.entries(details)
    .filter(([name, value]) => value !== null && value !== undefined && value !== "" && !NO_DETAIL.has(name))
    .map(([name, value]) => ({
      name,
      term: DETAILS[name] ?? plain(name).replace(/^./, (letter) => letter.toUpperCase()),
      value: typeof value === "object" ? JSON.stringify(value) : String(value),
      path: pathOf(name, value),
    }));
}

/** A provider's name: "bank" → "Bank". */
export function provider(name) {
  const said = plain(name ?? "provider");
  return said.charAt(0).toUpperCase() + said.slice(1);
}

function providerNoun(name) {
  return !name || name === "bank" ? (name ?? "provider") : `provider ${plain(name)}`;
}

function operation(word) {
  return OPERATIONS[word] ?? plain(word ?? "");
}

function plain(word) {
  return String(word).replaceAll("_", " ");
}

function pathOf(name, value) {
  if (name === "delivery_id") return `/console/developers/deliveries/${encodeURIComponent(value)}`;
  if (name === "endpoint_id") return `/console/developers/webhooks/${encodeURIComponent(value)}`;
  return name === "id" && !String(value).startsWith("pay_") ? pageOf(value) : null;
}
