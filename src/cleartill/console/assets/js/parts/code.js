// @ts-check
/** Code to read: JSON laid out and coloured, and commands to copy. Everything is text, whatever it holds. */
import { h } from "../dom.js";
import { copyButton } from "./secret.js";

const MOST = 200_000;
const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;

/** A value as indented JSON in a region that can be scrolled by keyboard. `label`: what it is. */
export function json(value, label) {
  const text = JSON.stringify(value, null, 2) ?? "";
  return block(text.length > MOST ? `${text.slice(0, MOST)}\n…` : coloured(text), text, label, "json");
}

/** A text as it is: a command, or what somebody answered. */
export function plain(text, label) {
  return block(text, text, label, "plain-text");
}

function block(inside, text, label, kind) {
  const code = h("pre", { class: kind, tabindex: 0, role: "region", aria: { label } }, h("code", inside));
  return h("div", { class: "code-block" }, code, copyButton(text, label));
}

function coloured(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(TOKEN)) {
    const [whole, string, colon, number] = found;
    parts.push(text.slice(end, found.index));
    const kind = string ? (colon ? "key" : "string") : number ? "number" : "word";
    parts.push(h("span", { class: `json-${kind}` }, string ?? whole), colon ?? "");
    end = found.index + whole.length;
  }
  return [...parts, text.slice(end)];
}
