// @ts-check
/** Facts of a payment or transfer, as lists of terms; free text stays text. */
import { h } from "../dom.js";
import { money, when, words } from "../format.js";
import { avsWords, cardName, cvcWords } from "./card.js";
import { provider } from "./hops.js";
import { copyButton } from "./secret.js";
import { traceLink } from "./trace.js";

/** A `<dl>` of [term, value]; what has no value is left out. */
export function facts(pairs) {
  const there = pairs.filter((pair) => pair && pair[1] !== null && pair[1] !== undefined && pair[1] !== "");
  return h(
    "dl",
    { class: "facts" },
    there.map(([term, value]) => [h("dt", term), h("dd", value)]),
  );
}

/** An id as code with a button that copies it; null stays null. `what`: its name, as "payment id". */
export function copyable(text, what) {
  return text === null || text === undefined
    ? null
    : h("span", { class: "copyable" }, h("code", String(text)), copyButton(String(text), what));
}

/** What was paid for, and how. */
export function paymentFacts(payment) {
  const { currency, amount_captured_minor: captured, amount_refunded_minor: refunded } = payment;
  return facts([
    ["Order id", payment.order_id === null ? null : String(payment.order_id)],
    ["Description", payment.description],
    ["Customer", payment.customer_email],
    captured > 0 && [
      "Captured",
      money(captured, currency) +
        (captured < payment.amount_minor ? ` of ${money(payment.amount_minor, currency)}` : ""),
    ],
    refunded > 0 && ["Refunded", money(refunded, currency)],
    ["Paid with", words(payment.payment_method)],
    [
      "Capture",
      payment.capture_method === "manual" ? "by hand, after the authorization" : "at once, with the authorization",
    ],
    ["Created", when(payment.created_at)],
    ["Last change", when(payment.updated_at)],
    payment.expires_at && [
      payment.status === "authorized" ? "Hold ends" : "Payer’s time ends",
      when(payment.expires_at),
    ],
  ]);
}

/** What the provider calls it. */
export function providerFacts(payment) {
  return facts([
    ["Provider", provider(payment.provider)],
    ["Bank reference", copyable(payment.bank_reference, "bank reference")],
    ["Provider’s id", copyable(payment.provider_payment_id, "provider’s id")],
    ["Trace", traceLink(payment.trace_id) ?? copyable(payment.trace_id, "trace id")],
  ]);
}

/** What may be shown of the card, and what its checks said. */
export function cardFacts(card) {
  const month = String(card.expiry_month).padStart(2, "0");
  return facts([
    ["Card", cardName(card)],
    ["Expires", `${month}/${card.expiry_year}`],
    ["Address", checked(avsWords(card.avs_result), card.avs_result)],
    ["Security code", checked(cvcWords(card.cvc_result), card.cvc_result)],
    ["First six digits", h("code", card.bin)],
    ["Fingerprint", h("code", { class: "clip", title: card.fingerprint }, card.fingerprint)],
    ["Card token", copyable(card.card_token, "card token")],
  ]);
}

/** The caller's own names and values; null if there are none. */
export function metadataFacts(metadata) {
  const entries = Object.entries(metadata ?? {});
  return entries.length
    ? facts(
        entries.map(([name, value]) => [h("code", name), typeof value === "string" ? value : JSON.stringify(value)]),
      )
    : null;
}

function checked([tone, text], letter) {
  return h("span", { class: "check", data: { tone } }, text, letter && h("span", { class: "quiet" }, ` (${letter})`));
}
