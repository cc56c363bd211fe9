// @ts-check
/** A status, told by word, shape and colour. */
import { h } from "../dom.js";
import { words } from "../format.js";

const TONES = {
  good: "captured succeeded delivered active enabled healthy up closed ok approved valid matched live done",
  bad: "failed declined dead disabled revoked down open error unhealthy expired exhausted",
  doubt: "in_doubt needs_review requires_action degraded half_open warning retrying mismatched",
  going: "pending processing waiting sending running due",
  half: "authorized partially_refunded",
  calm: "refunded voided deleted off",
};
const TONE_OF = new Map(Object.entries(TONES).flatMap(([tone, all]) => all.split(" ").map((status) => [status, tone])));

/** A badge of a status, whose tone (good, bad, doubt, going, half, calm) follows from it unless `tone` is given. */
export function badge(status, { tone, text } = {}) {
  const told = tone ?? TONE_OF.get(String(status)) ?? "calm";
  return h("span", { class: "badge", data: { status, tone: told } }, text ?? words(status));
}
