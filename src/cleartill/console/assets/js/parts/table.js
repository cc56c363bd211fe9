// @ts-check
/** A table; on a phone each of its rows becomes a card. */
import { fill, h } from "../dom.js";
import { link } from "../router.js";

const ACTS = "a, button, input, select, textarea, label, summary";

/**
 * `columns`: [{title, of: row => Node|string, numeric?, lead?}]; the first one names the row. What is null or "" is
 * shown as a dash, and on a phone left out; `lead`: on a phone it stands beside the first one. `rowLink`: row => path
 * or null; the first cell becomes the link, and the whole row can be clicked. `empty`: instead of a table without rows.
 * The answer has `.update(rows)`: rows that did not change stay as they are, focus stays in the row that it is in.
 * `key`: row => what tells it from others; its id if not given. `caption` is read aloud; `showCaption` shows it too.
 */
export function table({ caption, columns, rows, rowLink, empty, key = (row) => row.id, showCaption = false }) {
  const head = columns.map(({ title, numeric }) =>
    h("th", { scope: "col", role: "columnheader", class: numeric && "numeric" }, title),
  );
  const body = h("tbody", { role: "rowgroup" });
  const drawn = h(
    "table",
    { role: "table" },
    h("caption", { class: !showCaption && "unseen" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
    body,
  );
  const element = h("div", { class: "table" });
  let known = new Map();

  function update(now) {
    const focused = body.contains(document.activeElement) ? document.activeElement?.closest("tr") : null;
    const place = focused ? [...focused.querySelectorAll(ACTS)].indexOf(document.activeElement) : -1;
    const next = new Map();
    now.forEach((row, at) => {
      const id = key(row) ?? `row ${at}`;
      const told = JSON.stringify(row);
      const old = known.get(id);
      next.set(id, old?.told === told ? old : { told, tr: drawRow(row, columns, rowLink), was: old?.tr });
    });
    const trs = [...next.values()].map(({ tr }) => tr);
    if (trs.some((tr, at) => body.children[at] !== tr) || trs.length !== body.children.length) fill(body, trs);
    known = next;
    if (!now.length && empty) fill(element, empty);
    else if (drawn.parentNode !== element) fill(element, drawn);
    if (focused) refocus([...next.values()].find(({ tr, was }) => tr === focused || was === focused)?.tr, place);
  }

  update(rows);
  return Object.assign(element, { update });
}

function refocus(tr, place) {
  if (tr && !tr.contains(document.activeElement)) tr.querySelectorAll(ACTS)[place]?.focus({ preventScroll: true });
}

function drawRow(row, columns, rowLink) {
  const path = rowLink?.(row);
  const cells = columns.map((column, at) => drawCell(row, column, at === 0, path));
  const tr = h("tr", { role: "row", class: path && "goes" }, cells);
  if (path) {
    tr.addEventListener("click", (event) => {
      const on = /** @type {Element} */ (event.target);
      if (!on.closest(ACTS) && !String(getSelection())) tr.querySelector("a")?.click();
    });
  }
  return tr;
}

function drawCell(row, { title, of, numeric, lead }, isFirst, path) {
  const said = of(row);
  const none = said === null || said === undefined || said === "";
  const inside = none ? h("span", { class: "quiet" }, "–") : said;
  const props = { class: [numeric && "numeric", lead && "lead"], data: { title, none } };
  if (!isFirst) return h("td", { role: "cell", ...props }, inside);
  return h("th", { role: "rowheader", scope: "row", ...props }, path ? linked(path, inside) : inside);
}

function linked(path, inside) {
  if (inside instanceof Element && (inside.matches("a") || inside.querySelector("a"))) return inside;
  return link(path, inside);
}
