// @ts-check
/** From one page of a list to the next. */
import { h } from "../dom.js";

/** `next`, `previous`: what to call, or null at an end. Nothing is drawn if there is only one page. */
export function pager({ next, previous }) {
  if (!next && !previous) return h("div", { class: "pager", hidden: true });
  const turn = (label, act) => h("button", { type: "button", disabled: !act, on: { click: () => act?.() } }, label);
  return h("nav", { class: "pager", aria: { label: "Pages" } }, turn("Previous", previous), turn("Next", next));
}
