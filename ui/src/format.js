// Text for people: durations, times, numbers, series names.

const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };

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

// For axes and the legend: four digits and a metric prefix.
export function shortNumber(v) {
  if (v === null || v === undefined) return "";
  const abs = Math.abs(v);
  if (!isFinite(v) || abs === 0) return String(v);
  for (const [unit, size] of [["P", 1e15], ["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (abs >= size && abs < size * 1000) return trim(v / size) + unit;
  }
  if (abs >= 1e18 || abs < 1e-4) return v.toExponential(2).replace(/\.?0+e/, "e");
  return trim(v);
}

function trim(v) {
  return String(Number(v.toPrecision(4)));
}

const quote = (s) => JSON.stringify(s);

export function seriesText(metric) {
  const labels = Object.entries(metric).filter(([k]) => k !== "__name__").map(([k, v]) => `${k}=${quote(v)}`);
  const name = metric.__name__ || "";
  return labels.length > 0 || name === "" ? `${name}{${labels.join(", ")}}` : name;
}

// The same with the name set off, as a DOM node.
export function seriesNode(metric) {
  const span = document.createElement("span");
  const name = metric.__name__;
  if (name) {
    const b = document.createElement("b");
    b.textContent = name;
    span.append(b);
  }
  const labels = Object.entries(metric).filter(([k]) => k !== "__name__");
  if (labels.length > 0 || !name) {
    span.append("{");
    labels.forEach(([k, v], i) => {
      const key = document.createElement("span");
      key.className = "key";
      key.textContent = k;
      span.append(i > 0 ? ", " : "", key, "=" + quote(v));
    });
    span.append("}");
  }
  return span;
}
