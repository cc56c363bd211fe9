// @ts-check
/** What went wrong, in place of what could not be shown. */
import { h } from "../dom.js";

/** `problem`: a Problem (or any error); `again`: what "Try again" calls, or nothing. */
export function failure(problem, again) {
  const tooMany = problem.status === 429;
  const wait = tooMany && problem.retryAfterS && `Wait ${Math.ceil(problem.retryAfterS)} s, then try again.`;
  const title = tooMany ? "Too many requests just now" : (problem.title ?? "Something went wrong");
  return h(
    "div",
    { class: "failure", role: "alert" },
    h("p", { class: "failure-title" }, title),
    h("p", wait || problem.detail || problem.message),
    problem.requestId && h("p", { class: "request-id" }, "Request ", h("code", problem.requestId)),
    again && h("button", { type: "button", on: { click: again } }, "Try again"),
  );
}
