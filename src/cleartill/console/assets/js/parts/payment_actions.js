// @ts-check
/** The steps of a payment that one may press: refund, capture, void, confirm, give up. */
import { api, can, newKey } from "../api.js";
import { h } from "../dom.js";
import { digitsOf, major, money } from "../format.js";
import { confirm, dialog } from "./dialog.js";
import { field } from "./field.js";
import { leftToRefund, steps } from "./rules.js";
import { readAmount } from "./search.js";
import { toast } from "./toast.js";

const BUTTONS = {
  refund: { label: "Refund", act: refund },
  capture: { label: "Capture", kind: "primary", act: capture },
  void: { label: "Void", kind: "danger", act: release },
  confirm: { label: "Confirm", kind: "primary", act: send },
  fail: { label: "Give up", kind: "danger", act: giveUp },
};

/** The buttons that the payment's state allows; none without the scope. `done(answer)` hears what the API answered. */
export function paymentActions(payment, refunds, done) {
  if (!can("payments:write")) return [];
  return steps(payment, refunds).map((name) => {
    const { label, kind, act } = BUTTONS[name];
    return h(
      "button",
      { type: "button", class: kind, data: { step: name }, on: { click: () => act(payment, refunds, done) } },
      label,
    );
  });
}

/** All or part of what is left; the button says how much. */
async function refund(payment, refunds, done) {
  const { id, currency } = payment;
  const left = leftToRefund(payment, refunds);
  const reason = field({ label: "Reason", name: "reason", maxlength: 500, hint: "For your own records." });
  const answer = await amountDialog({
    title: "Refund this payment",
    lead: `${money(left, currency)} can be given back. A refund cannot be undone.`,
    verb: "Refund",
    most: left,
    currency,
    also: reason.element,
    run: (amount, key) =>
      api.post(
        `/api/v1/payments/${id}/refund`,
        { amount, reason: reason.input.value.trim() || undefined },
        { idempotencyKey: key(reason.input.value) },
      ),
  });
  if (!answer) return;
  const sum = money(answer.amount_minor, currency);
  if (answer.status === "succeeded") toast(`${sum} refunded.`, { kind: "good" });
  else if (answer.status === "failed")
    toast(`The refund of ${sum} was declined. Nothing was given back.`, { kind: "bad" });
  else toast(`The refund of ${sum} is under way.`, { kind: "info" });
  done(answer);
}

async function capture(payment, _refunds, done) {
  const { id, currency, amount_minor: most } = payment;
  const answer = await amountDialog({
    title: "Capture this payment",
    lead: `${money(most, currency)} is held. It can be captured once; what you do not capture is released.`,
    verb: "Capture",
    most,
    currency,
    run: (amount, key) => api.post(`/api/v1/payments/${id}/capture`, { amount }, { idempotencyKey: key("") }),
  });
  if (answer) told(answer, done);
}

async function release(payment, _refunds, done) {
  const held = money(payment.amount_minor, payment.currency);
  const body = `The hold of ${held} is released; no money moves. This cannot be undone.`;
  await step(payment, "void", { title: "Void this payment?", body, yes: "Void the payment", danger: true }, done);
}

async function send(payment, _refunds, done) {
  const byHand = payment.provider === "internal";
  const body = byHand
    ? `You vouch that ${money(payment.amount_minor, payment.currency)} has been paid. Nobody else is asked.`
    : "It is sent to the bank now with the card it was created with, without the card’s security code.";
  await step(
    payment,
    "confirm",
    { title: "Confirm this payment?", body, yes: byHand ? "It has been paid" : "Confirm the payment" },
    done,
  );
}

async function giveUp(payment, _refunds, done) {
  const body = "It becomes failed, for good. Nobody was asked for the money yet.";
  await step(payment, "fail", { title: "Give up this payment?", body, yes: "Give it up", danger: true }, done);
}

async function step(payment, name, question, done) {
  if (!(await confirm(question))) return;
  try {
    told(await api.post(`/api/v1/payments/${payment.id}/${name}`, {}), done);
  } catch (problem) {
    if (problem.name === "AbortError") return;
    toast(problem.message, { kind: "bad" });
    done(null);
  }
}

function told(answer, done) {
  done(answer);
}

/**
 * A dialog that asks for an amount up to `most` (minor units), which is proposed whole. `run(amount, key)`: the amount
 * as major-unit text, and a function that gives an idempotency key: the same one as long as the same thing is asked.
 */
async function amountDialog({ title, lead, verb, most, currency, also, run }) {
  const digits = digitsOf(currency);
  const whole = major(most, currency);
  const { element, input, error } = field({
    label: `Amount in ${currency}`,
    name: "amount",
    value: whole,
    inputmode: digits ? "decimal" : "numeric",
    autocomplete: "off",
    required: true,
    hint: `At most ${whole}`,
  });
  const keys = new Map();
  const form = h("form", { class: "fields", novalidate: true }, h("p", lead), element, also);
  const read = () => {
    const amount = readAmount(input.value, digits);
    return amount !== null && amount <= most ? amount : null;
  };
  const act = async () => {
    const amount = read();
    if (amount === null) {
      error(`Type an amount from ${major(1, currency)} to ${whole}.`);
      input.focus();
      return false;
    }
    const asked = major(amount, currency);
    const key = (more) => keys.get(asked + more) ?? keys.set(asked + more, newKey()).get(asked + more);
    return run(asked, key);
  };
  const { element: box, closed } = dialog({
    title,
    body: form,
    actions: [{ label: verb, kind: "primary", value: true, run: act }],
  });
  const button = box.querySelector(".dialog-actions button");
  const say = () => {
    const amount = read();
    if (button) button.textContent = amount === null ? verb : `${verb} ${money(amount, currency)}`;
  };
  input.addEventListener("input", say);
  say();
  input.select();
  const answer = await closed;
  return answer && typeof answer === "object" ? answer : null;
}
