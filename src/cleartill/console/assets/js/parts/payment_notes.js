// @ts-check
/** What a person must know about a payment in the state it is in, plainly. */
import { session } from "../api.js";
import { h } from "../dom.js";
import { money, when } from "../format.js";
import { declineNote } from "./decline.js";
import { webAddress } from "./trace.js";

/** The notes that a payment's state calls for; often none. */
export function paymentNotes(payment) {
  return [
    payment.needs_review && review(payment.needs_review),
    stateNote(payment),
    payment.decline && decline(payment),
  ];
}

/** That a person must look, and why. */
export function review(reason) {
  return note(
    "doubt",
    "Needs review",
    h("p", `A person must look at this: ${sentence(reason)} No money moves because of it until somebody has decided.`),
  );
}

/** A note of a kind (good, bad, doubt, going) with a heading. */
export function note(kind, title, ...children) {
  return h("section", { class: "note", data: { kind } }, h("h2", { class: "note-title" }, title), children);
}

function stateNote(payment) {
  const { status, amount_minor: amount, currency, expires_at: ends } = payment;
  if (status === "in_doubt") {
    return note(
      "doubt",
      "In doubt",
      h(
        "p",
        "The bank gave no clear answer, so nobody knows yet whether it took the money. ",
        "It is asked again, on its own, until it is known.",
      ),
      h("p", h("strong", "Do not charge the customer again meanwhile. "), "This page tells as soon as it is known."),
    );
  }
  if (status === "requires_action") return challenge(payment);
  if (status === "processing")
    return note("going", "With the bank", h("p", "The bank has been asked and has not answered yet."));
  if (status === "authorized") {
    return note(
      "going",
      "Held, not taken",
      h(
        "p",
        `${money(amount, currency)} is held on the card. Capture all or part of it, or void it`,
        ends && [". The hold ends ", when(ends)],
        ".",
      ),
    );
  }
  if (status === "pending" && !payment.card && payment.provider !== "internal") {
    return note(
      "going",
      "Waits for a card",
      h("p", "It has been created and nobody was asked yet. Your checkout confirms it with the customer’s card."),
    );
  }
  if (status === "expired") return note("doubt", "Expired", h("p", "The time ran out, and the money was not taken."));
  return null;
}

function challenge({ action, expires_at: ends }) {
  const address = webAddress(action?.url ?? "");
  const testing = session()?.environment !== "production";
  return note(
    "doubt",
    "The payer must act first",
    h(
      "p",
      "The bank wants the payer to approve on its own page (3-D Secure)",
      ends && [". The payer’s time ends ", when(ends)],
      ".",
    ),
    address &&
      testing &&
      h(
        "p",
        h(
          "a",
          { href: address, target: "_blank", rel: "noreferrer" },
          "Open the bank’s page as the payer",
          h("span", { class: "unseen" }, " (in a new tab)"),
        ),
      ),
    address && !testing && h("p", "The payer is to be sent to ", h("code", address)),
  );
}

function decline({ decline: said, status }) {
  return status === "authorized"
    ? h("div", note("bad", "The last step was declined"), declineNote(said))
    : declineNote(said);
}

function sentence(text) {
  const whole = text.charAt(0).toLowerCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
