// @ts-check
/** A deposit or a withdrawal: asked for, sent, and followed until it is final. */
import { api, newKey } from "../api.js";
import { h } from "../dom.js";
import { digitsOf, major, money } from "../format.js";
import { poll } from "../poll.js";
import { dialog } from "./dialog.js";
import { field } from "./field.js";

const KINDS = {
  deposit: {
    title: "Make a deposit",
    yes: "Deposit",
    about: "From your bank account to your balance. The balance has it once the bank has confirmed it.",
  },
  withdrawal: {
    title: "Make a withdrawal",
    yes: "Withdraw",
    about:
      "From your balance to your bank account. The amount is set aside at once, and given back if the bank refuses.",
  },
};
const OFTEN_USED = "USD EUR GBP CHF JPY CAD AUD CNY SEK NOK DKK PLN CZK HKD SGD INR BRL MXN ZAR KWD".split(" ");
const FINAL = new Set(["succeeded", "failed"]);
const FAST_MS = 1_000;
const SLOW_MS = 15_000;
const FAST_FOR_MS = 120_000;

/**
 * Ask for a deposit or withdrawal (`kind`) and make it. `balances`: as GET …/balance answers them, to offer their
 * currencies and, for a withdrawal, to tell what is there. Resolves to the transfer, or to undefined if one cancels.
 */
export async function moveMoney(kind, balances = []) {
  const { title, yes, about: how } = KINDS[kind];
  const amount = field({ label: "Amount", name: "amount", required: true, inputmode: "decimal", autocomplete: "off" });
  const currency = field({
    label: "Currency",
    name: "currency",
    type: "select",
    options: currencies(balances),
    required: true,
  });
  const description = field({ label: "Description", name: "description", maxlength: 500, autocomplete: "off" });
  const there = kind === "withdrawal" ? h("p", { class: "hint", aria: { live: "polite" } }) : null;
  const adapt = () => {
    amount.input.setAttribute("placeholder", major(0, currency.input.value));
    if (there) there.textContent = available(balances, currency.input.value);
  };
  currency.input.addEventListener("change", adapt);
  adapt();
  const form = h(
    "form",
    { class: "fields", novalidate: true },
    h("div", { class: "amount" }, amount.element, currency.element),
    there,
    description.element,
  );
  const send = sender(`/api/v1/${kind}s`);
  const run = () => {
    const text = amount.input.value.trim().replace(/,(?=\d{1,3}$)/, ".");
    const wrong = wrongAmount(text, currency.input.value);
    amount.error(wrong);
    if (wrong) return (amount.input.focus(), false);
    const about = description.input.value.trim() || undefined;
    return send({ amount: text, currency: currency.input.value, description: about });
  };
  const body = [h("p", { class: "quiet" }, how), form];
  return dialog({ title, body, actions: [{ label: yes, kind: "primary", run }] }).closed;
}

/** Call `heard(transfer)` with every change of a transfer until it is final; answers it as it then is. */
export function followTransfer(transfer, heard, signal) {
  const began = Date.now();
  let seen = transfer.status;
  const read = async () => {
    const now = await api.get(`/api/v1/${transfer.type}s/${transfer.id}`, {}, { signal });
    if (now.status !== seen) heard(now);
    seen = now.status;
    return now;
  };
  const everyMs = () => (Date.now() - began < FAST_FOR_MS ? FAST_MS : SLOW_MS);
  return poll(read, { everyMs, signal, until: (now) => FINAL.has(now.status) });
}

/** One idempotency key for as long as the same is asked for; what is changed is another request. */
function sender(path) {
  let sent = null;
  let key = newKey();
  return (body) => {
    const told = JSON.stringify(body);
    if (sent !== null && sent !== told) key = newKey();
    sent = told;
    return api.post(path, body, { idempotencyKey: key });
  };
}

function wrongAmount(text, currency) {
  const digits = digitsOf(currency);
  if (!text) return "Enter an amount.";
  if (!/^\d{1,13}(\.\d+)?$/.test(text)) return `Enter a number, as ${major(1250, currency)}.`;
  if ((text.split(".")[1] ?? "").length > digits) return `${currency} has ${digits || "no"} decimal places.`;
  return /[1-9]/.test(text) ? "" : "Must be above zero.";
}

function available(balances, currency) {
  const held = balances.find((one) => one.currency === currency);
  return held ? `${money(held.amount_minor, currency)} can be withdrawn.` : `There is no balance in ${currency}.`;
}

function currencies(balances) {
  const names = new Intl.DisplayNames("en", { type: "currency" });
  const held = balances.map((one) => one.currency);
  return [...new Set([...held, ...OFTEN_USED])].map((code) => [code, `${code} – ${names.of(code)}`]);
}
