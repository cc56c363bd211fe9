// @ts-check
/** The shape of what is being loaded. */
import { h } from "../dom.js";

/** `n` lines. Screen readers hear "Loading". */
export function skeleton(n = 3) {
  const lines = Array.from({ length: n }, () => h("div", { class: "skeleton-line", aria: { hidden: true } }));
  return h("div", { class: "skeleton", role: "status" }, h("span", { class: "unseen" }, "Loading …"), lines);
}
