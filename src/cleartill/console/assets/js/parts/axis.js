// @ts-check
/** A time axis that leaves out the times in which nothing happens. No DOM here: shares of the width, 0 to 100. */

const SHORT_MS = 30;
const SHORT_SHARE = 0.1;
const BREAK = 3;
const BREAKS_AT_MOST = 30;
const LEAST = 7;
const NEAR = 11;
const NICE = [1, 2, 5];
const SHORTEST_MS = 10;

/**
 * The axis for `spans` ({startMs, endMs}, in any order): what must be seen at full length. A time between them is
 * shortened to a break if it lasts more than 30 ms and more than a tenth of all that is to be seen.
 * Answers {fromMs, stretches: [{startMs, endMs, lengthMs, from, to}], breaks: [{ms, from, to}], place(ms), ticks}.
 * Within a stretch the scale is linear; each has its own, the longer ones the greater part of the width (by the square
 * root, so that milliseconds beside seconds are still seen). `lengthMs`: what its width stands for, more than it lasts
 * if it is very short. `ticks`: [{at, ms}], `ms` since the beginning of the whole.
 */
export function axis(spans) {
  const stretches = joined(spans);
  const longest = Math.max(...stretches.map(({ startMs, endMs }) => endMs - startMs));
  for (const one of stretches) one.lengthMs = Math.max(one.endMs - one.startMs, Math.min(SHORTEST_MS, longest));
  const gap = stretches.length > 1 ? Math.min(BREAK, BREAKS_AT_MOST / (stretches.length - 1)) : 0;
  const widths = shares(stretches, 100 - gap * (stretches.length - 1));
  const breaks = [];
  let from = 0;
  stretches.forEach((stretch, at) => {
    Object.assign(stretch, { from, to: from + widths[at] });
    from = stretch.to + gap;
    const next = stretches[at + 1];
    if (next) breaks.push({ ms: next.startMs - stretch.endMs, from: stretch.to, to: from });
  });
  const fromMs = stretches[0].startMs;
  return { fromMs, stretches, breaks, place: (ms) => place(stretches, ms), ticks: ticks(stretches, fromMs) };
}

function joined(spans) {
  const ordered = [...spans].sort((one, other) => one.startMs - other.startMs);
  const solid = merged(ordered, 0);
  const shown = solid.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0);
  return merged(solid, Math.max(SHORT_MS, shown * SHORT_SHARE));
}

function merged(ordered, bridge) {
  const found = [];
  for (const { startMs, endMs } of ordered) {
    const last = found.at(-1);
    if (last && startMs - last.endMs <= bridge) last.endMs = Math.max(last.endMs, endMs);
    else found.push({ startMs, endMs });
  }
  return found.length ? found : [{ startMs: 0, endMs: 0 }];
}

/** Widths by the square root of the length, none below LEAST (or an even share, if there are very many). */
function shares(stretches, width) {
  const weights = stretches.map(({ startMs, endMs }) => Math.sqrt(Math.max(endMs - startMs, 0.01)));
  const least = Math.min(LEAST, width / stretches.length);
  const narrow = new Set();
  for (;;) {
    const rest = width - narrow.size * least;
    const sum = weights.reduce((total, weight, at) => total + (narrow.has(at) ? 0 : weight), 0);
    const widths = weights.map((weight, at) => (narrow.has(at) ? least : (weight / sum) * rest));
    const tooNarrow = widths.findIndex((one, at) => !narrow.has(at) && one < least - 1e-9);
    if (tooNarrow < 0) return widths;
    narrow.add(tooNarrow);
  }
}

function place(stretches, ms) {
  let before = stretches[0];
  for (const stretch of stretches) {
    if (ms < stretch.startMs) {
      if (stretch === before) return stretch.from;
      const from = within(before, before.endMs);
      return from + ((ms - before.endMs) / (stretch.startMs - before.endMs)) * (stretch.from - from);
    }
    if (ms <= stretch.endMs) return within(stretch, ms);
    before = stretch;
  }
  return within(before, before.endMs);
}

function within({ startMs, lengthMs, from, to }, ms) {
  return lengthMs ? from + ((ms - startMs) / lengthMs) * (to - from) : from;
}

/** The beginning of each stretch, and round times within those that are wide enough, none nearer than NEAR. */
function ticks(stretches, fromMs) {
  const found = [];
  for (const { startMs, endMs, lengthMs, from, to } of stretches) {
    if (!found.length || from - found.at(-1).at >= NEAR) found.push({ at: from, ms: startMs - fromMs });
    const step = niceStep(lengthMs / Math.max(1, (to - from) / (NEAR * 1.6)));
    for (let ms = Math.ceil((startMs - fromMs) / step) * step; step && ms <= endMs - fromMs; ms += step) {
      const at = place(stretches, fromMs + ms);
      if (at - found.at(-1).at >= NEAR && at <= 100 - NEAR / 2) found.push({ at, ms });
    }
  }
  return found;
}

function niceStep(ms) {
  if (!(ms > 0)) return 0;
  const power = 10 ** Math.floor(Math.log10(ms));
  return power * (NICE.find((one) => one * power >= ms * (1 - 1e-9)) ?? 10);
}
