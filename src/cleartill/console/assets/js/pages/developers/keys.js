// @ts-check
/** API keys: masked, made, shown once, revoked. */
import { api, can, session } from "../../api.js";
import { fill, h } from "../../dom.js";
import { when } from "../../format.js";
import { badge } from "../../parts/badge.js";
import { confirm, dialog } from "../../parts/dialog.js";
import { empty } from "../../parts/empty.js";
import { field } from "../../parts/field.js";
import { showSecret } from "../../parts/secret.js";
import { table } from "../../parts/table.js";
import { toast } from "../../parts/toast.js";

const SCOPES = [
  ["payments:write", "Take payments, capture, void and refund them"],
  ["payments:read", "Read payments, refunds and their timelines"],
  ["account:write", "Deposits, withdrawals, keys and webhooks"],
  ["account:read", "Read the balance, transactions, keys and webhooks"],
  ["admin", "Everything, for every merchant"],
];

/** `keys`: as listed, the newest first; `again()` loads them anew. */
export function drawKeys(panel, keys, { again }) {
  const live = keys.filter((key) => !key.revoked_at);
  const revoked = keys.filter((key) => key.revoked_at);
  const make =
    can("account:write") &&
    h("button", { type: "button", class: "primary", on: { click: () => create(again) } }, "Create key");
  fill(
    panel,
    h(
      "div",
      { class: "card" },
      h("div", { class: "card-head" }, h("h2", "API keys"), make),
      h(
        "p",
        { class: "quiet" },
        "A key is a password of a program. Give each program its own, with no more scopes than it needs.",
      ),
      !can("account:write") &&
        h("p", { class: "note" }, "Your own key may read this, but not change it: it lacks the scope account:write."),
      listed("API keys in use", live, again),
    ),
    revoked.length > 0 &&
      h(
        "details",
        { class: "card" },
        h("summary", h("h2", `Revoked keys (${revoked.length})`)),
        listed("Revoked API keys", revoked, again),
      ),
  );
}

function listed(caption, keys, again) {
  return table({
    caption,
    rows: keys,
    empty: empty("No keys", "Create one for each program that calls the API.", null),
    columns: [
      {
        title: "Name",
        of: (key) =>
          h(
            "span",
            { class: "row" },
            h("span", key.name),
            isOwn(key) && badge("own", { tone: "half", text: "logged in with" }),
          ),
      },
      { title: "Key", of: (key) => h("code", { class: "nobreak" }, key.prefix) },
      {
        title: "Scopes",
        of: (key) =>
          h(
            "ul",
            { class: "chips", aria: { label: "Scopes" } },
            key.scopes.map((scope) => h("li", scope)),
          ),
      },
      {
        title: "Last used",
        of: (key) => (key.last_used_at ? when(key.last_used_at) : h("span", { class: "quiet" }, "never")),
      },
      key0(keys)?.revoked_at
        ? { title: "Revoked", of: (key) => when(key.revoked_at) }
        : { title: "Created", of: (key) => when(key.created_at) },
      ...(can("account:write") && !key0(keys)?.revoked_at
        ? [{ title: "Change", of: (key) => revokeButton(key, again) }]
        : []),
    ],
  });
}

function key0(keys) {
  return keys[0];
}

function isOwn(key) {
  return session()?.key_id === key.id;
}

function revokeButton(key, again) {
  const label = `Revoke ${key.name}`;
  return h(
    "button",
    { type: "button", class: "danger", aria: { label }, on: { click: () => revoke(key, again) } },
    "Revoke",
  );
}

async function revoke(key, again) {
  const own = isOwn(key);
  const body = h(
    "div",
    { class: "stack" },
    h(
      "p",
      "Requests with ",
      h("code", { class: "nobreak" }, key.prefix),
      " will be refused at once, everywhere. A revoked key does not come back.",
    ),
    own &&
      h(
        "p",
        { class: "note", data: { kind: "bad" } },
        h("strong", "You are logged in with this very key. "),
        "Your session ends as soon as it is revoked. Have another key ready to log in again.",
      ),
    !own && key.last_used_at && h("p", "It was last used ", when(key.last_used_at), "."),
  );
  if (
    !(await confirm({
      title: `Revoke “${key.name}”?`,
      body,
      yes: own ? "Revoke and log out" : "Revoke key",
      danger: true,
    }))
  )
    return;
  try {
    await api.delete(
      `/api/v1/merchants/${encodeURIComponent(session().merchant_id)}/keys/${encodeURIComponent(key.id)}`,
    );
    toast(`“${key.name}” is revoked.`, { kind: "good" });
    again();
  } catch (problem) {
    if (problem.status !== 401) toast(`“${key.name}” was not revoked: ${problem.message}`, { kind: "bad" });
  }
}

async function create(again) {
  const name = field({
    label: "Name",
    name: "name",
    required: true,
    maxlength: 100,
    autocomplete: "off",
    hint: "The program that will use it: checkout backend, accounting …",
  });
  const offered = SCOPES.filter(([scope]) => can(scope) && (scope !== "admin" || can("admin")));
  const boxes = offered.map(([scope, meaning]) =>
    field({ label: scope, name: "scopes", type: "checkbox", hint: meaning, value: scope.startsWith("payments:") }),
  );
  const missing = h("p", { class: "field-error", role: "alert", hidden: true }, "Choose at least one scope.");
  const form = h(
    "form",
    { class: "fields", novalidate: true },
    name.element,
    h(
      "fieldset",
      { class: "choices" },
      h("legend", "Scopes"),
      boxes.map(({ element }) => element),
      missing,
    ),
  );

  async function run() {
    const scopes = offered.map(([scope]) => scope).filter((_, at) => /** @type {any} */ (boxes[at].input).checked);
    name.error(name.input.value.trim() ? "" : "Give it a name.");
    missing.hidden = scopes.length > 0;
    if (!name.input.value.trim()) name.input.focus();
    if (!name.input.value.trim() || !scopes.length) return false;
    return api.post(`/api/v1/merchants/${encodeURIComponent(session().merchant_id)}/keys`, {
      name: name.input.value.trim(),
      scopes,
    });
  }

  const made = await dialog({
    title: "Create an API key",
    body: form,
    actions: [{ label: "Create key", kind: "primary", run }],
  }).closed;
  if (!made) return;
  await showSecret({
    title: `The key of “${made.name}”`,
    what: "API key",
    secret: made.api_key,
    more: "It works from now on.",
  });
  again();
}
