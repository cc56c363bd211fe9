// @ts-check
/** Dead letters: transfers that nobody tries any more, and trying them again. */
import { api } from "../../api.js";
import { fill, h } from "../../dom.js";
import { money, shortId, when, words } from "../../format.js";
import { badge } from "../../parts/badge.js";
import { confirm } from "../../parts/dialog.js";
import { empty } from "../../parts/empty.js";
import { failure } from "../../parts/failure.js";
import { pager } from "../../parts/pager.js";
import { table } from "../../parts/table.js";
import { toast } from "../../parts/toast.js";
import { section } from "./parts.js";

const LIMIT = 20;

/** {element, update(data)}: the list is asked for while there are any, and when their number has changed. */
export function deadLetters(signal) {
  const wrong = h("div");
  const turning = h("div");
  const before = [];
  let cursor = "";
  let known = null;
  let loading = false;
  const list = table({
    caption: "Dead letters, of all merchants",
    rows: [],
    empty: empty("No dead letters", "Every deposit and withdrawal has ended, or is still being tried."),
    columns: [
      { title: "Transfer", of: named },
      { title: "Amount", of: (row) => money(row.amount_minor, row.currency), numeric: true, lead: true },
      {
        title: "Merchant",
        of: (row) => h("code", { class: "nobreak", title: row.merchant_id }, shortId(row.merchant_id)),
      },
      { title: "Status", of: (row) => badge(row.status) },
      { title: "Why", of: why },
      { title: "Since", of: (row) => when(row.updated_at) },
      { title: "Change", of: retryButton },
    ],
  });
  const element = section("dead", "Dead letters", wrong, list, turning);

  async function load() {
    if (loading) return;
    loading = true;
    try {
      const page = await api.get("/api/v1/transfers/dead", { limit: LIMIT, cursor }, { signal });
      fill(wrong);
      list.update(page.data);
      const next = page.next_cursor ? () => (before.push(cursor), turn(page.next_cursor)) : null;
      fill(turning, pager({ next, previous: cursor ? () => turn(before.pop() ?? "") : null }));
    } catch (problem) {
      known = null;
      if (!signal.aborted) fill(wrong, failure(problem, load));
    } finally {
      loading = false;
    }
  }

  function turn(to) {
    cursor = to;
    void load();
  }

  function retryButton(row) {
    const label = `Retry ${row.id}`;
    return h("button", { type: "button", aria: { label }, on: { click: () => retry(row) } }, "Retry");
  }

  async function retry(row) {
    const what = `${words(row.type)} of ${money(row.amount_minor, row.currency)}`;
    const body = h(
      "div",
      { class: "stack" },
      h("p", "The ", what, " is taken to the bank again, with all of its tries before it."),
      h(
        "p",
        row.status === "in_doubt"
          ? "The bank is asked first what became of it, so that nothing happens twice."
          : "The bank surely did nothing before.",
      ),
    );
    if (!(await confirm({ title: `Retry this ${words(row.type)}?`, body, yes: "Retry" }))) return;
    try {
      await api.post(`/api/v1/transfers/${encodeURIComponent(row.id)}/retry`, {});
      toast(`The ${what} is being tried again.`, { kind: "good" });
    } catch (problem) {
      if (problem.status === 401) return;
      toast(problem.message, { kind: "bad" });
    }
    await load();
  }

  function update({ transfers }) {
    const same = known === transfers.dead;
    known = transfers.dead;
    if (!same || known) void load();
  }

  return { element, update };
}

function named(row) {
  const tries = `${row.attempts} ${row.attempts === 1 ? "try" : "tries"}`;
  const id = h("code", { class: "nobreak", title: row.id }, shortId(row.id));
  return h("span", { class: "hop" }, id, h("span", { class: "quiet small" }, `${words(row.type)} · ${tries}`));
}

function why(row) {
  const more = [row.error?.network_code && `network code ${row.error.network_code}`, row.error?.message]
    .filter(Boolean)
    .join(": ");
  return h(
    "span",
    { class: "hop" },
    h("span", row.dead_letter ?? words(row.error?.code)),
    more && h("span", { class: "quiet small" }, more),
  );
}
