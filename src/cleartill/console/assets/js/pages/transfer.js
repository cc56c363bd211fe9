// @ts-check
/** One deposit or withdrawal: what it is, how often the bank was asked, what went wrong, and its story. */
import { api, can } from "../api.js";
import { fill, h } from "../dom.js";
import { count, money, shortId, when, words } from "../format.js";
import { badge } from "../parts/badge.js";
import { confirm } from "../parts/dialog.js";
import { copyable, facts, metadataFacts } from "../parts/facts.js";
import { follower } from "../parts/follow.js";
import { provider } from "../parts/hops.js";
import { note, review } from "../parts/payment_notes.js";
import { anyMoving, followTransfer } from "../parts/rules.js";
import { sections } from "../parts/sections.js";
import { skeleton } from "../parts/skeleton.js";
import { timeline } from "../parts/timeline.js";
import { toast } from "../parts/toast.js";
import { traceLink } from "../parts/trace.js";
import { link } from "../router.js";

export const title = ({ id }) => `${named(id)} ${shortId(id)}`;

/** Draws the transfer and keeps it current. */
export async function show(main, { params, signal }) {
  const id = encodeURIComponent(params.id);
  const list = params.id.startsWith("wdr_") ? "withdrawals" : "deposits";
  const heading = h("h1", named(params.id));
  const under = h("div", { class: "under" });
  const actions = h("div", { class: "row actions" });
  const news = h("p", { class: "unseen", role: "status" });
  const trail = h(
    "nav",
    { class: "trail", aria: { label: "Breadcrumb" } },
    link(`/console/${list}`, `${named(params.id)}s`),
  );
  const waiting = skeleton(6);
  fill(main, h("div", { class: "page-head subject" }, h("div", trail, heading, under), actions), news, waiting);

  let transfer = await api.get(`/api/v1/${list}/${id}`, {}, { signal });
  const story = timeline({
    path: `/api/v1/transfers/${id}/timeline`,
    subject: () => transfer,
    live: () => anyMoving([transfer]) && !transfer.dead_letter,
    signal,
  });
  const { part, draw } = sections();
  part(() => [transfer.status, transfer.needs_review], drawHead);
  waiting.replaceWith(
    part(() => transfer, notesOf, { class: "stack notes" }),
    part(() => transfer, about, { class: "halves" }),
    story,
  );
  redraw();
  const follow = follower(load, () => followTransfer(transfer), signal);
  void follow();

  function redraw() {
    draw();
    const retriable = Boolean(transfer.dead_letter) && can("admin");
    if (retriable !== actions.hasChildNodes()) fill(actions, retriable && retryButton());
  }

  function drawHead() {
    fill(
      heading,
      h("span", { class: "unseen" }, `${named(params.id)} of `),
      h("span", { class: "sum" }, money(transfer.amount_minor, transfer.currency)),
      " ",
      badge(transfer.status),
      transfer.needs_review && [" ", badge("needs_review")],
    );
    fill(
      under,
      copyable(transfer.id, `${named(params.id).toLowerCase()} id`),
      h("span", { class: "quiet" }, "made ", when(transfer.created_at)),
    );
    return null;
  }

  async function load() {
    const before = transfer;
    transfer = await api.get(`/api/v1/${list}/${id}`, {}, { signal });
    if (before.status !== transfer.status)
      news.textContent = `The ${named(params.id).toLowerCase()} is now ${words(transfer.status)}.`;
    if (before.updated_at !== transfer.updated_at) story.wake();
    redraw();
    return transfer;
  }

  function retryButton() {
    const act = async () => {
      const body = "A worker takes it to the bank again. If the bank may have acted, it is asked about that first.";
      if (!(await confirm({ title: "Try this dead letter again?", body, yes: "Try again" }))) return;
      try {
        transfer = await api.post(`/api/v1/transfers/${id}/retry`, {});
        news.textContent = "It is being tried again.";
      } catch (problem) {
        toast(problem.message, { kind: "bad" });
      }
      redraw();
      story.wake();
      void follow();
    };
    return h("button", { type: "button", class: "primary", on: { click: act } }, "Try again");
  }
}

function notesOf(transfer) {
  const { status, type, error, dead_letter: dead, needs_review: why, amount_minor: amount, currency } = transfer;
  const reserved = type === "withdrawal" ? ` ${money(amount, currency)} stays reserved until then.` : "";
  return [
    why && review(why),
    status === "in_doubt" && note("doubt", "In doubt", h("p", `Nobody knows yet whether the bank did it.${reserved}`)),
    dead &&
      note(
        "bad",
        "Dead letter",
        h("p", `Nobody tries any more${dead === why ? "" : `: ${dead}`}. An operator can have it tried again.`),
      ),
    error &&
      note(
        "bad",
        error.code === "bank_refused" ? "The bank refused it" : "The bank could not be reached",
        h("p", error.message, type === "withdrawal" && " The amount is back in the balance."),
        error.network_code && h("p", { class: "small quiet" }, "The bank’s own code ", h("code", error.network_code)),
      ),
    ["pending", "processing"].includes(status) &&
      note("going", status === "pending" ? "Waits for a worker" : "With the bank", h("p", pendingWords(type))),
  ];
}

function pendingWords(type) {
  return type === "deposit"
    ? "The balance has it once it has succeeded. Faults that pass are tried again, up to five times."
    : "The amount is reserved, and given back if the bank refuses. Faults that pass are tried again, up to five times.";
}

function about(transfer) {
  const metadata = metadataFacts(transfer.metadata);
  return [
    h(
      "section",
      { class: "card" },
      h("h2", "Details"),
      facts([
        ["Kind", words(transfer.type)],
        ["Description", transfer.description],
        ["Times the bank was asked", count(transfer.attempts)],
        ["Created", when(transfer.created_at)],
        ["Last change", when(transfer.updated_at)],
      ]),
    ),
    h(
      "div",
      { class: "stack" },
      h(
        "section",
        { class: "card" },
        h("h2", "Bank"),
        facts([
          ["Provider", provider(transfer.provider)],
          ["Bank reference", copyable(transfer.bank_reference, "bank reference")],
          ["Trace", traceLink(transfer.trace_id) ?? copyable(transfer.trace_id, "trace id")],
        ]),
      ),
      metadata && h("section", { class: "card" }, h("h2", "Metadata"), metadata),
    ),
  ];
}

function named(id) {
  return id.startsWith("wdr_") ? "Withdrawal" : "Deposit";
}
