// @ts-check
/** The life of a test payment, from the press of a button on. */
import { api, newKey, pause } from "../api.js";
import { fill, h } from "../dom.js";
import { duration, money, words } from "../format.js";
import { link } from "../router.js";
import { badge } from "./badge.js";
import { failure } from "./failure.js";
import { follower } from "./follow.js";
import { paymentNotes } from "./payment_notes.js";
import { anyMoving, followPayment } from "./rules.js";
import { sections } from "./sections.js";
import { cardData, written } from "./test_cards.js";
import { timeline } from "./timeline.js";

const LOOK_EVERY_MS = 400;
const TICK_MS = 100;

/**
 * Pays with a test card, and shows what becomes of it at once: the payment is found by its order id while the charge
 * still runs. `amountMinor` in minor units, `amount` the same as text. Ends when `signal` aborts.
 */
export function life({ card, amount, amountMinor, currency, signal }) {
  const orderId = `try-${newKey().slice(0, 8)}`; // too short to be taken for a card number
  const startedAt = performance.now();
  const state = h("span", badge("processing", { text: "asking the bank" }));
  const told = h("p", { role: "status" });
  const clock = h("span", { class: "quiet", aria: { hidden: true } });
  const way = h("span");
  const heading = h(
    "h2",
    { tabindex: "-1" },
    `${money(amountMinor, currency)} `,
    h("span", { class: "quiet" }, `with ${written(card)}`),
  );
  const head = h(
    "section",
    { class: "card life-head" },
    h("div", { class: "card-head" }, heading, way),
    h("p", { class: "row" }, state, clock),
    told,
  );
  const { part, draw } = sections();
  const notes = part(
    () => payment,
    (now) => (now && now.status !== "processing" ? paymentNotes(now) : null),
    { class: "stack" },
  );
  const element = h("div", { class: "life" }, head, notes);
  let payment = null;
  let story = null;
  let answered = false;
  const follow = follower(load, () => (payment ? followPayment(payment) : null), signal);

  function draws(now) {
    const before = payment?.status;
    payment = now;
    fill(state, badge(now.status));
    if (before !== now.status) told.textContent = sentence(now, before);
    if (before !== now.status) story?.wake();
    if (!story) begin();
    draw();
  }

  function begin() {
    fill(way, link(`/console/payments/${payment.id}`, "Open the payment"));
    const path = `/api/v1/payments/${payment.id}/timeline`;
    story = timeline({ path, subject: () => payment, live: () => anyMoving([payment]), signal });
    element.append(story);
  }

  async function load() {
    draws(await api.get(`/api/v1/payments/${payment.id}`, {}, { signal }));
    return payment;
  }

  /** While the charge runs, the payment is there already. */
  async function look() {
    while (!answered && !payment) {
      await pause(LOOK_EVERY_MS, signal);
      const found = await api
        .get("/api/v1/payments", { order_id: orderId, limit: 1 }, { signal })
        .catch(() => ({ data: [] }));
      if (found.data.length && !payment) draws(found.data[0]);
    }
    if (!answered) void follow();
  }

  async function tick() {
    while (!answered) {
      clock.textContent = duration(performance.now() - startedAt);
      await pause(TICK_MS, signal);
    }
    clock.textContent = `answered after ${duration(performance.now() - startedAt)}`;
  }

  async function run() {
    const body = {
      amount,
      currency,
      payment_method: "credit_card",
      card_data: cardData(card),
      order_id: orderId,
      description: `Test: ${card.meaning}`,
    };
    void look().catch(() => {});
    void tick().catch(() => {});
    try {
      const made = await api.post("/api/v1/payments/process", body, { signal });
      answered = true;
      draws(made);
      void follow();
    } catch (problem) {
      answered = true;
      if (signal.aborted) return;
      fill(state, badge("failed", { text: "not made" }));
      element.append(failure(problem));
    }
  }

  const done = run();
  return Object.assign(element, { heading, done });
}

/** What has become of it, in a sentence; the notes below tell the rest. */
function sentence({ status, decline }, before) {
  const resolved = before === "in_doubt" ? "The doubt is resolved. " : "";
  if (status === "failed" && decline?.code === "not_charged")
    return `${resolved}The bank had not acted: nothing was taken.`;
  if (status === "failed") return `${resolved}The bank said no.`;
  if (status === "captured")
    return resolved
      ? `${resolved}The bank had taken the money: it is captured.`
      : "The bank said yes, and the money is taken.";
  if (status === "in_doubt") return "The bank gave no clear answer.";
  if (status === "requires_action") return "The bank wants the payer’s word first.";
  return status === "processing" ? "The bank has been asked." : `The payment is ${words(status)}.`;
}
