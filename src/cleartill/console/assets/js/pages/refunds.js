// @ts-check
/** All refunds, newest first. */
import { h } from "../dom.js";
import { money, shortId, when, words } from "../format.js";
import { badge } from "../parts/badge.js";
import { empty } from "../parts/empty.js";
import { listing } from "../parts/listing.js";
import { link } from "../router.js";

export const title = "Refunds";

const COLUMNS = [
  { title: "Refund", of: ({ id }) => h("code", { class: "id", title: id }, shortId(id)) },
  {
    title: "Amount",
    numeric: true,
    lead: true,
    of: ({ amount_minor: amount, currency }) => h("strong", money(amount, currency)),
  },
  { title: "Status", of: status },
  {
    title: "Payment",
    of: ({ transaction_id: id }) => link(`/console/payments/${id}`, h("code", { class: "id", title: id }, shortId(id))),
  },
  { title: "Reason", of: ({ reason }) => (reason ? h("span", { class: "clip", title: reason }, reason) : null) },
  { title: "Provider", of: ({ provider }) => words(provider) },
  { title: "Created", of: ({ created_at: at }) => when(at) },
];

/** The list; `transaction_id` in the address shows those of one payment. */
export async function show(main, { signal }) {
  await listing(main, {
    signal,
    title,
    path: "/api/v1/refunds",
    statuses: ["processing", "succeeded", "failed", "in_doubt"],
    unfinished: ["processing", "in_doubt"],
    providers: true,
    more: ["transaction_id"],
    columns: COLUMNS,
    rowLink: ({ id }) => `/console/refunds/${id}`,
    nothing: empty(
      "No refunds yet",
      "Open a captured payment to give back all or part of it.",
      link("/console/payments?status=captured", "Captured payments"),
    ),
  });
}

function status({ status: word, decline, needs_review: review }) {
  const why = decline && h("span", { class: "small quiet" }, words(decline.code));
  return h("span", { class: "statuses" }, badge(word), review && badge("needs_review"), why);
}
