// @ts-check
/** A page with a list: search, filters that stay in the address, pages by cursor, and rows that follow what happens. */
import { api } from "../api.js";
import { fill, h } from "../dom.js";
import { words } from "../format.js";
import { poll } from "../poll.js";
import { go, query, setQuery } from "../router.js";
import { empty } from "./empty.js";
import { failure } from "./failure.js";
import { field } from "./field.js";
import { pager } from "./pager.js";
import { anyMoving } from "./rules.js";
import { dayStart, readSearch } from "./search.js";
import { skeleton } from "./skeleton.js";
import { table } from "./table.js";
import { toast } from "./toast.js";

const LIMIT = 25;
const EVERY_MS = 3_000;
const CALM_ROUNDS = 4;
const NAMED = { order_id: "Order id", last4: "Card ends with", transaction_id: "Of payment" };
export const PROVIDERS = ["bank", "stripe", "mock", "internal"];

/**
 * Draws it into `main` and keeps it current until `signal` aborts. `path`: of the API's list; `statuses`: [word];
 * `unfinished`: the statuses that "unfinished" stands for; `providers`: whether it can be filtered by them; `more`:
 * names of further query parameters that the address may hold; `columns` and `rowLink` as `table` takes them;
 * `nothing`: what is said if there is nothing at all. `aside`: nodes beside the heading, `above`: nodes below it.
 */
export async function listing(main, { title, path, statuses, unfinished, providers = false, more = [], ...rest }) {
  const { columns, rowLink, nothing, aside, above, signal } = rest;
  const names = ["status", ...(providers ? ["provider"] : []), "from", "to", ...more];
  const chips = h("div", { class: "searched", aria: { label: "Searched for" }, role: "group", hidden: true });
  const body = h("div", skeleton(8));
  const pages = h("div");
  const rows = table({ caption: title, columns, rows: [], rowLink });
  const form = filters({ statuses, unfinished, providers, change: () => void renew({ cursor: "" }) });
  const before = [];
  let shown = null;
  let wanted = 0;
  let round = 0;

  fill(
    main,
    h("div", { class: "page-head" }, h("h1", title), aside && h("div", { class: "row" }, aside)),
    above,
    searchBox(),
    h("section", { class: "card list", aria: { label: title } }, form, chips, body, pages),
  );

  async function load() {
    const mine = (wanted += 1);
    const page = await api.get(path, asked(names, unfinished), { signal });
    if (mine !== wanted) return;
    shown = page;
    rows.update(page.data);
    if (!page.data.length) fill(body, none());
    else if (rows.parentNode !== body) fill(body, rows);
    drawPager();
  }

  /** Only when its buttons change: who is on one stays there while the list follows what happens. */
  function drawPager() {
    const [next, previous] = [Boolean(shown.next_cursor), query().has("cursor")];
    if (pages.dataset.shown === `${next} ${previous}`) return;
    pages.dataset.shown = `${next} ${previous}`;
    pages.hidden = !next && !previous;
    fill(pages, pager({ next: next ? () => turn(shown.next_cursor) : null, previous: previous ? back : null }));
  }

  async function renew(changes) {
    setQuery(changes);
    if ("cursor" in changes && !changes.cursor) before.length = 0;
    drawChips();
    body.setAttribute("aria-busy", "true");
    try {
      await load();
    } catch (problem) {
      if (!signal.aborted)
        fill(
          body,
          failure(problem, () => void renew({})),
        );
    }
    body.removeAttribute("aria-busy");
  }

  async function turn(cursor) {
    before.push(query().get("cursor") ?? "");
    await renew({ cursor });
    main.querySelector("h1")?.scrollIntoView({ block: "start" });
  }

  async function back() {
    const cursor = before.pop() ?? "";
    setQuery({ cursor });
    await renew({});
  }

  function none() {
    const filtered = names.some((name) => query().get(name)) || query().has("cursor");
    if (!filtered) return nothing;
    const clear = h("button", { type: "button", on: { click: clearAll } }, "Clear all filters");
    return empty("Nothing fits these filters", "Take one away, or choose a longer time.", clear);
  }

  function clearAll() {
    form.reset();
    for (const input of form.querySelectorAll("input, select")) /** @type {any} */ (input).value = "";
    void renew({ ...Object.fromEntries(names.map((name) => [name, ""])), cursor: "" });
  }

  function drawChips() {
    const found = more.filter((name) => query().get(name));
    chips.hidden = !found.length;
    fill(
      chips,
      found.map((name) => chip(name, query().get(name), () => void renew({ [name]: "", cursor: "" }))),
    );
  }

  /** Often while something is moving, now and then on the first page, else never. */
  async function follow() {
    round += 1;
    const moving = shown && anyMoving(shown.data);
    const calm = !query().has("cursor") && round % CALM_ROUNDS === 0;
    if (shown && (moving || calm)) await load();
  }

  await renew({});
  await poll(follow, { everyMs: EVERY_MS, signal });
}

