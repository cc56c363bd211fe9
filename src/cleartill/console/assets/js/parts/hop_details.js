// @ts-check
/** What one row of a waterfall tells when it is opened. */
import { h } from "../dom.js";
import { duration } from "../format.js";
import { declineWords } from "./decline.js";
import { traceLink } from "./trace.js";

/** A list of facts: when, how long, and all that the API told, ids as they are. `fromMs`: when the story began. */
export function details(row, fromMs) {
  return h("dl", { class: "facts tl-hop-facts" }, [
    fact("At", [clock(row.startMs), h("span", { class: "quiet" }, ` · +${duration(row.startMs - fromMs)}`)]),
    row.endMs > row.startMs && !row.open && fact("Took", exactly(row.endMs - row.startMs)),
    row.wait && fact("Waited since its commit", exactly(row.wait.endMs - row.wait.startMs)),
    row.decline &&
      fact("Declined", `${declineWords(row.decline).title} (${row.decline.code}). ${row.decline.advice ?? ""}`),
    row.details.map(({ name, term, value, path }) =>
      fact(term, path ? h("a", { href: path }, h("code", value)) : plain(name, value)),
    ),
    row.traceId && fact("Trace", traceLink(row.traceId) ?? h("code", row.traceId)),
  ]);
}

function fact(term, value) {
  return [h("dt", term), h("dd", value)];
}

function plain(name, value) {
  return /^(status|what|reason|needs_review|error|operation|it_was)$/.test(name)
    ? value.replaceAll("_", " ")
    : h("code", value);
}

/** Milliseconds with their microseconds, as long as they matter. */
function exactly(ms) {
  return ms < 1000 ? `${ms.toFixed(3)} ms` : duration(ms);
}

/** The time of day to the microsecond, where one is, and the day if it is not today. */
function clock(ms) {
  const at = new Date(ms);
  const micro = String(Math.floor((ms - Math.floor(ms / 1000) * 1000) * 1000)).padStart(6, "0");
  const day =
    at.toDateString() === new Date().toDateString()
      ? ""
      : `${at.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" })}, `;
  return `${day}${at.toLocaleTimeString("en-GB")}.${micro}`;
}
