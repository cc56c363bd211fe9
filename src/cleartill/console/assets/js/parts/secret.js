// @ts-check
/** What is shown once, and what is copied. */
import { fill, h } from "../dom.js";
import { dialog } from "./dialog.js";
import { toast } from "./toast.js";

const SAID_MS = 2_000;

/** A button that copies `text`. `what`: its name for those who only hear the button. */
export function copyButton(text, what = "") {
  const said = h("span", "Copy");
  const button = h("button", { type: "button", class: "copy", aria: { label: what && `Copy ${what}` } }, said);
  let back;
  button.addEventListener("click", async () => {
    if (!(await copied(text))) {
      toast("The browser does not let pages copy. Select the text and copy it by hand.", { kind: "bad" });
      return;
    }
    fill(said, "Copied");
    toast(what ? `Copied: ${what}` : "Copied", { kind: "good" });
    clearTimeout(back);
    back = setTimeout(() => fill(said, "Copy"), SAID_MS);
  });
  return button;
}

/**
 * Show a secret for the only time. `what`: "API key"; `more`: Node or text below it. Resolves once it is put away,
 * which Escape alone does not do: a slip must not cost a key.
 */
export async function showSecret({ title, what, secret, more }) {
  const shown = h("code", { class: "secret", tabindex: 0, aria: { label: what } }, secret);
  shown.addEventListener("focus", () => getSelection()?.selectAllChildren(shown));
  const warning = h(
    "p",
    { class: "note", data: { kind: "doubt" } },
    h("strong", "This is the only time it is shown. "),
    "It can be replaced later, but not read again. Store it where your secrets are kept, never in code.",
  );
  const body = h("div", { class: "secret-box" }, h("div", { class: "secret-row" }, shown, copyButton(secret, what)));
  const { element, closed } = dialog({
    title,
    body: h("div", { class: "stack" }, body, warning, more && h("div", more)),
    actions: [{ label: "I have stored it", kind: "primary", value: true }],
    cancel: null,
  });
  element.classList.add("wide");
  element.addEventListener("cancel", (event) => event.preventDefault());
  element.addEventListener("keydown", (event) => event.key === "Escape" && event.preventDefault());
  await closed;
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