/** The query of the API for what the address says. */
function asked(names, unfinished) {
  const there = Object.fromEntries(names.map((name) => [name, query().get(name) ?? ""]));
  const { from, to, status, ...rest } = there;
  const state = status === "unfinished" ? unfinished : status;
  const days = { created_from: dayStart(from), created_to: dayStart(to, 1) };
  return { ...rest, status: state, ...days, limit: LIMIT, cursor: query().get("cursor") ?? "" };
}

function filters({ statuses, unfinished, providers, change }) {
  const options = [
    ["", "All"],
    ...(unfinished ? [["unfinished", "unfinished"]] : []),
    ...statuses.map((one) => [one, words(one)]),
  ];
  const fields = [
    field({ label: "Status", name: "status", type: "select", options, value: query().get("status"), required: true }),
    providers &&
      field({
        label: "Provider",
        name: "provider",
        type: "select",
        options: [["", "All"], ...PROVIDERS],
        value: query().get("provider"),
        required: true,
      }),
    field({ label: "From", name: "from", type: "date", value: query().get("from"), required: true }),
    field({ label: "To", name: "to", type: "date", value: query().get("to"), required: true }),
  ].filter(Boolean);
  const form = h(
    "form",
    { class: "filters", aria: { label: "Filters" }, novalidate: true },
    fields.map(({ element }) => element),
  );
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const { input } of fields) {
    input.removeAttribute("required");
    input.addEventListener("change", () => {
      setQuery({ [input.name]: input.value });
      const reversed = backwards();
      for (const { input: one, error } of fields)
        if (one.name === "to") error(reversed ? "This day lies before the first one." : "");
      if (!reversed) change();
    });
  }
  return form;
}

function backwards() {
  const [from, to] = [query().get("from"), query().get("to")];
  return Boolean(from && to && from > to);
}

function chip(name, value, remove) {
  const button = h(
    "button",
    { type: "button", class: "plain", aria: { label: `Remove: ${NAMED[name]} ${value}` }, on: { click: remove } },
    "Remove",
  );
  return h("span", { class: "chip" }, `${NAMED[name]} `, h("code", value), button);
}

/** Understands ids (goes to their page), order ids and the last four digits of a card (both filter the payments). */
function searchBox() {
  const { element, input, error } = field({
    label: "Search",
    name: "search",
    type: "search",
    hint: "A payment, refund or transfer id, an order id, or the last four digits of a card",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: 300,
    required: true,
  });
  input.removeAttribute("required");
  const form = h(
    "form",
    { class: "search", role: "search", novalidate: true },
    element,
    h("button", { type: "submit" }, "Search"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { path, orderId, last4, cardNumber, tooLong } = readSearch(input.value);
    if (tooLong) error("An order id has at most 255 characters.");
    else if (path) go(path);
    else if (orderId || last4)
      go(`/console/payments?${new URLSearchParams(orderId ? { order_id: orderId } : { last4 })}`);
    else error("Type an id, an order id, or four digits.");
    if (cardNumber)
      toast("Only the last four digits were used: whole card numbers belong nowhere but in a payment.", {
        kind: "info",
      });
  });
  return form;
}
