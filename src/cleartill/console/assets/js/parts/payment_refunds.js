// @ts-check
/** The refunds of one payment. */
import { h } from "../dom.js";
import { money, shortId, when, words } from "../format.js";
import { badge } from "./badge.js";
import { leftToRefund } from "./rules.js";
import { table } from "./table.js";

/** A card with the refunds and what is left; null if there are none. `marked`: the id of one that was asked for. */
export function refundsOf(payment, refunds, marked) {
  if (!refunds.length) return null;
  const left = money(leftToRefund(payment, refunds), payment.currency);
  const columns = [
    {
      title: "Refund",
      of: ({ id }) => h("code", { class: "id", title: id, data: { marked: id === marked } }, shortId(id)),
    },
    {
      title: "Amount",
      numeric: true,
      lead: true,
      of: ({ amount_minor: amount, currency }) => h("strong", money(amount, currency)),
    },
    { title: "Status", of: status },
    { title: "Reason", of: ({ reason }) => reason },
    {
      title: "Bank reference",
      of: ({ bank_reference: reference }) =>
        reference ? h("code", { class: "clip", title: reference }, reference) : null,
    },
    { title: "Made", of: ({ created_at: at }) => when(at) },
  ];
  return h(
    "section",
    { class: "card" },
    h("div", { class: "card-head" }, h("h2", "Refunds"), h("span", { class: "quiet" }, `${left} left to refund`)),
    table({ caption: "Refunds of this payment", columns, rows: refunds }),
  );
}

function status({ status: word, decline, needs_review: review }) {
  const why = decline && h("span", { class: "small quiet" }, `${words(decline.code)}. ${decline.advice}`);
  return h("span", { class: "statuses" }, badge(word), review && badge("needs_review"), why);
}
