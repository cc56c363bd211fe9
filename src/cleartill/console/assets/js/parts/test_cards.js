// @ts-check
/** The test cards, by what happens. No DOM here. */

const GROUPS = [
  {
    name: "Approved",
    text: "The money is taken.",
    fits: ({ decline, fault }) => !decline && (!fault || fault === "slow"),
  },
  { name: "3-D Secure", text: "The payer says yes on the bank’s page.", fits: ({ challenged }) => challenged },
  {
    name: "In doubt, then resolved",
    text: "The bank gives no clear answer. It is asked until it is known what became of it; nothing is charged twice.",
    fits: ({ fault }) => Boolean(fault),
  },
  { name: "Declined", text: "The bank says no, and why.", fits: () => true },
];
const CVV = { amex: "1234" };

/** [{name, text, cards}] of the cards as GET /api/v1/test-cards tells them; a card is in the first group it fits. */
export function groups(cards) {
  const of = new Map(GROUPS.map((group) => [group, []]));
  for (const card of cards) of.get(GROUPS.find(({ fits }) => fits(card))).push(card);
  return [...of].map(([{ name, text }, found]) => ({ name, text, cards: found })).filter((group) => group.cards.length);
}

/** "4242 4242 4242 4242"; of American Express "3782 822463 10005". */
export function written({ number, brand }) {
  const parts =
    brand === "amex" ? [number.slice(0, 4), number.slice(4, 10), number.slice(10)] : number.match(/.{1,4}/g);
  return parts.join(" ");
}

/** What a checkout would send of a test card: any expiry to come and any code will do. */
export function cardData({ number, brand }, year = new Date().getFullYear()) {
  const rest = { expiry_month: 12, expiry_year: year + 3, cvv: CVV[brand] ?? "123", cardholder_name: "Test Payer" };
  return { card_number: number, ...rest };
}
