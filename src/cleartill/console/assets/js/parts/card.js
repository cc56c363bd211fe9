// @ts-check
/** A card, as much as may be shown of it. */
import { h } from "../dom.js";

const BRANDS = {
  visa: "Visa",
  mastercard: "Mastercard",
  amex: "American Express",
  discover: "Discover",
  diners: "Diners Club",
  jcb: "JCB",
  unionpay: "UnionPay",
  maestro: "Maestro",
};
const AVS = {
  Y: ["good", "The address matches"],
  A: ["doubt", "The street matches, the postcode does not"],
  Z: ["doubt", "The postcode matches, the street does not"],
  N: ["bad", "The address does not match"],
  U: ["calm", "The issuer did not check the address"],
};
const CVC = {
  M: ["good", "The security code matches"],
  N: ["bad", "The security code does not match"],
  P: ["calm", "The security code was not checked"],
  S: ["doubt", "The card should have a security code, and none was sent"],
  U: ["calm", "The issuer does not check security codes"],
};

/** "Visa •••• 4242", read aloud as "Visa ending in 4242". */
export function cardName({ brand, last4 }) {
  return h(
    "span",
    { class: "card-name" },
    BRANDS[brand] ?? "Card",
    h("span", { aria: { hidden: true } }, " •••• "),
    h("span", { class: "unseen" }, " ending in "),
    last4,
  );
}

/** What the address check said: [tone, words]. Null: it was not made. */
export function avsWords(result) {
  return result
    ? (AVS[result] ?? ["calm", "The address check gave no clear answer"])
    : ["calm", "The address was not checked"];
}

/** The same for the check of the card's security code. */
export function cvcWords(result) {
  return result
    ? (CVC[result] ?? ["calm", "The check of the code gave no clear answer"])
    : ["calm", "The security code was not checked"];
}
