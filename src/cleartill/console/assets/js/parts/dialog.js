// @ts-check
/** Questions that wait for an answer: the browser's own dialog, focus returned to where it was. */
import { fill, h } from "../dom.js";
import { errorsInto } from "./field.js";

let made = 0;

/**
 * A modal dialog. `body`: Node or text; if it is or holds a form, Enter in it is the first action of `actions`.
 * `actions`: [{label, kind: "primary"|"danger"|undefined, value, run?}], the one that is meant first. `run()` is
 * awaited with the buttons off; the dialog stays open if it answers false or throws (a Problem is shown in it).
 * A "Cancel" is added unless `cancel` is null. Answers {element, close(value), closed}; `closed` resolves to what `run`
 * answered, else to the action's `value`; to undefined when one has cancelled or pressed Escape.
 */
export function dialog({ title, body, actions, cancel = "Cancel" }) {
  const before = document.activeElement;
  const id = `dialog-${(made += 1)}`;
  const content = h("div", { class: "dialog-body" }, body);
  const form = content.querySelector("form");
  const buttons = h("div", { class: "dialog-actions" });
  const element = /** @type {HTMLDialogElement} */ (
    h("dialog", { aria: { labelledby: id } }, h("h2", { id }, title), content, buttons)
  );
  let answer;
  let busy = false;
  const close = (value) => ((answer = value), element.close());

  async function act(action) {
    if (busy) return;
    busy = true;
    element.toggleAttribute("data-busy", true);
    for (const button of buttons.children) button.toggleAttribute("disabled", true);
    try {
      const told = action.run ? await action.run() : undefined;
      if (told !== false) close(told ?? action.value);
    } catch (problem) {
      errorsInto(form ?? content, problem);
    } finally {
      busy = false;
      element.removeAttribute("data-busy");
      for (const button of buttons.children) button.removeAttribute("disabled");
    }
  }

  const pressed = actions.map((action, at) => {
    const sends = at === 0 && form;
    if (sends) form.id ||= `${id}-form`;
    const props = { type: sends ? "submit" : "button", form: sends ? form.id : null, class: action.kind ?? "" };
    return h("button", { ...props, on: sends ? {} : { click: () => act(action) } }, action.label);
  });
  if (cancel) pressed.push(h("button", { type: "button", on: { click: () => close(undefined) } }, cancel));
  fill(buttons, pressed);
  form?.addEventListener("submit", (event) => (event.preventDefault(), void act(actions[0])));
  element.addEventListener("cancel", (event) => busy && event.preventDefault());
  const closed = new Promise((resolve) => {
    element.addEventListener("close", () => {
      element.remove();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      resolve(answer);
    });
  });
  document.body.append(element);
  element.showModal();
  return { element, close, closed };
}

/** Ask yes or no. `body`: Node or text; `yes`: the button's words; `danger`: it is red, and "Cancel" has focus. */
export async function confirm({ title, body, yes, danger = false }) {
  const kind = danger ? "danger" : "primary";
  const { element, closed } = dialog({ title, body, actions: [{ label: yes, kind, value: true }] });
  if (danger) /** @type {HTMLElement} */ (element.querySelector(".dialog-actions button:last-child")).focus();
  return (await closed) === true;
}
