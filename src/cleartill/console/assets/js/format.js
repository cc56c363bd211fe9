// @ts-check
/** How figures, times and words are written. */
import { h } from "./dom.js";

// The API's own exponents (ISO 4217). Browsers follow CLDR, which writes some currencies with fewer digits.
const DIGITS = {
  0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
  3: "BHD IQD JOD KWD LYD OMR TND",
};
const EXPONENTS = new Map(
  Object.entries(DIGITS).flatMap(([digits, codes]) => codes.split(" ").map((code) => [code, Number(digits)])),
);
const LOCALE = "en";
const REFRESH_MS = 15_000;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Digits after the decimal point of a currency, by its ISO 4217 code. */
export function digitsOf(currency) {
  return EXPONENTS.get(currency) ?? 2;
}

/** An amount in minor units, exactly: 1234, "EUR" → "€12.34". */
export function money(amountMinor, currency) {
  const digits = digitsOf(currency);
  const form = { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(LOCALE, form).format(/** @type {any} */ (major(amountMinor, currency)));
}

/** Minor units as the decimal text of major units, exactly: 1234, "EUR" → "12.34". */
export function major(amountMinor, currency) {
  const digits = digitsOf(currency);
  const minor = BigInt(Math.trunc(amountMinor));
  const sign = minor < 0n ? "-" : "";
  const text = String(minor < 0n ? -minor : minor).padStart(digits + 1, "0");
  return digits ? `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}` : sign + text;
}

/** A `<time>` that tells how long ago (or how soon), keeps itself current, and has the exact time as its title. */
export function when(iso) {
  if (!iso) return h("span", { class: "quiet" }, "–");
  return h("time", { datetime: iso, title: exact(iso), data: { relative: true } }, ago(iso));
}

/** A time to the second, with its zone: "21 Nov 2025, 15:33:07 UTC+1". */
export function exact(iso) {
  return new Date(iso).toLocaleString("en-GB", {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    timeZoneName: "short",
  });
}

/** Milliseconds as a person reads them: "0.8 ms", "42 ms", "1.4 s", "3 min 5 s", "2 h 10 min". */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 59.95) return `${s.toFixed(1)} s`;
  const whole = Math.round(s);
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} min${whole % MINUTE ? ` ${whole % MINUTE} s` : ""}`;
  const minutes = Math.round((whole % HOUR) / MINUTE);
  return minutes === 60
    ? `${Math.floor(whole / HOUR) + 1} h`
    : `${Math.floor(whole / HOUR)} h${minutes ? ` ${minutes} min` : ""}`;
}

/** A share of 1 in percent: 0.9231 → "92.3%"; "–" for null. Rounds to neither 0% nor 100% what is not. */
export function percent(share) {
  if (share === null || share === undefined) return "–";
  const rounded = Math.round(share * 1000) / 10;
  if (rounded === 100 && share < 1) return "> 99.9%";
  if (rounded === 0 && share > 0) return "< 0.1%";
  return `${Number.isInteger(rounded) ? rounded : rounded.toFixed(1)}%`;
}

/** A number with thousands marked: 12345 → "12,345". */
export function count(n) {
  return n === null || n === undefined ? "–" : n.toLocaleString(LOCALE);
}

/** An id with its middle left out: "pay_01kabc…vwxyz0". */
export function shortId(id) {
  return id && id.length > 18 ? `${id.slice(0, 10)}…${id.slice(-6)}` : (id ?? "–");
}

/** A word of the API for people: "partially_refunded" → "partially refunded". */
export function words(status) {
  return String(status ?? "–").replaceAll("_", " ");
}

function ago(iso) {
  const s = Math.round((Date.now() - new Date(iso).getTime()) / 1000);
  const distance = Math.abs(s);
  const say = (text) => (s < 0 ? `in ${text}` : `${text} ago`);
  if (distance < 5) return s < 0 ? "in a moment" : "just now";
  if (distance < MINUTE) return say(`${distance} s`);
  if (distance < HOUR) return say(`${Math.floor(distance / MINUTE)} min`);
  if (distance < DAY) return say(`${Math.floor(distance / HOUR)} h`);
  if (distance < 7 * DAY) return say(`${Math.floor(distance / DAY)} d`);
  const at = new Date(iso);
  const year = at.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return at.toLocaleDateString("en-GB", { day: "numeric", month: "short", year });
}

setInterval(() => {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time[data-relative]")) {
    const text = ago(time.getAttribute("datetime"));
    if (time.textContent !== text) time.textContent = text;
  }
}, REFRESH_MS);
