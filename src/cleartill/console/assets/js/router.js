// @ts-check
/** Where in the console one is: addresses, links and the way back. */
import { h } from "./dom.js";

let arrive = () => {};

/** An `<a>` to a page; `path` begins with /console. Any such link navigates within, wherever it stands. */
export function link(path, ...children) {
  return h("a", { href: path }, ...children);
}

/** Navigate to a page, with a new history entry (`replace`: in place of this one). */
export function go(path, { replace = false } = {}) {
  remember();
  history[replace ? "replaceState" : "pushState"]({}, "", path);
  arrive({ scrollTo: 0 });
}

/** What the address asks for, after the `?`. */
export function query() {
  return new URLSearchParams(location.search);
}

/** Change parts of the query without a new history entry and without drawing the page anew; "" takes one out. */
export function setQuery(changes) {
  const told = query();
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === null || value === "") told.delete(name);
    else told.set(name, String(value));
  }
  const text = told.toString();
  history.replaceState(history.state, "", location.pathname + (text && `?${text}`));
}

/**
 * For app.js: find the page of a path. `routes`: {"/console/payments/:id": page}. Answers {page, params, pattern}, or
 * null. A `:name` takes one segment, decoded.
 */
export function match(routes, path) {
  const asked = trimmed(path).split("/");
  for (const [pattern, page] of Object.entries(routes)) {
    const parts = pattern.split("/");
    if (parts.length !== asked.length) continue;
    const params = {};
    const fits = parts.every((part, at) => {
      if (!part.startsWith(":")) return part === asked[at];
      params[part.slice(1)] = decoded(asked[at]);
      return asked[at] !== "" && params[part.slice(1)] !== null;
    });
    if (fits) return { page, params, pattern };
  }
  return null;
}

/** For app.js: call `heard({scrollTo})` on every navigation; `scrollTo` is in pixels. */
export function start(heard) {
  arrive = heard;
  history.scrollRestoration = "manual";
  addEventListener("popstate", (event) => arrive({ scrollTo: event.state?.scrollY ?? 0 }));
  addEventListener("pagehide", remember);
  let settled;
  addEventListener("scroll", () => (clearTimeout(settled), (settled = setTimeout(remember, 150))), { passive: true });
  document.addEventListener("click", follow);
}

function follow(event) {
  const anchor = event.target instanceof Element ? event.target.closest("a[href]") : null;
  if (!(anchor instanceof HTMLAnchorElement) || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || anchor.target || anchor.download) return;
  const to = new URL(anchor.href);
  if (to.origin !== location.origin || !/^\/console(\/|$)/.test(to.pathname)) return;
  if (to.pathname.startsWith("/console/assets/") || (to.hash && samePage(to))) return;
  event.preventDefault();
  go(to.pathname + to.search + to.hash, { replace: to.href === location.href });
}

function samePage(to) {
  return to.pathname === location.pathname && to.search === location.search;
}

function remember() {
  history.replaceState({ ...history.state, scrollY: Math.round(scrollY) }, "");
}

function trimmed(path) {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

function decoded(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}
