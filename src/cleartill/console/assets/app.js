// @ts-check
/** The console: which page an address is, who is logged in, and getting from one page to the next. */
import { enter, onEnd, resume, session } from "./js/api.js";
import { fill, h } from "./js/dom.js";
import { closeMenu, drawFrame, mark } from "./js/frame.js";
import { failure } from "./js/parts/failure.js";
import { skeleton } from "./js/parts/skeleton.js";
import { go, match, query, start } from "./js/router.js";

const LOGIN = "/console/login";
const ROUTES = {
  [LOGIN]: { page: "login" },
  "/console": { page: "overview", section: "/console" },
  "/console/payments": { page: "payments", section: "/console/payments" },
  "/console/payments/:id": { page: "payment", section: "/console/payments" },
  "/console/refunds": { page: "refunds", section: "/console/refunds" },
  "/console/refunds/:id": { page: "refund", section: "/console/refunds" },
  "/console/deposits": { page: "transfers", section: "/console/deposits" },
  "/console/withdrawals": { page: "transfers", section: "/console/withdrawals" },
  "/console/transfers/:id": { page: "transfer", section: transfersOf },
  "/console/developers": { page: "developers", section: "/console/developers" },
  "/console/developers/webhooks/:id": { page: "endpoint", section: "/console/developers" },
  "/console/developers/deliveries/:id": { page: "delivery", section: "/console/developers" },
  "/console/operations": { page: "operations", section: "/console/operations" },
  "/console/try": { page: "try", section: "/console/try" },
};
const NOWHERE = { page: "missing", section: undefined };
/** In place of a page whose file could not be fetched: offline, or in the middle of a release. */
const UNREACHED = {
  title: "Not loaded",
  async show(main) {
    const problem = { title: "This page could not be loaded", detail: "The server cannot be reached just now." };
    fill(
      main,
      h("h1", "Not loaded"),
      failure(problem, () => location.reload()),
    );
  },
};
const LOADING_SHOWN_AFTER_MS = 150;
const SCROLL_PATIENCE_MS = 3_000;

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
let stay = new AbortController();
let first = true;

async function arrive({ scrollTo }) {
  stay.abort(new DOMException("left the page", "AbortError"));
  stay = new AbortController();
  const { signal } = stay;
  for (const dialog of document.querySelectorAll("dialog[open]")) /** @type {HTMLDialogElement} */ (dialog).close();
  const found = match(ROUTES, location.pathname);
  const { page, section } = found?.page ?? NOWHERE;
  const params = found?.params ?? {};
  if (elsewhere(page)) return;
  drawFrame(session());
  mark(typeof section === "function" ? section(params) : section, location.pathname);
  closeMenu();
  const module = await loaded(page, signal);
  if (signal.aborted) return;
  document.title = titled(typeof module.title === "function" ? module.title(params) : module.title);
  const shown = show(module, { params, query: query(), signal });
  if (scrollTo) keepScrolling(scrollTo, signal);
  else window.scrollTo(0, 0);
  if (!first) focusHeading();
  first = false;
  await shown;
  if (!signal.aborted && document.activeElement === document.body) focusHeading();
}

/** Who is not logged in goes to the login page and comes back; who is has nothing to do there. Whether one was sent. */
function elsewhere(page) {
  if (!session() && page !== "login") {
    go(loginPath(), { replace: true });
    return true;
  }
  if (session() && page === "login") {
    go(returnPath(), { replace: true });
    return true;
  }
  return false;
}

async function show(module, there) {
  fill(main);
  try {
    await module.show(main, there);
  } catch (problem) {
    if (there.signal.aborted || problem?.name === "AbortError") return;
    if (problem?.name !== "Problem") console.error(problem);
    const heading = main.querySelector("h1") ?? h("h1", document.title.replace(/ · cleartill$/, ""));
    fill(
      main,
      heading.closest(".page-head") ?? heading,
      failure(problem, () => void arrive({ scrollTo: 0 })),
    );
  }
}

async function loaded(page, signal) {
  const slow = setTimeout(() => signal.aborted || fill(main, skeleton(4)), LOADING_SHOWN_AFTER_MS);
  try {
    return await import(`./js/pages/${page}.js`);
  } catch (error) {
    console.error(error);
    return UNREACHED;
  } finally {
    clearTimeout(slow);
  }
}

function focusHeading() {
  const heading = main.querySelector("h1") ?? main;
  if (main.contains(document.activeElement) && document.activeElement !== main) return; // a page that chose for itself
  heading.setAttribute("tabindex", "-1");
  heading.focus({ preventScroll: true });
}

/** Back to where one had scrolled to, as soon as the page is long enough, unless one scrolls oneself. */
function keepScrolling(to, signal) {
  const until = AbortSignal.any([signal, AbortSignal.timeout(SCROLL_PATIENCE_MS)]);
  const done = new AbortController();
  const reach = () => {
    window.scrollTo(0, to);
    if (Math.abs(scrollY - to) < 2) done.abort();
  };
  const grown = new ResizeObserver(reach);
  const stop = () => grown.disconnect();
  until.addEventListener("abort", stop);
  done.signal.addEventListener("abort", stop);
  for (const type of ["wheel", "touchmove", "keydown", "pointerdown"]) {
    addEventListener(type, () => done.abort(), { once: true, passive: true, signal: until });
  }
  grown.observe(main);
}

function transfersOf({ id }) {
  return id.startsWith("wdr_") ? "/console/withdrawals" : "/console/deposits";
}

function titled(title) {
  return `${title} · cleartill`;
}

function loginPath(ended = false) {
  const told = new URLSearchParams();
  const here = location.pathname + location.search;
  if (ended) told.set("ended", "1");
  if (here !== "/console" && !here.startsWith(LOGIN)) told.set("next", here);
  return told.size ? `${LOGIN}?${told}` : LOGIN;
}

/** Where the login page leads: only ever within the console. */
function returnPath() {
  const asked = query().get("next") ?? "";
  if (!asked.startsWith("/console") || !URL.canParse(asked, location.origin)) return "/console";
  const { origin, pathname, search } = new URL(asked, location.origin);
  const inside = origin === location.origin && /^\/console(\/(?!login)|$)/.test(pathname);
  return inside ? pathname + search : "/console";
}

function end() {
  if (!location.pathname.startsWith(LOGIN)) go(loginPath(true), { replace: true });
}

async function begin() {
  onEnd(end);
  addEventListener("visibilitychange", async () => {
    const known = session();
    if (document.hidden || !known || Date.parse(known.expires_at) > Date.now()) return;
    if ((await resume().catch(() => known)) === null) end();
  });
  const slow = setTimeout(() => fill(main, skeleton(4)), LOADING_SHOWN_AFTER_MS);
  try {
    await resume();
    clearTimeout(slow); // from here on pages draw what they wait for
    start(arrive);
    await arrive({ scrollTo: history.state?.scrollY ?? 0 });
  } catch (problem) {
    enter(null);
    fill(
      main,
      h("h1", "The console could not start"),
      failure(problem, () => location.reload()),
    );
  } finally {
    clearTimeout(slow);
  }
}

void begin();
