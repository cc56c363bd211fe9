// @ts-check
/** How it is going, for operators: rates, latencies, breakers, what waits, who works; anew every few seconds. */
import { api, can } from "../api.js";
import { fill, h } from "../dom.js";
import { empty } from "../parts/empty.js";
import { failure } from "../parts/failure.js";
import { field } from "../parts/field.js";
import { skeleton } from "../parts/skeleton.js";
import { poll } from "../poll.js";
import { link, query, setQuery } from "../router.js";
import { background } from "./operations/background.js";
import { concerns, concernsOf } from "./operations/concerns.js";
import { deadLetters } from "./operations/dead.js";
import { figures } from "./operations/figures.js";
import { latencies } from "./operations/latencies.js";
import { ago } from "./operations/parts.js";
import { pictures } from "./operations/pictures.js";
import { providers } from "./operations/providers.js";
import { waiting } from "./operations/waiting.js";

export const title = "Operations";

const EVERY_MS = 5_000;
const STALE_S = 20;
const WINDOWS = [
  ["1m", "1 minute"],
  ["5m", "5 minutes"],
  ["15m", "15 minutes"],
  ["1h", "1 hour"],
];

export async function show(main, { signal }) {
  const age = h("p", { class: "quiet" });
  const head = h("div", { class: "page-head" }, h("div", h("h1", title), age));
  if (!can("admin")) {
    const home = link("/console", "Go to the overview");
    fill(
      main,
      head,
      h("div", { class: "card" }, empty("For operators only", "This needs a key with the scope admin.", home)),
    );
    return;
  }
  const asked = query().get("window");
  const known = WINDOWS.some(([value]) => value === asked);
  const span = field({
    label: "Figures of the last",
    name: "window",
    type: "select",
    value: known ? asked : "5m",
    options: WINDOWS,
  });
  span.element.querySelector(".optional")?.remove();
  span.element.classList.add("beside");
  head.append(span.element);
  const wrong = h("div", { class: "wrong" });
  const look = concerns();
  const body = h("div", { class: "operations" }, skeleton(8));
  fill(main, head, wrong, look.element, body);

  const parts = [figures(), pictures(), latencies(), providers(), waiting(), deadLetters(signal), background()];
  let drawn = false;
  let measured = null;
  let asking = new AbortController();

  function draw(data) {
    fill(wrong);
    measured = { at: Date.now(), ageS: data.age_s };
    for (const part of parts) part.update(data);
    look.update(concernsOf(data));
    if (!drawn)
      fill(
        body,
        parts.map((part) => part.element),
      );
    drawn = true;
    tellAge();
  }

  function tellAge() {
    if (!measured) return;
    const s = measured.ageS === null ? null : measured.ageS + (Date.now() - measured.at) / 1000;
    const stale = s === null || s > STALE_S;
    age.dataset.stale = String(stale);
    const old = stale && s !== null && h("strong", " · these figures are old");
    fill(age, s === null ? "Nobody has measured anything yet" : `Measured ${ago(s)}`, old);
  }

  function follow() {
    asking.abort();
    asking = new AbortController();
    const both = AbortSignal.any([signal, asking.signal]);
    const fn = async () => draw(await api.get("/api/v1/operations", { window: span.input.value }, { signal: both }));
    const onError = (problem) => {
      fill(wrong, problem && failure(problem, follow));
      if (problem && !drawn) fill(body);
    };
    void poll(fn, { everyMs: EVERY_MS, signal: both, onError });
  }

  span.input.addEventListener("change", () => {
    setQuery({ window: span.input.value === "5m" ? "" : span.input.value });
    follow();
  });
  const ticking = setInterval(() => document.hidden || tellAge(), 1_000);
  signal.addEventListener("abort", () => clearInterval(ticking));
  follow();
}
