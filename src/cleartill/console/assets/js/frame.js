// @ts-check
/** What stands around every page: the brand, the navigation, who is logged in, the way out. */
import { api, can, enter } from "./api.js";
import { fill, h } from "./dom.js";
import { words } from "./format.js";
import { toast } from "./parts/toast.js";
import { go } from "./router.js";

const SECTIONS = [
  [{ path: "/console", name: "Overview" }],
  [
    { path: "/console/payments", name: "Payments" },
    { path: "/console/refunds", name: "Refunds" },
    { path: "/console/deposits", name: "Deposits" },
    { path: "/console/withdrawals", name: "Withdrawals" },
  ],
  [
    { path: "/console/try", name: "Try it" },
    { path: "/console/developers", name: "Developers" },
    { path: "/console/operations", name: "Operations", scope: "admin" },
  ],
];

const frame = /** @type {HTMLElement} */ (document.getElementById("frame"));
const side = /** @type {HTMLElement} */ (document.getElementById("side"));
let drawnFor = null;
let toggle = null;

/** Draw the frame for a session (null: nobody is logged in, and there is none); once for each. */
export function drawFrame(session) {
  if (session === drawnFor) return;
  drawnFor = session;
  side.hidden = session === null;
  frame.toggleAttribute("data-alone", session === null);
  fill(side, session && h("div", { class: "side-in" }, top(), body(session)));
}

/** Mark where one is: `section` is the path of a navigation entry, `path` the page itself. */
export function mark(section, path) {
  for (const anchor of side.querySelectorAll("nav a")) {
    const is = anchor.getAttribute("href");
    if (is === section) anchor.setAttribute("aria-current", is === path.replace(/(.)\/$/, "$1") ? "page" : "true");
    else anchor.removeAttribute("aria-current");
  }
}

/** Close the phone's menu. */
export function closeMenu() {
  side.removeAttribute("data-open");
  toggle?.setAttribute("aria-expanded", "false");
}

/** The brand: the way home. */
export function brand() {
  const mark_ = h("img", { src: "/console/assets/icon.svg", alt: "", width: 24, height: 24 });
  return h("a", { class: "brand", href: "/console" }, mark_, "cleartill");
}

function top() {
  const turn = () => {
    const open = side.toggleAttribute("data-open");
    toggle.setAttribute("aria-expanded", String(open));
  };
  toggle = h("button", { type: "button", class: "menu", aria: { expanded: false, controls: "side-body" } }, "Menu");
  toggle.addEventListener("click", turn);
  return h("div", { class: "side-top" }, brand(), toggle);
}

function body(session) {
  const entry = ({ path, name }) => h("a", { href: path }, name);
  const items = SECTIONS.flatMap((part) =>
    part
      .filter(({ scope }) => !scope || can(scope))
      .map((one, at) => h("li", { class: at === 0 && "nav-part" }, entry(one))),
  );
  return h(
    "div",
    { class: "side-body", id: "side-body" },
    h(
      "div",
      { class: "who" },
      h("span", { class: "who-name" }, session.merchant_name),
      session.environment !== "production" && h("span", { class: "who-where" }, words(session.environment)),
    ),
    h("nav", { class: "nav", aria: { label: "Console" } }, h("ul", items)),
    h(
      "div",
      { class: "leave" },
      h("a", { class: "small", href: "/docs" }, "API documentation"),
      h("p", { class: "leave-mail" }, session.email),
      h("button", { type: "button", on: { click: leave } }, "Log out"),
    ),
  );
}

async function leave() {
  try {
    await api.post("/api/v1/auth/logout");
  } catch (problem) {
    if (problem.status !== 401) return void toast(`Not logged out: ${problem.message}`, { kind: "bad" });
  }
  enter(null);
  go("/console/login?left=1");
}

side.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !side.hasAttribute("data-open")) return;
  closeMenu();
  toggle?.focus();
});
