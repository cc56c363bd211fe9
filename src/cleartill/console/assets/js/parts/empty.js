// @ts-check
/** What stands where there is nothing yet: it says what to do next. */
import { h } from "../dom.js";

/** `action`: a link or button, or nothing. */
export function empty(title, text, action) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), h("p", text), action);
}
