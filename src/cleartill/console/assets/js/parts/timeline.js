// @ts-check
/** The timeline of a payment, deposit or withdrawal, which follows what still happens. */
import { api } from "../api.js";
import { fill, h } from "../dom.js";
import { duration, words } from "../format.js";
import { poll } from "../poll.js";
import { failure } from "./failure.js";
import { provider } from "./hops.js";
import { skeleton } from "./skeleton.js";
import { decision, story } from "./story.js";
import { traceLink } from "./trace.js";
import { waterfall } from "./waterfall.js";

const EVERY_MS = 1_000;
const CALM_MS = 3_000;
const QUIET_MS = 15_000;
const SAID = { in_doubt: "No clear answer after", requires_action: "The payer was asked to act after" };

/**
 * A card with the waterfall. `path`: of the API's timeline; `subject()`: the payment or transfer as it is known now;
 * `live()`: whether its status may still change. It follows while it is live and until nothing has come for 15 s.
 * `.wake()`: something has changed, follow again. `level`: of its heading.
 */
export function timeline({ path, subject, live, signal, level = "h2" }) {
  const picture = waterfall(providerName(subject()?.provider));
  const told = h("p", { class: "tl-decision" });
  const body = h("div", skeleton(5));
  const state = h("span", { class: "small quiet" });
  const again = h("button", { type: "button", class: "plain", hidden: true, on: { click: wake } }, "Refresh");
  const trace = h("span");
  const head = h("div", { class: "card-head" }, h(level, "Timeline"), h("div", { class: "row" }, state, again, trace));
  let latest = "";
  let changedAt = 0;
  let following = false;

  async function load() {
    const { steps } = await api.get(path, {}, { signal });
    const now = JSON.stringify(steps);
    if (now !== latest) changedAt = performance.now();
    latest = now;
    draw(steps);
    return steps;
  }

  function draw(steps) {
    const rows = story(steps);
    picture.update(rows);
    fill(told, sentence(decision(rows), rows, providerName(subject()?.provider)));
    if (picture.parentNode !== body) fill(body, told, picture);
    if (!trace.hasChildNodes()) fill(trace, traceLink(subject()?.trace_id));
  }

  async function wake() {
    changedAt = performance.now();
    if (following) return;
    following = true;
    again.hidden = true;
    state.textContent = "Following live";
    let failed = null;
    const onError = (problem) => (failed = problem);
    const until = () => !live() && performance.now() - changedAt > QUIET_MS;
    const everyMs = () => (performance.now() - changedAt > QUIET_MS ? CALM_MS : EVERY_MS);
    await poll(load, { everyMs, signal, until, onError });
    following = false;
    state.textContent = "";
    again.hidden = false;
    if (failed && !latest && !signal?.aborted)
      fill(
        body,
        failure(failed, () => (fill(body, skeleton(5)), void wake())),
      );
  }

  void wake();
  return Object.assign(h("section", { class: "card timeline" }, head, body), { wake });
}

/** "Captured in 14 ms: 3.2 ms at the bank, 10.8 ms our own. …" */
function sentence(decided, rows, who) {
  if (!decided) return null;
  const { what, declined, totalMs, bankMs, ownMs } = decided;
  const word = declined ? "declined" : what.split(".")[1];
  const parts = bankMs === null ? "" : `: ${duration(bankMs)} at ${who}, ${duration(ownMs)} our own`;
  const said = `${SAID[word] ?? `${capital(words(word))} in`} ${duration(totalMs)}`;
  const doubt = rows.find(({ kind }) => kind === "doubt");
  const after =
    doubt &&
    (doubt.open
      ? " Nobody knows the outcome yet; the bank is asked again until it is known."
      : ` The doubt was resolved ${duration(doubt.endMs - doubt.startMs)} later.`);
  return [h("strong", said), parts, ".", after];
}

function providerName(name) {
  return !name || name === "bank" ? "the bank" : provider(name);
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
