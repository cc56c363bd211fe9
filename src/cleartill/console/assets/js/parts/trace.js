// @ts-check
/** The way to a trace, where there is a page that shows traces. */
import { session } from "../api.js";
import { h } from "../dom.js";

const TRACE_ID = /^[0-9a-f]{16,32}$/i;

/**
 * A link to a trace by the template that the session names; null if it names none. In a template stands `{trace_id}`
 * (32 hex digits) or `{trace_id_64}` (its lower half in decimal).
 */
export function traceLink(traceId, text = "Open the trace") {
  const address = traceAddress(session()?.links?.trace, traceId);
  if (!address) return null;
  return h(
    "a",
    { href: address, target: "_blank", rel: "noreferrer" },
    text,
    h("span", { class: "unseen" }, " (in a new tab)"),
  );
}

/** The address of a trace, or null: only of http or https, and only of what is a trace id. */
export function traceAddress(template, traceId) {
  if (!template || !TRACE_ID.test(traceId ?? "")) return null;
  const lower = BigInt(`0x${traceId.slice(-16)}`).toString();
  return webAddress(String(template).replaceAll("{trace_id_64}", lower).replaceAll("{trace_id}", traceId));
}

/** The text as an address, if it is one of http or https; else null. */
export function webAddress(text) {
  try {
    const address = new URL(text);
    return ["http:", "https:"].includes(address.protocol) ? address.href : null;
  } catch {
    return null;
  }
}
