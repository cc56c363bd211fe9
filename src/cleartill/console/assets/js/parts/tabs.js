// @ts-check
/** Tabs, kept in the address: arrow keys, Home and End go from one to the next. */
import { fill, h } from "../dom.js";
import { query, setQuery } from "../router.js";

/**
 * `label`: what they are of; `tabs`: [{id, title, draw: panel => void}], drawn when first opened. The one named by the
 * address's `?tab=` is open, else the first. `onOpen(tab)` hears which. Answers an element.
 */
export function tabs({ label, tabs: all, onOpen = () => {} }) {
  const drawn = new Set();
  const parts = all.map((tab) => {
    const button = h(
      "button",
      { type: "button", role: "tab", id: `tab-${tab.id}`, aria: { controls: `panel-${tab.id}` } },
      tab.title,
    );
    const panel = h("section", {
      role: "tabpanel",
      id: `panel-${tab.id}`,
      class: "panel",
      tabindex: 0,
      aria: { labelledby: `tab-${tab.id}` },
    });
    button.addEventListener("click", () => open(tab));
    return { tab, button, panel };
  });
  const list = h(
    "div",
    { role: "tablist", class: "tabs", aria: { label } },
    parts.map(({ button }) => button),
  );
  list.addEventListener("keydown", turn);

  function open(chosen) {
    for (const { tab, button, panel } of parts) {
      const here = tab === chosen;
      button.setAttribute("aria-selected", String(here));
      button.tabIndex = here ? 0 : -1;
      panel.hidden = !here;
      if (here && !drawn.has(tab)) {
        drawn.add(tab);
        tab.draw(panel);
      }
      if (here) button.scrollIntoView?.({ block: "nearest", inline: "nearest" });
    }
    setQuery({ tab: chosen === all[0] ? "" : chosen.id });
    onOpen(chosen);
  }

  function turn(event) {
    const at = parts.findIndex(({ button }) => button === event.target);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: parts.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const next = parts[(to + parts.length) % parts.length];
    open(next.tab);
    next.button.focus();
  }

  const element = h("div", { class: "tabbed" });
  fill(
    element,
    list,
    parts.map(({ panel }) => panel),
  );
  open(all.find((tab) => tab.id === query().get("tab")) ?? all[0]);
  return element;
}
