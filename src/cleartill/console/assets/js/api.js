// @ts-check
/** The public API, as the person who is logged in; and who that is. */

const TIMEOUT_MS = 30_000;
const TRIES = 3;
const PATIENCE_S = 5;
const MOVES_MONEY = /^\/api\/v1\/(payments|refunds|deposits|withdrawals)(\/|$)/;
const ENDED = "Your session has ended. Please log in again.";

let current = null;
let whenEnded = () => {};

/** What an API call failed with. `status` 0: no answer came. `retryAfterS`: seconds, or null. */
export class Problem extends Error {
  constructor({ status, code, title, detail, request_id, trace_id, errors, retryable }, retryAfterS = null) {
    super(detail || title || "Something went wrong");
    this.name = "Problem";
    this.status = status ?? 0;
    this.code = code ?? "unknown";
    this.title = title ?? "Something went wrong";
    this.detail = detail ?? "";
    this.requestId = request_id ?? null;
    this.traceId = trace_id ?? null;
    this.errors = errors ?? [];
    this.retryable = retryable ?? false;
    this.retryAfterS = retryAfterS;
  }
}

/**
 * Calls by path as in OpenAPI. Query values that are undefined, null or "" are left out. `options`: {signal}, and for
 * post {idempotencyKey}: a call that moves money gets one of its own if none is given, and keeps it while it retries.
 * Answers the JSON, or null where there is none. Throws Problem; DOMException AbortError when `signal` aborts.
 */
export const api = {
  get: (path, query = {}, options = {}) => send("GET", path + asQuery(query), undefined, options),
  post: (path, body, options = {}) => post(path, body, options),
  put: (path, body, options = {}) => send("PUT", path, body, options),
  patch: (path, body, options = {}) => send("PATCH", path, body, options),
  delete: (path, options = {}) => send("DELETE", path, undefined, options),
};

/** Who is logged in, as POST /api/v1/auth/login answered; null if nobody is. */
export function session() {
  return current;
}

/** Whether the one who is logged in has this scope. An administrator may everything. */
export function can(scope) {
  return current !== null && (current.scopes.includes(scope) || current.scopes.includes("admin"));
}

/** For app.js and the login page: this is the session from now on. */
export function enter(found) {
  current = found;
}

/** For app.js: ask the server whether there is a session. Throws Problem if it cannot tell. */
export async function resume() {
  try {
    current = await send("GET", "/api/v1/auth/session", undefined, { quiet: true });
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    current = null;
  }
  return current;
}

/** For app.js: what to do when a call learns that the session has ended. */
export function onEnd(heard) {
  whenEnded = heard;
}

/** A fresh idempotency key: keep it for as long as a person may press the same button again. */
export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Resolves after `ms`; rejects with AbortError as soon as `signal` aborts. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => (clearTimeout(timer), reject(signal.reason));
    const timer = setTimeout(() => (signal?.removeEventListener("abort", stop), resolve()), ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

async function post(path, body, { idempotencyKey, signal, quiet }) {
  const key = idempotencyKey ?? (MOVES_MONEY.test(path) ? newKey() : undefined);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await send("POST", path, body, { signal, quiet, key });
    } catch (problem) {
      if (!key || attempt === TRIES || !worthRepeating(problem)) throw problem;
      await pause((problem.retryAfterS ?? attempt) * 1000, signal);
    }
  }
}

/** Under one idempotency key a repeat can do nothing twice: after silence, and while the first is still under way. */
function worthRepeating(problem) {
  if (!(problem instanceof Problem) || (problem.retryAfterS ?? 0) > PATIENCE_S) return false;
  return problem.status === 0 || problem.status === 503 || problem.code === "idempotency_in_progress";
}

async function send(method, path, body, { signal, key, quiet = false, fresh = false }) {
  const response = await reach(method, path, body, key, signal);
  if (response.ok) return response.status === 204 ? null : read(response, signal);
  const problem = await problemOf(response);
  if (problem.status === 401 && !quiet) {
    current = null;
    whenEnded();
    throw new Problem({ status: 401, code: problem.code, title: "Session ended", detail: ENDED });
  }
  if (problem.code === "csrf_failed" && !fresh && (await sameSession())) {
    return send(method, path, body, { signal, key, quiet, fresh: true });
  }
  throw problem;
}

async function reach(method, path, body, key, signal) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  if (method !== "GET" && current?.csrf_token) headers["X-CSRF-Token"] = current.csrf_token;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw noAnswer(timeout.aborted);
  }
}

async function read(response, signal) {
  try {
    return await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw noAnswer(false);
  }
}

function noAnswer(late) {
  const detail = late
    ? "The service took too long to answer."
    : "The service cannot be reached. Check the connection, and whether it is running.";
  return new Problem({ status: 0, code: "no_answer", title: "No answer", detail, retryable: true });
}

async function problemOf(response) {
  const told = await response.json().catch(() => ({}));
  const wait = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  const known = { title: response.statusText, request_id: response.headers.get("X-Request-ID"), ...told };
  return new Problem({ ...known, status: response.status }, Number.isFinite(wait) ? wait : null);
}

/** Another tab may have logged in anew: take its token if it is for the same merchant, or begin again. */
async function sameSession() {
  const merchant = current?.merchant_id;
  const found = await resume().catch(() => null);
  if (found && found.merchant_id !== merchant) location.reload();
  return found !== null && found.merchant_id === merchant;
}

function asQuery(query) {
  const told = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    const text = Array.isArray(value) ? value.join(",") : value;
    if (text !== undefined && text !== null && text !== "") told.set(name, String(text));
  }
  const text = told.toString();
  return text && `?${text}`;
}
