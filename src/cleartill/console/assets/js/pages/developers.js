// @ts-check
/** For those who build on the API: keys, webhooks, the event catalogue, test cards, a first call. */
import { api, session } from "../api.js";
import { fill, h } from "../dom.js";
import { failure } from "../parts/failure.js";
import { skeleton } from "../parts/skeleton.js";
import { tabs } from "../parts/tabs.js";
import { drawCards } from "./developers/cards.js";
import { drawEvents } from "./developers/events.js";
import { drawFirstCall } from "./developers/first_call.js";
import { drawKeys } from "./developers/keys.js";
import { drawWebhooks } from "./developers/webhooks.js";

export const title = "Developers";

const TABS = [
  { id: "keys", title: "API keys", needs: "account:read", load: loadKeys, show: drawKeys },
  {
    id: "webhooks",
    title: "Webhooks",
    needs: "account:read",
    load: listOf("/api/v1/webhook-endpoints"),
    show: drawWebhooks,
  },
  { id: "events", title: "Event catalogue", load: listOf("/api/v1/event-types"), show: drawEvents },
  { id: "cards", title: "Test cards", load: listOf("/api/v1/test-cards"), show: drawCards },
  { id: "start", title: "First call", load: async () => null, show: drawFirstCall },
];

export async function show(main, { signal }) {
  const opened = TABS.map((tab) => ({ id: tab.id, title: tab.title, draw: (panel) => void draw(panel, tab, signal) }));
  const onOpen = (tab) => (document.title = `${tab.title} · Developers · cleartill`);
  fill(
    main,
    h(
      "div",
      { class: "page-head" },
      h("div", h("h1", title), h("p", "What you need to build on the API.")),
      h("p", h("a", { href: "/docs" }, "API reference")),
    ),
    tabs({ label: "For developers", tabs: opened, onOpen }),
  );
}

async function draw(panel, tab, signal) {
  fill(panel, skeleton(5));
  try {
    const found = await tab.load(signal);
    if (!signal.aborted) tab.show(panel, found, { signal, again: () => void draw(panel, tab, signal) });
  } catch (problem) {
    if (!signal.aborted)
      fill(
        panel,
        failure(problem, () => void draw(panel, tab, signal)),
      );
  }
}

async function loadKeys(signal) {
  const found = await api.get(`/api/v1/merchants/${encodeURIComponent(session().merchant_id)}/keys`, {}, { signal });
  return found.data;
}

/** Loads a list, whether it stands under `data` or alone. */
function listOf(path) {
  return async (signal) => {
    const found = await api.get(path, {}, { signal });
    return Array.isArray(found) ? found : found.data;
  };
}
