// @ts-check
/** Test cards: what each of them makes happen. */
import { fill, h } from "../../dom.js";
import { words } from "../../format.js";
import { badge } from "../../parts/badge.js";
import { empty } from "../../parts/empty.js";
import { copyButton } from "../../parts/secret.js";
import { table } from "../../parts/table.js";

/** `cards`: [{number, name, brand, meaning, decline?, fault?, approved?, challenged? …}]. */
export function drawCards(panel, cards) {
  fill(
    panel,
    h(
      "div",
      { class: "card" },
      h(
        "div",
        { class: "card-head" },
        h("h2", "Test cards"),
        h("a", { class: "button", href: "/console/try" }, "Try one"),
      ),
      h(
        "p",
        { class: "quiet" },
        "Any expiry in the future and any CVV will do. They work with the simulated bank only; no money moves.",
      ),
      table({
        caption: "Test cards and what they do",
        rows: cards,
        key: (card) => card.number,
        empty: empty("No test cards here", "This environment takes real cards only."),
        columns: [
          {
            title: "Number",
            of: (card) =>
              h(
                "span",
                { class: "row nowrap" },
                h("code", { class: "nobreak" }, spaced(card.number)),
                copyButton(card.number, `card number ending in ${card.number.slice(-4)}`),
              ),
          },
          { title: "What happens", of: (card) => h("span", sentence(card.meaning ?? words(card.name))) },
          { title: "Outcome", of: outcome },
          { title: "Brand", of: (card) => words(card.brand) },
        ],
      }),
    ),
  );
}

function outcome(card) {
  if (card.fault === "slow") return badge("approved", { text: "approved, slowly" });
  if (card.fault) return badge("in_doubt", { text: `in doubt, then ${card.bank_acts ? "captured" : "failed"}` });
  if (card.challenged) return badge("requires_action", { text: "3-D Secure" });
  return card.decline ? badge("declined", { text: words(card.decline) }) : badge("approved");
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function spaced(number) {
  return /^3[47]/.test(number)
    ? number.replace(/^(\d{4})(\d{6})(\d+)$/, "$1 $2 $3")
    : number.replace(/(\d{4})(?=\d)/g, "$1 ");
}
