// @ts-check
/** All payments, newest first. */
import { session } from "../api.js";
import { h } from "../dom.js";
import { money, shortId, when, words } from "../format.js";
import { badge } from "../parts/badge.js";
import { cardName } from "../parts/card.js";
import { empty } from "../parts/empty.js";
import { listing } from "../parts/listing.js";
import { link } from "../router.js";

export const title = "Payments";

const STATUSES = [
  "pending",
  "processing",
  "requires_action",
  "authorized",
  "captured",
  "partially_refunded",
  "refunded",
  "failed",
  "voided",
  "expired",
  "in_doubt",
];

const COLUMNS = [
  { title: "Payment", of: ({ id }) => h("code", { class: "id", title: id }, shortId(id)) },
  {
    title: "Amount",
    numeric: true,
    lead: true,
    of: ({ amount_minor: amount, currency }) => h("strong", money(amount, currency)),
  },
  { title: "Status", of: status },
  { title: "Card", of: ({ card }) => (card ? cardName(card) : h("span", { class: "quiet" }, "no card")) },
  {
    title: "Order id",
    of: ({ order_id: order }) =>
      order === null ? null : h("span", { class: "clip", title: String(order) }, String(order)),
  },
  { title: "Provider", of: ({ provider }) => words(provider) },
  { title: "Created", of: ({ created_at: at }) => when(at) },
];

/** The list; `order_id` and `last4` in the address come from the search box. */
export async function show(main, { signal }) {
  const testing = session()?.environment !== "production";
  await listing(main, {
    signal,
    title,
    path: "/api/v1/payments",
    statuses: STATUSES,
    unfinished: ["processing", "requires_action", "in_doubt"],
    providers: true,
    more: ["order_id", "last4"],
    columns: COLUMNS,
    rowLink: ({ id }) => `/console/payments/${id}`,
    aside: testing && link("/console/try", "Make a test payment"),
    nothing: empty(
      "No payments yet",
      "They appear here as soon as a checkout sends the first one.",
      testing && link("/console/try", "Make a test payment"),
    ),
  });
}

function status({ status: word, decline, needs_review: review }) {
  return h(
    "span",
    { class: "statuses" },
    badge(word),
    review && badge("needs_review"),
    decline && h("span", { class: "small quiet" }, words(decline.code)),
  );
}
