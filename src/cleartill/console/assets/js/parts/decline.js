// @ts-check
/** Why a payment was declined, in words for those who sell and for those who pay. */
import { h } from "../dom.js";

const CATEGORIES = {
  hard: "a hard decline: the card schemes forbid trying this card again",
  soft: "a soft decline: it may be tried again later",
  data: "wrong data: it may be tried again once it is corrected",
};
const CODES = {
  card_declined: [
    "The card was declined",
    "Your bank declined the payment. Please use another card, or try again later.",
  ],
  do_not_honor: [
    "The issuer said no, without a reason",
    "Your bank declined the payment. Please use another card, or ask your bank.",
  ],
  insufficient_funds: [
    "There is not enough money on the card",
    "Your bank declined the payment. Please use another card, or try again later.",
  ],
  expired_card: ["The card has expired", "This card has expired. Please use another one."],
  incorrect_cvc: ["The security code is wrong", "The security code is not right. Please check it and try again."],
  incorrect_number: ["The card number is wrong", "The card number is not right. Please check it and try again."],
  lost_card: ["The card was reported lost", "Your bank declined the payment. Please use another card."],
  stolen_card: ["The card was reported stolen", "Your bank declined the payment. Please use another card."],
  pick_up_card: ["The issuer wants the card kept", "Your bank declined the payment. Please use another card."],
  limit_exceeded: [
    "The amount is over the card’s limit",
    "This is over your card’s limit. Please use another card, or ask your bank.",
  ],
  suspected_fraud: ["The issuer suspects fraud", "Your bank declined the payment. Please use another card."],
  issuer_unavailable: [
    "The card’s issuer could not be reached",
    "Your bank cannot be reached just now. Please try again in a few minutes.",
  ],
  processing_error: [
    "The bank could not process it",
    "Something went wrong at the bank. Please try again in a few minutes.",
  ],
  call_issuer: ["The issuer wants to be called", "Please call your bank, then try again; or use another card."],
  not_charged: [
    "The bank never acted on it",
    "The payment did not go through, and nothing was taken. Please try again.",
  ],
  provider_unavailable: [
    "The provider could not be reached",
    "The payment did not go through, and nothing was taken. Please try again.",
  ],
};
const SECRET = new Set(["lost_card", "stolen_card", "pick_up_card", "suspected_fraud"]);

/** {title, payer, category, secret} of a decline as the API tells it; `secret`: the payer must not be told why. */
export function declineWords({ code, category }) {
  const [title, payer] = CODES[code] ?? [
    "The payment was declined",
    "Your bank declined the payment. Please use another card.",
  ];
  return { title, payer, category: CATEGORIES[category] ?? "", secret: SECRET.has(code) };
}

/** A note that explains a decline: what happened, what to do, what the payer may be told. */
export function declineNote(decline, heading = "h2") {
  const { title, payer, category, secret } = declineWords(decline);
  return h(
    "section",
    { class: "note decline", data: { kind: "bad" } },
    h(heading, { class: "note-title" }, title),
    h("p", decline.advice),
    h(
      "p",
      h("strong", "Tell the payer: "),
      `“${payer}”`,
      secret && h("span", { class: "quiet" }, " Not more than that."),
    ),
    h(
      "p",
      { class: "small quiet" },
      "Code ",
      h("code", decline.code),
      decline.network_code && [" · the bank’s own code ", h("code", decline.network_code)],
      category && ` · ${category}`,
    ),
  );
}
