// @ts-check
/** Deposits or withdrawals, newest first. */
import { api, can, session } from "../api.js";
import { h } from "../dom.js";
import { count, money, shortId, when } from "../format.js";
import { badge } from "../parts/badge.js";
import { empty } from "../parts/empty.js";
import { listing } from "../parts/listing.js";
import { moveMoney } from "../parts/move.js";
import { go, link } from "../router.js";

const KINDS = {
  deposits: { title: "Deposits", one: "Deposit", none: "A deposit tops up the balance from your bank account." },
  withdrawals: {
    title: "Withdrawals",
    one: "Withdrawal",
    none: "A withdrawal pays out of the balance to your bank account.",
  },
};

/** Which of the two it is, the address says. */
export const title = () => KINDS[kind()].title;

/** The list of one kind, with the way to the other. */
export async function show(main, { signal }) {
  const { title: heading, one, none } = KINDS[kind()];
  await listing(main, {
    signal,
    title: heading,
    path: `/api/v1/${kind()}`,
    statuses: ["pending", "processing", "succeeded", "failed", "in_doubt"],
    unfinished: ["pending", "processing", "in_doubt"],
    columns: columns(one),
    rowLink: ({ id }) => `/console/transfers/${id}`,
    aside:
      can("account:write") &&
      h("button", { type: "button", class: "primary", on: { click: make } }, `New ${one.toLowerCase()}`),
    above: h("nav", { class: "tabs", aria: { label: "Transfers" } }, Object.keys(KINDS).map(tab)),
    nothing: empty(`No ${heading.toLowerCase()} yet`, none, link("/console", "To the balance")),
  });
}

/** Asks how much, and goes to the page of the transfer that was made. */
async function make() {
  const word = kind() === "deposits" ? "deposit" : "withdrawal";
  const { balances } = await api
    .get(`/api/v1/merchants/${session()?.merchant_id}/balance`)
    .catch(() => ({ balances: [] }));
  const made = await moveMoney(word, balances);
  if (made) go(`/console/transfers/${made.id}`);
}

function kind() {
  return location.pathname.startsWith("/console/withdrawals") ? "withdrawals" : "deposits";
}

function tab(name) {
  return h("a", { href: `/console/${name}`, aria: { current: name === kind() ? "page" : null } }, KINDS[name].title);
}

function columns(one) {
  return [
    { title: one, of: ({ id }) => h("code", { class: "id", title: id }, shortId(id)) },
    {
      title: "Amount",
      numeric: true,
      lead: true,
      of: ({ amount_minor: amount, currency }) => h("strong", money(amount, currency)),
    },
    { title: "Status", of: status },
    {
      title: "Bank reference",
      of: ({ bank_reference: reference }) =>
        reference ? h("code", { class: "clip", title: reference }, reference) : null,
    },
    { title: "Tries", numeric: true, of: ({ attempts }) => count(attempts) },
    {
      title: "Description",
      of: ({ description }) => (description ? h("span", { class: "clip", title: description }, description) : null),
    },
    { title: "Created", of: ({ created_at: at }) => when(at) },
  ];
}

function status({ status: word, dead_letter: dead, needs_review: review }) {
  return h(
    "span",
    { class: "statuses" },
    badge(word),
    review && badge("needs_review"),
    dead && badge("dead", { text: "dead letter" }),
  );
}
