// @ts-check
/** Asking again until it is settled. */
import { pause } from "./api.js";

const SLOWEST_MS = 60_000;

/**
 * Calls `fn` at once, and again `everyMs` after it has answered: never two at a time, not while the tab is hidden,
 * slower after errors, and after 429 not before Retry-After. Ends when `until(result)` is true, `signal` aborts, or the
 * answer is one that asking again cannot change (401, 403, 404, 422). Answers the last result; never throws.
 * `everyMs` may be a function of the last result (undefined before there is one). `onError(problem)` hears of each
 * failure, and `onError(null)` once it works again.
 */
export async function poll(fn, { everyMs, signal, until = () => false, onError = () => {} }) {
  const after = (told) => (typeof everyMs === "function" ? everyMs(told) : everyMs);
  let result;
  for (let failures = 0; !signal?.aborted;) {
    let waitMs;
    try {
      result = await fn();
      if (signal?.aborted) break;
      if (failures) onError(null);
      failures = 0;
      if (until(result)) break;
      waitMs = after(result);
    } catch (problem) {
      if (signal?.aborted) break;
      failures += 1;
      onError(problem);
      if ([401, 403, 404, 422].includes(problem.status)) break;
      waitMs = Math.max(Math.min(after(result) * 2 ** failures, SLOWEST_MS), (problem.retryAfterS ?? 0) * 1000);
    }
    try {
      await pause(waitMs, signal);
      await visible(signal);
    } catch {
      break;
    }
  }
  return result;
}

function visible(signal) {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const seen = () => document.hidden || (document.removeEventListener("visibilitychange", seen), resolve());
    document.addEventListener("visibilitychange", seen, { signal });
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
