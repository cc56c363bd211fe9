// @ts-check
/** One thing to fill in: its label, its hint, and what was wrong with it. */
import { fill, h } from "../dom.js";

let made = 0;
const refusals = new WeakMap();

/**
 * `type`: any of `<input>`, or "select" (with `options`: [[value, text]] or [text]), "textarea", "checkbox". Other
 * properties (placeholder, autocomplete, inputmode, maxlength, min, pattern …) go to the input as they are.
 * Answers {element, input, error(text)}; `error("")` takes the message away.
 */
export function field({ label, name, type = "text", hint, value, required = false, options = [], ...rest }) {
  const id = `field-${(made += 1)}`;
  const input = drawInput(type, { id, name, required, ...rest }, value, options);
  const wrong = h("p", { id: `${id}-wrong`, class: "field-error", hidden: true });
  const told = hint && h("p", { id: `${id}-hint`, class: "hint" }, hint);
  const optional = !required && type !== "checkbox" && h("span", { class: "optional" }, "optional");
  const name_ = h("label", { for: id }, label, optional && [" ", optional]);
  const element = h(
    "div",
    { class: ["field", type === "checkbox" && "field-check"] },
    type === "checkbox" ? [input, name_] : [name_, told, input],
    type === "checkbox" && told,
    wrong,
  );
  describe(input, told, null);

  function error(text) {
    fill(wrong, text);
    wrong.hidden = !text;
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
    describe(input, told, text ? wrong : null);
  }

  refusals.set(input, error);
  input.addEventListener("input", () => wrong.hidden || error(""));
  return { element, input, error };
}

/**
 * Show in a form what the API refused: each of `problem.errors` at its field, the rest above the form. Any other error
 * is shown above the form too. The first wrong field gets focus.
 */
export function errorsInto(form, problem) {
  for (const input of form.querySelectorAll("[aria-invalid]")) refusals.get(input)?.("");
  form.querySelector(":scope > .form-error")?.remove();
  if (problem?.name === "AbortError") return;
  const loose = [];
  let first = null;
  for (const { field: name, reason } of problem?.errors ?? []) {
    const input = inputNamed(form, name);
    if (input) {
      refusals.get(input)?.(sentence(reason));
      first ??= input;
    } else loose.push(name ? `${name} ${reason}` : reason);
  }
  if (!first || loose.length) above(form, problem, loose);
  first?.focus();
}

function drawInput(type, props, value, options) {
  if (type === "select") {
    const drawn = options.map((option) => {
      const [is, text] = [option].flat();
      return h("option", { value: is, selected: String(is) === String(value ?? "") }, text ?? is);
    });
    return h("select", props, drawn);
  }
  if (type === "textarea") return h("textarea", { rows: 3, ...props }, value ?? "");
  if (type === "checkbox") return h("input", { ...props, type, checked: Boolean(value) });
  return h("input", { ...props, type, value });
}

function describe(input, hint, wrong) {
  const by = [hint, wrong].filter(Boolean).map((one) => one.id);
  if (by.length) input.setAttribute("aria-describedby", by.join(" "));
  else input.removeAttribute("aria-describedby");
}

function inputNamed(form, name) {
  const last = name?.split(".").at(-1);
  const inputs = [...form.querySelectorAll("input, select, textarea")];
  return inputs.find((input) => input.name === name) ?? inputs.find((input) => input.name && input.name === last);
}

function above(form, problem, loose) {
  const text = loose.length ? loose.map(sentence).join(" ") : (problem?.message ?? "Something went wrong.");
  const id = problem?.requestId && h("span", { class: "request-id" }, "Request ", h("code", problem.requestId));
  form.prepend(h("div", { class: "form-error", role: "alert" }, h("p", sentence(text)), id));
}

function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
