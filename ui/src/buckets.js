// Native histograms as the API writes them: buckets [rule, low, high, count], where the rule says which ends belong to it.
import { parseValue, shortNumber } from "./format.js";

const ZERO_DECADES = 0.35; // how much of the axis the bucket around zero takes
const SKETCH = { width: 220, height: 34 };
const OPENS = ["(", "[", "(", "["]; // by rule: low end open or closed
const CLOSES = ["]", ")", ")", "]"];

export function readBuckets(h) {
  return (h.buckets || []).map(([rule, low, high, count]) => ({ rule, low: parseValue(low), high: parseValue(high), count: parseValue(count) }));
}

export function bucketText({ rule, low, high }) {
  const side = (v) => (v === Infinity ? "∞" : v === -Infinity ? "−∞" : shortNumber(v));
  return `${OPENS[rule] ?? "("}${side(low)}, ${side(high)}${CLOSES[rule] ?? "]"}`;
}

export function mean(h) {
  return parseValue(h.sum) / parseValue(h.count);
}

// An axis for all the given buckets: decades on both sides of zero, and a narrow zone for zero itself. `at` gives the
// place of a value, `value` the way back; `low` and `high` are the places of the ends.
export function bucketScale(buckets) {
  let smallest = Infinity;
  let largest = 0;
  let zero = 0; // the upper end of the bucket around zero
  let below = false;
  for (const b of buckets) {
    for (const v of [Math.abs(b.low), Math.abs(b.high)]) {
      if (v === 0 || !isFinite(v)) continue;
      smallest = Math.min(smallest, v);
      largest = Math.max(largest, v);
    }
    if (b.low < 0 && b.high > 0 && isFinite(b.low)) zero = Math.max(zero, b.high);
    below = below || (isFinite(b.low) && b.low < 0);
  }
  const least = Math.max(largest > 0 ? smallest : 1, zero);
  const most = Math.max(largest, least);
  const reach = Math.log10(most / least) + 2 * ZERO_DECADES; // where an unbounded bucket ends
  const at = (v) => {
    const abs = Math.abs(v);
    if (abs < least * (1 - 1e-12)) return (v / least) * ZERO_DECADES;
    return Math.sign(v) * Math.min(reach, Math.log10(abs / least) + ZERO_DECADES);
  };
  const value = (p) => (Math.abs(p) <= ZERO_DECADES ? (p / ZERO_DECADES) * least : Math.sign(p) * least * 10 ** (Math.abs(p) - ZERO_DECADES));
  // A first bucket without a lower end begins at zero when nothing else lies below.
  const lowOf = (b) => (b.low === -Infinity && !below ? Math.min(0, at(b.high)) : at(b.low));
  let low = Infinity;
  let high = -Infinity;
  for (const b of buckets) {
    low = Math.min(low, lowOf(b));
    high = Math.max(high, at(b.high));
  }
  return low < high ? { at, value, lowOf, least, low, high } : { at, value, lowOf, least, low: 0, high: 1 };
}

// Places for axis labels: 0, and 1-2-5 or whole decades between the ends.
export function scaleSplits(scale, most) {
  const decades = scale.high - scale.low;
  const mantissas = decades < most / 3 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil(decades / most));
  const out = scale.low <= 0 && scale.high >= 0 ? [0] : [];
  for (const sign of [-1, 1]) {
    const end = sign < 0 ? -scale.low : scale.high;
    if (end <= 0) continue;
    const top = Math.log10(Math.abs(scale.value(end)));
    for (let e = Math.floor(Math.log10(scale.least)); e <= top + 1e-9; e++) {
      if (e % every !== 0) continue;
      for (const m of mantissas) {
        const p = scale.at(sign * m * 10 ** e);
        if (Math.abs(p) >= ZERO_DECADES && p >= scale.low - 1e-9 && p <= scale.high + 1e-9) out.push(p);
      }
    }
  }
  return out.sort((a, b) => a - b);
}

// A small drawing of one histogram: a bar a bucket, as wide as the bucket on the logarithmic axis.
export function sketch(h) {
  const buckets = readBuckets(h);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const scale = bucketScale(buckets);
  const most = Math.max(...buckets.map((b) => b.count));
  const x = (p) => ((p - scale.low) / (scale.high - scale.low || 1)) * SKETCH.width;
  svg.setAttribute("viewBox", `0 0 ${SKETCH.width} ${SKETCH.height}`);
  svg.setAttribute("class", "sketch");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${buckets.length} buckets` + (buckets.length > 0 ? ` from ${shortNumber(buckets[0].low)} to ${shortNumber(buckets[buckets.length - 1].high)}` : ""));
  for (const b of buckets) {
    if (!(b.count > 0)) continue;
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const height = Math.max(1, (b.count / most) * SKETCH.height);
    const left = x(scale.lowOf(b));
    bar.setAttribute("x", left.toFixed(2));
    bar.setAttribute("width", Math.max(1, x(scale.at(b.high)) - left - 0.6).toFixed(2));
    bar.setAttribute("y", (SKETCH.height - height).toFixed(2));
    bar.setAttribute("height", height.toFixed(2));
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    title.textContent = `${bucketText(b)}: ${shortNumber(b.count)}`;
    bar.append(title);
    svg.append(bar);
  }
  return svg;
}
