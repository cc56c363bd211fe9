// @ts-check
/** The overview: what is there, what came in today, how it goes, and the latest of all that moved. */
import { api, can, session } from "../api.js";
import { fill, h } from "../dom.js";
import { count, money, percent, when, words } from "../format.js";
import { badge } from "../parts/badge.js";
import { empty } from "../parts/empty.js";
import { failure } from "../parts/failure.js";
import { followTransfer, moveMoney } from "../parts/move.js";
import { skeleton } from "../parts/skeleton.js";
import { hourBars } from "../parts/spark.js";
import { table } from "../parts/table.js";
import { toast } from "../parts/toast.js";
import { poll } from "../poll.js";
import { link } from "../router.js";

export const title = "Overview";

const LATEST = 10;
const BALANCE_MS = 20_000; // at most 10 a minute may be asked, by keys and console together
const STATS_MS = 30_000;
const LIST_MS = 15_000;
const LIST_MOVING_MS = 4_000;
const MOVING_FOR_MS = 180_000;
const SOON_MS = 400;
const HOUR_MS = 3_600_000;

export async function show(main, { signal }) {
  let balances = [];
  const strips = h("div", { class: "stack", aria: { live: "polite" }, hidden: true });
  const move = (kind) => async () => {
    const made = await moveMoney(kind, balances);
    if (made) follow(made, strips, refresh, signal);
  };
  main.append(head(move), strips);
  const refreshers = [];
  const refresh = () => refreshers.forEach((again) => again());
  if (can("account:read")) {
    const held = tile("Balance");
    const drawBalances = (told) => fill(held.place, sums((balances = told.balances)));
    refreshers.push(
      watch(`/api/v1/merchants/${session().merchant_id}/balance`, {}, BALANCE_MS, held, drawBalances, signal),
    );
    main.append(h("div", { class: "grid tiles" }, held.element));
  }
  if (can("payments:read")) figures(main, refreshers, signal);
  if (can("account:read")) latest(main, refreshers, move, signal);
}

// ── the head, and what was just made ──

function head(move) {
  const actions = can("account:write") && [
    h("button", { type: "button", class: "primary", on: { click: move("deposit") } }, "Deposit"),
    h("button", { type: "button", on: { click: move("withdrawal") } }, "Withdraw"),
  ];
  return h("div", { class: "page-head" }, h("h1", title), h("div", { class: "row" }, actions));
}

function follow(made, strips, refresh, signal) {
  const strip = h("div", { class: "note made" });
  const amount = money(made.amount_minor, made.currency);
  const name = made.type === "deposit" ? `Deposit of ${amount}` : `Withdrawal of ${amount}`;
  const away = h("button", { type: "button", class: "plain made-end", on: { click: () => strip.remove() } }, "Dismiss");
  const draw = (now) => {
    strip.dataset.kind = { succeeded: "good", failed: "bad", in_doubt: "doubt" }[now.status] ?? "going";
    fill(strip, h("strong", name), badge(now.status), now.error && h("span", now.error.message), details(now.id), away);
  };
  draw(made);
  strips.hidden = false;
  strips.prepend(strip);
  refresh();
  void followTransfer(made, (now) => (draw(now), refresh()), signal).then((now) => {
    if (now?.status === "failed") toast(`${name} failed.`, { kind: "bad" });
  });
}

function details(id) {
  return link(`/console/transfers/${id}`, "Details");
}

// ── balances and figures ──

function sums(balances) {
  if (!balances.length)
    return h("p", { class: "quiet" }, "No money has moved yet. A deposit or a captured payment begins it.");
  const one = ({ currency, amount_minor: there, reserved_minor: reserved }) =>
    h(
      "li",
      h("p", { class: "figure", data: { below: there < 0 } }, money(there, currency)),
      reserved !== 0 && h("p", { class: "quiet small" }, `${money(reserved, currency)} set aside for withdrawals`),
    );
  return h("ul", { class: "sums", data: { many: balances.length > 2 } }, balances.map(one));
}

function figures(main, refreshers, signal) {
  const today = tile("Captured today");
  const rate = tile("Authorization rate, last 24 hours");
  const picture = tile("Last 24 hours", { heading: "Payments in the last 24 hours" });
  const tiles = main.querySelector(".tiles") ?? main.appendChild(h("div", { class: "grid tiles" }));
  tiles.append(today.element, rate.element);
  main.append(picture.element);
  const draw = (stats) => {
    fill(today.place, capturedToday(stats.points));
    fill(rate.place, authorized(stats));
    drawPicture(picture.place, stats.points);
  };
  // Points begin at full hours UTC; where midnight does not, minutes tell what was today.
  const step = new Date().getTimezoneOffset() % 60 ? "minute" : "hour";
  const places = { place: picture.place, others: [today.place, rate.place] };
  refreshers.push(watch("/api/v1/stats", { window: "24h", step }, STATS_MS, places, draw, signal));
}

function capturedToday(points) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  const of = new Map();
  for (const { at, money: sums_ } of points) {
    if (Date.parse(at) < midnight) continue;
    for (const { currency, amount_captured_minor: minor, captures } of sums_) {
      const sum = of.get(currency) ?? { minor: 0, captures: 0 };
      of.set(currency, { minor: sum.minor + minor, captures: sum.captures + captures });
    }
  }
  const had = [...of].filter(([, { captures }]) => captures > 0).sort();
  if (!had.length) return h("p", { class: "quiet" }, "Nothing yet today.");
  const one = ([currency, { minor, captures }]) =>
    h(
      "li",
      h("p", { class: "figure" }, money(minor, currency)),
      h("p", { class: "quiet small" }, several(captures, "payment")),
    );
  return h("ul", { class: "sums", data: { many: had.length > 2 } }, had.map(one));
}

