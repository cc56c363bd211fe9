// @ts-check
/** The way in: an e-mail address and an API key. */
import { api, enter } from "../api.js";
import { fill, h } from "../dom.js";
import { errorsInto, field } from "../parts/field.js";
import { go } from "../router.js";

export const title = "Log in";
const WRONG = "This e-mail address and API key do not go together.";

export async function show(main, { query, signal }) {
  const asked = { required: true, spellcheck: "false" };
  const email = field({ label: "E-mail", name: "email", type: "email", autocomplete: "username", ...asked });
  const key = field({
    label: "API key",
    name: "api_key",
    type: "password",
    autocomplete: "current-password",
    ...asked,
  });
  key.input.setAttribute("placeholder", "sk_…");
  const button = h("button", { type: "submit", class: "primary" }, "Log in");
  const form = h("form", { class: "fields", novalidate: true }, email.element, key.element, button);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (complete(email, key)) void login(form, email.input, key.input, button);
  });
  const local = h("p", { class: "login-hint small", hidden: true });
  main.append(
    h(
      "div",
      { class: "login" },
      h(
        "p",
        { class: "brand" },
        h("img", { src: "/console/assets/icon.svg", alt: "", width: 24, height: 24 }),
        "cleartill",
      ),
      h("div", { class: "card" }, h("h1", "Log in"), news(query), form),
      local,
    ),
  );
  email.input.focus();
  await hintFor(local, signal);
}

function news(query) {
  if (query.has("ended"))
    return h("p", { class: "note", role: "status" }, "Your session has ended. Please log in again.");
  if (query.has("left"))
    return h("p", { class: "note", data: { kind: "good" }, role: "status" }, "You are logged out.");
  return null;
}

function complete(email, key) {
  email.error(email.input.value.trim() ? "" : "Please enter your e-mail address.");
  key.error(key.input.value.trim() ? "" : "Please enter an API key.");
  const missing = [email, key].find(({ input }) => input.hasAttribute("aria-invalid"));
  missing?.input.focus();
  return !missing;
}

async function login(form, email, key, button) {
  button.disabled = true;
  try {
    const told = { email: email.value.trim(), api_key: key.value.trim() };
    enter(await api.post("/api/v1/auth/login", told, { quiet: true }));
    go(location.pathname + location.search, { replace: true }); // the app knows where one came from
  } catch (problem) {
    button.disabled = false;
    errorsInto(form, said(problem));
    if ([401, 422].includes(problem.status)) key.select();
  }
}

/** A wrong login says no more than that, whatever was wrong with it. */
function said(problem) {
  if ([400, 401, 422].includes(problem.status)) return new Error(WRONG);
  if (problem.status !== 429) return problem;
  return new Error(`Too many tries. Please wait ${Math.ceil(problem.retryAfterS ?? 60)} seconds, then try again.`);
}

/** On one's own machine: where a first login is to be found. */
async function hintFor(place, signal) {
  const { environment } = await api.get("/", {}, { signal }).catch(() => ({}));
  if (environment !== "development") return;
  fill(
    place,
    "On this machine: ",
    h("code", "demo@merchant.example"),
    ", with the demo key that ",
    h("code", "make run"),
    " shows.",
  );
  place.hidden = false;
}
