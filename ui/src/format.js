// Text for people: durations, times, numbers, series names.

const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };
const PREFIXES = [["P", 1e15], ["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]];
const DECIMALS_MAX = 12;
const PLAIN_BELOW = 10000; // on an axis, numbers below this have no prefix
const PREFIX_DECIMALS_MAX = 3; // more than these after "G" read worse than the whole number

// "1h30m" or plain seconds; NaN when it is neither.
export function parseDuration(text) {
  const t = text.trim();
  if (/^\d+(\.\d+)?$/.test(t)) return Number(t);
  const parts = t.match(/\d+(ms|[smhdwy])/g);
  if (!parts || parts.join("") !== t) return NaN;
  return parts.reduce((sum, p) => {
    const [, n, unit] = p.match(/^(\d+)(\D+)$/);
    return sum + Number(n) * UNITS[unit];
  }, 0);
}

export function durationText(seconds) {
  let rest = Math.round(seconds * 1000);
  if (rest === 0) return "0s";
  let out = "";
  for (const [unit, ms] of [["d", 86400000], ["h", 3600000], ["m", 60000], ["s", 1000], ["ms", 1]]) {
    const n = Math.floor(rest / ms);
    if (n > 0) out += n + unit;
    rest -= n * ms;
  }
  return out;
}

const pad = (n) => String(n).padStart(2, "0");

export function timeText(seconds, utc) {
  const d = new Date(seconds * 1000);
  return utc
    ? `${d.getUTCFullYear()}-${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())} ${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}:${pad(d.getUTCSeconds())}`
    : `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}

// What timeText wrote, in the same zone; NaN when it does not parse.
export function parseTime(text, utc) {
  const m = text.trim().match(/^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?)?$/);
  if (!m) return NaN;
  const [y, mo, d, h, mi, s] = m.slice(1).map((v) => Number(v || 0));
  return (utc ? Date.UTC(y, mo - 1, d, h, mi, s) : new Date(y, mo - 1, d, h, mi, s).getTime()) / 1000;
}

// The server writes numbers as Go does: infinities are +Inf and -Inf.
export function parseValue(text) {
  return text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);
}

// A number that stands alone: four digits and a metric prefix.
export function shortNumber(v) {
  if (v === null || v === undefined) return "";
  const abs = Math.abs(v);
  if (Number.isNaN(v)) return "NaN";
  if (!isFinite(v)) return v > 0 ? "+Inf" : "-Inf";
  if (abs === 0) return "0";
  const [unit, size] = PREFIXES.find(([, s]) => abs >= s && abs < s * 1000) || ["", 1];
  if (abs >= 1e18 || abs < 1e-4) return v.toExponential(2).replace(/\.?0+e/, "e");
  return String(Number((v / size).toPrecision(4))) + unit;
}

// Every digit that means something: a double holds fifteen of them.
export function fullNumber(v) {
  return isFinite(v) ? String(Number(v.toPrecision(15))) : shortNumber(v);
}

function decimalsOf(increment) {
  let d = 0;
  for (let x = increment; d < DECIMALS_MAX && Math.abs(x - Math.round(x)) > 1e-6 * x; x *= 10) d++;
  return d;
}

// Labels of an axis: as many digits as its increment needs, so that no two lines read the same.
export function axisNumbers(values, increment, unit = "") {
  const top = Math.max(...values.map(Math.abs));
  if (top === 0) return values.map(() => "0");
  if (top >= 1e18 || top < 1e-4) {
    const digits = Math.min(DECIMALS_MAX, Math.max(0, Math.ceil(Math.log10(top / increment) - 1e-9)));
    return values.map((v) => (v === 0 ? "0" : v.toExponential(digits).replace(/(\.\d*?)0+e/, "$1e").replace(".e", "e") + unit));
  }
  let [prefix, size] = top < PLAIN_BELOW ? ["", 1] : PREFIXES.find(([, s]) => top >= s);
  if (decimalsOf(increment / size) > PREFIX_DECIMALS_MAX) [prefix, size] = ["", 1];
  const decimals = decimalsOf(increment / size);
  const text = new Intl.NumberFormat("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  const space = unit === "" ? "" : " ";
  return values.map((v) => (v === 0 ? "0" : text.format(v / size) + space + prefix + unit));
}

const quote = (s) => JSON.stringify(s);

// A value too long for a line breaks after punctuation rather than within a word.
function breakable(text) {
  return text.split(/(?<=[/.,:;&?=_-])(?=\w)/).flatMap((piece, i) => (i > 0 ? [document.createElement("wbr"), piece] : [piece]));
}

export function seriesText(metric) {
  const labels = Object.entries(metric).filter(([k]) => k !== "__name__").map(([k, v]) => `${k}=${quote(v)}`);
  const name = metric.__name__ || "";
  return labels.length > 0 || name === "" ? `${name}{${labels.join(", ")}}` : name;
}

// The same as a DOM node: the name set off, and line ends between labels only, as long as one label fits a line.
export function seriesNode(metric) {
  const span = document.createElement("span");
  const part = (...content) => {
    const s = document.createElement("span");
    s.className = "part";
    s.append(...content);
    return s;
  };
  const labels = Object.entries(metric).filter(([k]) => k !== "__name__");
  const name = metric.__name__ || "";
  const b = document.createElement("b");
  b.textContent = name;
  if (labels.length === 0 && name !== "") {
    span.append(part(b));
    return span;
  }
  span.append(part(b, labels.length > 0 ? "{" : "{}"));
  labels.forEach(([k, v], i) => {
    const key = document.createElement("span");
    key.className = "key";
    key.textContent = k;
    span.append(part(key, "=", ...breakable(quote(v)), i < labels.length - 1 ? "," : "}"), " ");
  });
  span.lastChild.nodeType === Node.TEXT_NODE && span.lastChild.remove();
  return span;
}
