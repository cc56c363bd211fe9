// @ts-check
/** What is meant by what somebody typed or chose: ids, order ids, last digits, days. No DOM here. */

const ID = /^(pay|ref|dep|wdr)_[0-9a-z]{1,32}$/;
const PAGES = { pay: "payments", ref: "refunds", dep: "transfers", wdr: "transfers" };
const DAY = /^(\d{4})-(\d{2})-(\d{2})$/;
const ORDER_ID_MAX = 255;

/**
 * What a search text means: {path} is a page of its own, {last4} or {orderId} filter the list of payments; {cardNumber}
 * and {last4} if somebody pasted a card number, of which the last four digits are enough; {} for nothing at all, and
 * {tooLong} for what no order id can be. `order:` or `card:` before it says which of the two is meant.
 */
export function readSearch(text) {
  const told = text.trim();
  const [, word, named] = told.match(/^(order|card|last4):\s*(.+)$/i) ?? [];
  if (named) return word.toLowerCase() === "order" ? orderId(named) : card(named);
  if (!told) return {};
  const id = told.toLowerCase();
  if (ID.test(id)) return { path: pageOf(id) };
  if (/^\d{4}$/.test(told)) return { last4: told };
  return isCardNumber(told) ? card(told) : orderId(told);
}

/** The console's page of a payment, refund, deposit or withdrawal, by its id; null for any other. */
export function pageOf(id) {
  const found = String(id).match(ID);
  return found && `/console/${PAGES[found[1]]}/${id}`;
}

/** Whether the text is 12 to 19 digits (blanks and dashes aside) that pass Luhn: it must go nowhere. */
export function isCardNumber(text) {
  const digits = text.replace(/[ -]/g, "");
  if (!/^\d{12,19}$/.test(digits)) return false;
  const sum = [...digits].reverse().reduce((total, digit, at) => {
    const value = Number(digit) * (at % 2 ? 2 : 1);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
}

/** The beginning of a day ("2026-11-21") where one is, as an RFC 3339 time in UTC; `plusDays` later. "" for no day. */
export function dayStart(day, plusDays = 0) {
  const [, year, month, date] = (day ?? "").match(DAY) ?? [];
  if (!year) return "";
  const at = new Date(Number(year), Number(month) - 1, Number(date) + plusDays);
  return Number.isNaN(at.getTime()) ? "" : `${at.toISOString().slice(0, 19)}Z`;
}

/**
 * Major-unit text that somebody typed, in minor units: "25", "25.5", "25,50" with two digits → 2500, 2550, 2550; null
 * for anything else: more decimals than the currency has, signs, thousands marks, zero.
 */
export function readAmount(text, digits) {
  const [, whole, decimals = ""] = text.trim().match(/^(\d{1,13})(?:[.,](\d{1,6}))?$/) ?? [];
  if (!whole || decimals.length > digits) return null;
  const minor = Number(whole + decimals.padEnd(digits, "0"));
  return Number.isSafeInteger(minor) && minor > 0 ? minor : null;
}

function orderId(text) {
  return text.length > ORDER_ID_MAX ? { tooLong: true } : { orderId: text };
}

function card(text) {
  const digits = text.replace(/[ -]/g, "");
  if (!/^\d{4,19}$/.test(digits)) return {};
  return digits.length === 4 ? { last4: digits } : { last4: digits.slice(-4), cardNumber: true };
}
