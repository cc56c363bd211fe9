// @ts-check
/** What waits: events for Kafka, webhooks for their receivers, transfers for the bank, doubts for an answer. */
import { fill, h } from "../../dom.js";
import { count, money } from "../../format.js";
import { facts, measured, seconds, section } from "./parts.js";

const LATE_S = 60;
const DOUBT_S = 900;

/** {element, update(data)} */
export function waiting() {
  const cards = h("div", { class: "grid queues" });
  const element = section("waiting", "What waits", cards);

  function update({ outbox, webhooks, transfers, doubts }) {
    fill(
      cards,
      queue("Events for Kafka", outbox.pending, outbox.oldest_s > LATE_S && "bad", outbox.age_s, [
        ["Oldest", outbox.pending ? seconds(outbox.oldest_s) : "–"],
        ["Published", count(outbox.published)],
      ]),
      queue("Webhooks", webhooks.pending, webhooks.oldest_s > LATE_S && "doubt", webhooks.age_s, [
        ["Most overdue", webhooks.oldest_s ? seconds(webhooks.oldest_s) : "–"],
        ["Heard", count(webhooks.delivered)],
        ["Tries that failed", count(webhooks.failed)],
      ]),
      queue("Transfers", transfers.pending, transfers.dead && "doubt", transfers.age_s, [
        ["Dead letters", count(transfers.dead)],
        ["Put off", count(transfers.retried)],
        ["Succeeded", count(transfers.succeeded)],
        ["Failed", count(transfers.failed)],
      ]),
      queue("In doubt", doubts.count, doubts.oldest_s > DOUBT_S ? "bad" : doubts.count && "doubt", doubts.age_s, [
        ["Oldest", doubts.count ? seconds(doubts.oldest_s) : "–"],
        [
          "About",
          doubts.money.length ? doubts.money.map((one) => h("div", money(one.amount_minor, one.currency))) : "–",
        ],
      ]),
    );
  }

  return { element, update };
}

function queue(title, pending, tone, ageS, rows) {
  return h(
    "div",
    { class: "queue", data: { tone: tone || null } },
    h("h3", title),
    h("p", { class: "figure" }, count(pending)),
    facts(rows),
    measured(ageS),
  );
}
