// @ts-check
/** Parts of a page that are drawn anew only when what they show has changed. */
import { fill, h } from "../dom.js";

/**
 * `part(of, make, props)`: an element with the children that `make` gives for what `of()` tells (JSON); hidden when it
 * gives none. `draw()` asks all parts again. A part that had focus and is drawn anew gives it to its first heading.
 */
export function sections() {
  const parts = [];

  function part(of, make, props = {}) {
    const element = h("div", { ...props, hidden: true });
    let known;
    parts.push(() => {
      const told = of();
      const now = JSON.stringify(told);
      if (now === known) return;
      known = now;
      const had = element.contains(document.activeElement);
      fill(element, make(told));
      element.hidden = !element.childNodes.length;
      if (had) giveFocus(element);
    });
    return element;
  }

  return { part, draw: () => parts.forEach((one) => one()) };
}

function giveFocus(element) {
  const heading = element.querySelector("h2, h3") ?? document.querySelector("h1");
  heading?.setAttribute("tabindex", "-1");
  heading?.focus({ preventScroll: true });
}
