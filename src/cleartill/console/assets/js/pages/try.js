// @ts-check
/** Try it: a test payment with each test card, and what becomes of it. Not in production. */
import { api, can, session } from "../api.js";
import { fill, h } from "../dom.js";
import { digitsOf, major } from "../format.js";
import { empty } from "../parts/empty.js";
import { field } from "../parts/field.js";
import { life } from "../parts/life.js";
import { readAmount } from "../parts/search.js";
import { skeleton } from "../parts/skeleton.js";
import { groups, written } from "../parts/test_cards.js";
import { link } from "../router.js";

const CURRENCIES = ["EUR", "USD", "GBP", "JPY", "KWD"];
const MAJOR = 4_990;
const LIVES = 3;

export const title = "Try it";

/** Draws the cards; a press of one makes a payment, whose life is shown beside them, on a phone below them. */
export async function show(main, { signal }) {
  const lives = h("div", { class: "lives" }, hint());
  const body = h("div", { class: "try" }, h("div", { class: "try-cards" }, skeleton(8)), lives);
  const lead =
    "Press a test card: a payment is made with it, exactly as a checkout would make it, and you see its whole life.";
  fill(main, h("div", { class: "page-head" }, h("div", h("h1", title), h("p", lead))), body);
  const cards = await testCards(signal);
  if (!cards) {
    fill(
      body,
      empty(
        "There are no test cards here",
        "In production there is only real money.",
        link("/console/payments", "To the payments"),
      ),
    );
    return;
  }
  const { element: sum, read } = amountFields();
  const leaving = [];

  function press(card) {
    const asked = read();
    if (!asked) return;
    const over = new AbortController();
    leaving.push(over);
    const shown = life({ card, ...asked, signal: AbortSignal.any([signal, over.signal]) });
    if (leaving.length === 1) fill(lives);
    lives.prepend(shown);
    if (lives.children.length > LIVES) lives.lastElementChild?.remove();
    if (leaving.length > LIVES) leaving[leaving.length - LIVES - 1].abort();
    const { top } = shown.getBoundingClientRect();
    if (top < 0 || top > innerHeight * 0.6) shown.scrollIntoView({ block: "start" });
    shown.heading.focus({ preventScroll: true });
  }

  const mayPay = can("payments:write");
  fill(
    /** @type {Element} */ (body.firstElementChild),
    mayPay
      ? sum
      : h(
          "p",
          { class: "note", data: { kind: "doubt" } },
          "You are logged in with a key that may only read. To make payments, log in with one that may write them.",
        ),
    groups(cards).map((group) => drawGroup(group, mayPay, press)),
  );
}

async function testCards(signal) {
  if (session()?.environment === "production") return null;
  try {
    return (await api.get("/api/v1/test-cards", {}, { signal })).data;
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

function drawGroup({ name, text, cards }, mayPay, press) {
  const one = (card) =>
    h(
      "li",
      h(
        "button",
        {
          type: "button",
          class: "test-card",
          disabled: !mayPay,
          data: { card: card.name },
          on: { click: () => press(card) },
        },
        h("span", { class: "test-card-number mono" }, written(card)),
        h("span", { class: "test-card-meaning" }, card.meaning),
      ),
    );
  return h(
    "section",
    { class: "test-group" },
    h("h2", name),
    h("p", { class: "small quiet" }, text),
    h("ul", cards.map(one)),
  );
}

/** Amount and currency; `read()` answers {amount, amountMinor, currency}, or null after it has said what is wrong. */
function amountFields() {
  const currency = field({
    label: "Currency",
    name: "currency",
    type: "select",
    options: CURRENCIES,
    value: "EUR",
    required: true,
  });
  const amount = field({
    label: "Amount",
    name: "amount",
    value: major(MAJOR, "EUR"),
    inputmode: "decimal",
    autocomplete: "off",
    required: true,
  });
  currency.input.addEventListener("change", () => {
    if (readAmount(amount.input.value, digitsOf(currency.input.value)) === null)
      amount.input.value = major(MAJOR, currency.input.value);
    amount.error("");
  });
  const read = () => {
    const code = currency.input.value;
    const amountMinor = readAmount(amount.input.value, digitsOf(code));
    if (amountMinor !== null) return { amount: major(amountMinor, code), amountMinor, currency: code };
    amount.error(
      digitsOf(code) ? `Type an amount with at most ${digitsOf(code)} decimals.` : `${code} has no decimals.`,
    );
    amount.input.focus();
    return null;
  };
  const form = h(
    "form",
    { class: "try-sum", novalidate: true, aria: { label: "What to pay" } },
    amount.element,
    currency.element,
  );
  form.addEventListener("submit", (event) => event.preventDefault());
  return { element: form, read };
}

function hint() {
  return empty(
    "Nothing tried yet",
    "Begin with the first card, which is approved. Then see one declined, and one in doubt that is soon resolved.",
  );
}
