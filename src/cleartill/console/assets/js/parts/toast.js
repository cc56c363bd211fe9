// @ts-check
/** Short news, read aloud once: it leaves by itself, bad news only when it is put away. */
import { h } from "../dom.js";

const STAYS_MS = 6_000;
const MOST = 4;

/** Tell something. `kind`: "good", "bad" or "info". */
export function toast(text, { kind = "info" } = {}) {
  const region = /** @type {HTMLElement} */ (document.getElementById("toasts"));
  const away = () => {
    element.remove();
    if (!region.children.length) region.hidePopover?.();
  };
  const element = h(
    "div",
    { class: "toast", data: { kind } },
    h("p", text),
    h(
      "button",
      { type: "button", class: "plain", aria: { label: `Dismiss: ${text}` }, on: { click: away } },
      "Dismiss",
    ),
  );
  while (region.children.length >= MOST) region.firstElementChild?.remove();
  region.hidePopover?.(); // shown anew, it is above a dialog that was opened meanwhile
  region.showPopover?.();
  region.append(element);
  if (kind !== "bad") leaveLater(element, away);
}

/** Not while one points at it or is in it. */
function leaveLater(element, away) {
  const wait = () => setTimeout(() => (element.matches(":hover, :focus-within") ? wait() : away()), STAYS_MS);
  wait();
}