function authorized({ authorization_rate: rate, approved, declined, declines }) {
  if (rate === null) return h("p", { class: "quiet" }, "No issuer was asked in this time.");
  const [first] = declines;
  return [
    h("p", { class: "figure" }, percent(rate)),
    h("p", { class: "quiet small" }, `${count(approved)} of ${count(approved + declined)} approved`),
    first && h("p", { class: "quiet small" }, `Most frequent decline: ${words(first.code)}`),
  ];
}

function drawPicture(place, points) {
  const hours = new Map();
  for (const { at, declined, money: sums_ } of points) {
    const begin = Math.floor(Date.parse(at) / HOUR_MS) * HOUR_MS;
    const hour = hours.get(begin) ?? { at: new Date(begin).toISOString(), captured: 0, declined: 0 };
    hour.captured += sums_.reduce((sum, { captures }) => sum + captures, 0);
    hour.declined += declined;
    hours.set(begin, hour);
  }
  const all = [...hours.values()];
  const open = place.querySelector("details")?.open ?? false;
  if (!all.some(({ captured, declined }) => captured + declined)) {
    const action = can("payments:write") && h("a", { class: "button", href: "/console/try" }, "Make a test payment");
    fill(
      place,
      empty("No payments in the last 24 hours", "As soon as one is made, it shows here, hour by hour.", action),
    );
    return;
  }
  const drawn = JSON.stringify(all);
  if (place.dataset.drawn === drawn && place.querySelector(".chart")) return;
  place.dataset.drawn = drawn;
  fill(place, hourBars(all));
  place.querySelector("details").open = open;
}

// ── the latest ──

function latest(main, refreshers, move, signal) {
  const listed = tile("Latest", { heading: "Latest transactions" });
  listed.element.querySelector(".card-head").append(link("/console/payments", "All payments"));
  main.append(listed.element);
  const action =
    can("account:write") && h("button", { type: "button", on: { click: move("deposit") } }, "Make a deposit");
  const drawn = table({
    caption: "The ten latest transactions",
    columns: [
      { title: "What", of: (row) => h("span", { class: "row-what" }, capital(row.type)) },
      { title: "Status", of: (row) => badge(row.status) },
      { title: "Reference", of: (row) => String(row.order_id ?? row.description ?? "") },
      { title: "When", of: (row) => when(row.created_at) },
      { title: "Amount", of: signed, numeric: true, lead: true },
    ],
    rows: [],
    rowLink: pathOf,
    empty: empty(
      "Nothing has moved yet",
      "Payments, refunds, deposits and withdrawals show here as they happen.",
      action,
    ),
  });
  const draw = ({ data }) => {
    drawn.update(data);
    if (!listed.place.contains(drawn)) fill(listed.place, drawn);
  };
  const everyMs = (told) => (told?.data.some(moves) ? LIST_MOVING_MS : LIST_MS);
  const path = `/api/v1/merchants/${session().merchant_id}/transactions`;
  refreshers.push(watch(path, { limit: LATEST }, everyMs, listed, draw, signal));
}

/** Whether its status will change soon by itself. Old doubts are not worth asking every few seconds. */
function moves({ type, status, created_at: at }) {
  if (Date.now() - Date.parse(at) > MOVING_FOR_MS) return false;
  const waits = status === "pending" && (type === "deposit" || type === "withdrawal");
  return waits || status === "processing" || status === "in_doubt";
}

function signed({ type, amount_minor: minor, currency }) {
  const out = type === "refund" || type === "withdrawal";
  return h("span", { class: out && "quiet" }, out ? `−${money(minor, currency)}` : money(minor, currency));
}

function capital(word) {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function pathOf({ id, type }) {
  if (type === "payment") return `/console/payments/${id}`;
  return type === "refund" ? `/console/refunds/${id}` : `/console/transfers/${id}`;
}

// ── places that keep themselves current ──

function tile(name, { heading } = {}) {
  const place = h("div", skeleton(heading ? 5 : 2));
  const top = heading ? h("div", { class: "card-head" }, h("h2", heading)) : h("h2", { class: "card-title" }, name);
  return { element: h("section", { class: "card", aria: { label: heading ?? name } }, top, place), place };
}

/** Ask and draw, again and again; what could not be had is said in its place. Answers what asks anew at once. */
function watch(path, query, everyMs, { place, others = [] }, draw, signal) {
  let round = new AbortController();
  let had = false;
  let asked = 0;
  const begin = () => {
    round.abort();
    round = new AbortController();
    const until = AbortSignal.any([signal, round.signal]);
    const ask = async () => {
      asked = Date.now();
      const told = await api.get(path, query, { signal: until });
      had = true;
      draw(told);
      return told;
    };
    const onError = (problem) => {
      if (had || !problem) return; // what was there a moment ago is worth more than a complaint
      fill(place, failure(problem, begin));
      for (const other of others) fill(other, h("p", { class: "quiet" }, "Not known at the moment."));
    };
    void poll(ask, { everyMs, signal: until, onError });
  };
  begin();
  let soon;
  return () => {
    clearTimeout(soon);
    const least = typeof everyMs === "number" ? everyMs / 3 : LIST_MOVING_MS / 4;
    soon = setTimeout(begin, Math.max(SOON_MS, asked + least - Date.now()));
  };
}

function several(n, noun) {
  return `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
}
