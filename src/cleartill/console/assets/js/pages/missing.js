// @ts-check
/** The page for an address that has none. */
import { h } from "../dom.js";
import { empty } from "../parts/empty.js";
import { link } from "../router.js";

export const title = "Not here";

export async function show(main) {
  main.append(
    h("div", { class: "page-head" }, h("h1", "This page is not here")),
    h(
      "section",
      { class: "card" },
      empty(
        "There is nothing at this address",
        "It may have been mistyped, or it belongs to another version of the console.",
        link("/console", "Go to the overview"),
      ),
    ),
  );
}
