// @ts-check
/** One webhook delivery: the event, each try to tell it, and telling it again. */
import { api, can, pause, session } from "../api.js";
import { fill, h } from "../dom.js";
import { duration, exact, when } from "../format.js";
import { badge } from "../parts/badge.js";
import { json, plain } from "../parts/code.js";
import { confirm } from "../parts/dialog.js";
import { failure } from "../parts/failure.js";
import { skeleton } from "../parts/skeleton.js";
import { toast } from "../parts/toast.js";
import { poll } from "../poll.js";
import { link } from "../router.js";

export const title = "Webhook delivery";

const EVERY_MS = 2_000;
const SOON_MS = 15_000;
const ENVELOPE = "specversion id source type subject time datacontenttype sequence merchantid".split(" ");
const PAGES = {
  pay: "/console/payments/",
  ref: "/console/refunds/",
  dep: "/console/transfers/",
  wdr: "/console/transfers/",
  we: "/console/developers/webhooks/",
};

export async function show(main, { params, signal }) {
  const path = `/api/v1/webhook-deliveries/${encodeURIComponent(params.id)}`;
  const heading = h("h1", title);
  const crumbs = h("p", { class: "crumbs" }, link("/console/developers?tab=webhooks", "Webhooks"));
  const head = h("div", { class: "page-head" }, h("div", crumbs, heading));
  const state = h("div", { class: "row" });
  const live = h("p", { class: "unseen", role: "status" });
  const late = h("div");
  const about = h("section", { class: "card" }, skeleton(4));
  const tries = h("section", { class: "card" }, skeleton(3));
  const event = h("section", { class: "card" }, skeleton(8));
  head.append(state);
  fill(main, head, live, late, about, tries, event);
  let told = "";
  let known = null;
  let following = new AbortController();

  function draw(delivery) {
    fill(late);
    if (!known) {
      fill(event, h("h2", "The event"), json(enveloped(delivery.event), "The event as JSON"));
      fill(heading, h("code", delivery.event_type));
      crumbs.append(
        " / ",
        link(`/console/developers/webhooks/${encodeURIComponent(delivery.endpoint_id)}`, "Endpoint"),
      );
      document.title = `${delivery.event_type} · Webhook delivery · cleartill`;
    }
    const now = JSON.stringify([delivery.status, delivery.attempts, delivery.next_attempt_at]);
    if (now === told) return;
    if (known) live.textContent = `${delivery.status}, ${tried(delivery.attempts)}`;
    told = now;
    known = delivery;
    fill(state, badge(delivery.status), can("account:write") && again(delivery));
    fill(about, facts(delivery));
    fill(tries, h("h2", "Tries"), drawTries(delivery));
  }

  function again(delivery) {
    const props = { type: "button", class: delivery.status === "failed" ? "primary" : "", on: { click: resend } };
    return h("button", props, "Send again");
  }

  async function resend() {
    const body = h(
      "div",
      { class: "stack" },
      h(
        "p",
        "The same message is sent at once",
        known.status === "delivered" ? ", though it has been heard already." : ".",
      ),
      h("p", "It keeps its ", h("code", "webhook-id"), ", by which your server can tell that it is the same."),
    );
    if (!(await confirm({ title: "Send this delivery again?", body, yes: "Send again" }))) return;
    try {
      await api.post(`${path}/resend`, {});
      toast("It is on its way again.", { kind: "good" });
      follow();
    } catch (problem) {
      if (problem.status !== 401) toast(problem.message, { kind: "bad" });
    }
  }

  /** Until it is settled; not faster than there can be news: a try that is hours away is waited for at leisure. */
  function follow() {
    following.abort();
    following = new AbortController();
    const both = AbortSignal.any([signal, following.signal]);
    const failed = (problem) => fill(late, problem && failure(problem, problem.status === 404 ? undefined : follow));
    const fn = async () => {
      const delivery = await api.get(path, {}, { signal: both });
      draw(delivery);
      const leftMs = new Date(delivery.next_attempt_at ?? 0).getTime() - Date.now();
      if (delivery.status === "pending" && leftMs > SOON_MS) await pause(Math.min(leftMs - SOON_MS, SOON_MS), both);
      return delivery;
    };
    return poll(fn, { everyMs: EVERY_MS, signal: both, until: ({ status }) => status !== "pending", onError: failed });
  }

  draw(await api.get(path, {}, { signal }));
  if (known.status === "pending") void follow();
}

/** The event as it is known from the catalogue: its envelope first, its data last. */
function enveloped(event) {
  const first = ENVELOPE.filter((name) => name in event).map((name) => [name, event[name]]);
  const { data, ...rest } = event;
  return { ...Object.fromEntries(first), ...rest, data };
}

function tried(times) {
  return times === 1 ? "1 try" : `${times} tries`;
}

function facts(delivery) {
  const rows = [
    ["About", subject(delivery.subject)],
    ["Event", h("span", h("code", delivery.event_id), ` · number ${delivery.sequence} of its subject`)],
    ["Made", when(delivery.created_at)],
    delivery.delivered_at && ["Heard", when(delivery.delivered_at)],
    delivery.next_attempt_at && [
      "Next try",
      h("span", when(delivery.next_attempt_at), ` (${exact(delivery.next_attempt_at)})`),
    ],
    trace(delivery.event) && ["Trace", trace(delivery.event)],
    ["Id", h("code", delivery.id)],
  ];
  return h(
    "dl",
    { class: "facts" },
    rows.filter(Boolean).map(([name, value]) => [h("dt", name), h("dd", value)]),
  );
}

function subject(id) {
  const page = PAGES[id.split("_")[0]];
  return page ? link(page + encodeURIComponent(id), h("code", id)) : h("code", id);
}

/** The trace that the event arose in: the middle part of its traceparent. */
function trace(event) {
  const id = /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(String(event?.traceparent ?? ""))?.[1];
  if (!id) return null;
  const to = session()?.links?.trace;
  if (!to) return h("code", id);
  const lower = BigInt(`0x${id.slice(-16)}`).toString();
  const href = to.replace("{trace_id_64}", lower).replace("{trace_id}", id);
  return h("a", { href, target: "_blank", rel: "noreferrer noopener" }, h("code", id));
}

function drawTries(delivery) {
  if (!delivery.tries.length)
    return h("p", { class: "quiet" }, delivery.status === "pending" ? "None yet: it is about to be sent." : "None.");
  return h("ol", { class: "tries" }, [...delivery.tries].reverse().map(drawTry));
}

function drawTry(one) {
  const heard = one.status !== null && one.status >= 200 && one.status < 300;
  const what = one.status === null ? (one.error ?? "no answer") : `HTTP ${one.status}`;
  return h(
    "li",
    { data: { ok: heard } },
    h(
      "div",
      { class: "row" },
      h("strong", `Try ${one.number}`),
      badge(heard ? "delivered" : "failed", { text: heard ? what : what.replaceAll("_", " ") }),
      h("span", duration(one.latency_ms)),
      h("span", { class: "quiet" }, exact(one.at)),
    ),
    one.status !== null && one.error && h("p", { class: "small" }, one.error),
    one.response
      ? h("details", h("summary", "What it answered"), plain(one.response, `Answer to try ${one.number}`))
      : h("p", { class: "quiet small" }, one.status === null ? "There was no answer." : "The answer was empty."),
  );
}
