// @ts-check
/** What the state of a payment, refund or transfer allows and still promises. No DOM here. */

const MOVING = new Set(["processing", "requires_action", "in_doubt"]);
const WAITING = new Set(["pending", "authorized"]);
const FAST_MS = 1_500;
const SLOW_MS = 6_000;

/** How soon to ask for a payment again, in milliseconds; null once it is final (a refund may still follow). */
export function followPayment({ status }) {
  return MOVING.has(status) ? FAST_MS : WAITING.has(status) ? SLOW_MS : null;
}

/** The same for a refund or transfer; one that waits for a person is asked for less often. */
export function followTransfer({ status, dead_letter: dead }) {
  if (dead && status !== "failed") return SLOW_MS;
  return MOVING.has(status) || status === "pending" ? FAST_MS : null;
}

/** Whether any of these rows of a list is still moving. */
export function anyMoving(rows) {
  return rows.some(({ id, status }) => MOVING.has(status) || (status === "pending" && !id.startsWith("pay_")));
}

/** What is neither refunded nor being refunded, in minor units. */
export function leftToRefund(payment, refunds) {
  const open = refunds.filter(({ status }) => MOVING.has(status)).reduce((sum, { amount_minor: one }) => sum + one, 0);
  return Math.max(0, payment.amount_captured_minor - payment.amount_refunded_minor - open);
}

/** The steps that may be asked for now: some of refund, capture, void, confirm, fail. */
export function steps(payment, refunds = []) {
  const { status } = payment;
  if (status === "authorized") return ["capture", "void"];
  if (status === "captured" || status === "partially_refunded") return leftToRefund(payment, refunds) ? ["refund"] : [];
  if (status === "pending") return payment.card || payment.provider === "internal" ? ["confirm", "fail"] : ["fail"];
  return [];
}
