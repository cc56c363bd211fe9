// @ts-check
/** Following something until it is final. */
import { poll } from "../poll.js";

/**
 * A function that begins to follow, unless it does already: it calls `load` every `everyMs()` milliseconds, as long as
 * that is not null; it ends too when `signal` aborts, or when asking again cannot change the answer.
 */
export function follower(load, everyMs, signal) {
  let following = false;
  return async function follow() {
    if (following || everyMs() === null) return;
    following = true;
    await poll(load, { everyMs: () => everyMs() ?? 0, signal, until: () => everyMs() === null });
    following = false;
  };
}
