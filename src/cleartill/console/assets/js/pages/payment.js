// @ts-check
/** One payment: what it is, why it is so, what may be done with it, and its whole story. It follows what happens. */
import { api } from "../api.js";
import { fill, h } from "../dom.js";
import { money, shortId, when, words } from "../format.js";
import { badge } from "../parts/badge.js";
import { cardFacts, copyable, metadataFacts, paymentFacts, providerFacts } from "../parts/facts.js";
import { follower } from "../parts/follow.js";
import { paymentActions } from "../parts/payment_actions.js";
import { paymentNotes } from "../parts/payment_notes.js";
import { refundsOf } from "../parts/payment_refunds.js";
import { anyMoving, followPayment } from "../parts/rules.js";
import { sections } from "../parts/sections.js";
import { skeleton } from "../parts/skeleton.js";
import { timeline } from "../parts/timeline.js";
import { link } from "../router.js";

const AFTER_REFUND_MS = 2_000;

export const title = ({ id }) => `Payment ${shortId(id)}`;

/** Draws the payment and keeps it current; `refund` in the address is a refund to mark. */
export async function show(main, { params, query, signal }) {
  const path = `/api/v1/payments/${encodeURIComponent(params.id)}`;
  const heading = h("h1", "Payment");
  const under = h("div", { class: "under" });
  const actions = h("div", { class: "row actions" });
  const news = h("p", { class: "unseen", role: "status" });
  const trail = h("nav", { class: "trail", aria: { label: "Breadcrumb" } }, link("/console/payments", "Payments"));
  const head = h("div", { class: "page-head subject" }, h("div", trail, heading, under), actions);
  const waiting = skeleton(6);
  fill(main, head, news, waiting);

  let payment = await api.get(path, {}, { signal });
  let refunds = [];
  const story = timeline({
    path: `${path}/timeline`,
    subject: () => payment,
    live: () => anyMoving([payment, ...refunds]),
    signal,
  });
  const { part, draw } = sections();
  const notes = part(() => payment, paymentNotes, { class: "stack notes" });
  const returned = part(
    () => ({ payment, refunds }),
    () => refundsOf(payment, refunds, query.get("refund")),
  );
  const about = part(() => payment, aboutPayment, { class: "halves" });
  waiting.replaceWith(notes, returned, about, story);
  redraw();
  const follow = follower(load, everyMs, signal);
  void follow();
  await loadRefunds();
  if (query.get("refund")) main.querySelector("[data-marked]")?.scrollIntoView({ block: "center" });

  function redraw() {
    const { amount_minor: amount, currency, status, id, created_at: at } = payment;
    const shown = JSON.stringify([amount, currency, status, payment.needs_review]);
    if (heading.dataset.shown !== shown) {
      heading.dataset.shown = shown;
      fill(
        heading,
        h("span", { class: "unseen" }, "Payment of "),
        h("span", { class: "sum" }, money(amount, currency)),
        " ",
        badge(status),
        payment.needs_review && [" ", badge("needs_review")],
      );
      fill(under, copyable(id, "payment id"), h("span", { class: "quiet" }, "made ", when(at)));
    }
    const allowed = JSON.stringify([status, refunds, payment.amount_refunded_minor]);
    if (actions.dataset.shown !== allowed) {
      actions.dataset.shown = allowed;
      const had = actions.contains(document.activeElement);
      fill(actions, paymentActions(payment, refunds, stepped));
      if (had) heading.focus();
    }
    draw();
  }

  async function load() {
    const before = payment;
    payment = await api.get(path, {}, { signal });
    if (before.status !== payment.status) news.textContent = `The payment is now ${words(payment.status)}.`;
    if (before.updated_at !== payment.updated_at) story.wake();
    redraw();
    if (anyMoving(refunds) || before.amount_refunded_minor !== payment.amount_refunded_minor) await loadRefunds();
    return payment;
  }

  async function loadRefunds() {
    const { data } = await api.get("/api/v1/refunds", { transaction_id: payment.id, limit: 100 }, { signal });
    const known = new Map(data.map((one) => [one.id, one]));
    for (const one of refunds) if (!known.has(one.id)) known.set(one.id, one); // a list may be a moment behind
    refunds = [...known.values()].sort((one, other) => (one.id < other.id ? 1 : -1));
    redraw();
  }

  /** A step was pressed: `answer` is the payment or a refund as it is now, or null if it was refused. */
  function stepped(answer) {
    if (answer?.id?.startsWith("ref_")) refunds = [answer, ...refunds.filter(({ id }) => id !== answer.id)];
    else if (answer) payment = answer;
    if (answer)
      news.textContent = answer.id.startsWith("ref_")
        ? `The refund is ${words(answer.status)}.`
        : `The payment is now ${words(answer.status)}.`;
    redraw();
    story.wake();
    void load()
      .catch(() => {})
      .then(follow);
  }

  function everyMs() {
    return followPayment(payment) ?? (anyMoving(refunds) ? AFTER_REFUND_MS : null);
  }
}

function aboutPayment(payment) {
  const metadata = metadataFacts(payment.metadata);
  const section = (heading, body) => body && h("section", { class: "card" }, h("h2", heading), body);
  return [
    h(
      "div",
      { class: "stack" },
      section("Details", paymentFacts(payment)),
      section("Provider", providerFacts(payment)),
    ),
    h(
      "div",
      { class: "stack" },
      section("Card", payment.card && cardFacts(payment.card)),
      section("Metadata", metadata),
    ),
  ];
}
