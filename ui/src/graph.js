// The graph: uPlot for lines, a heat map for each histogram, and our own legend, so that it works by keyboard and can be cut.
import uPlot from "uplot";
import { axisNumbers, fullNumber, parseValue, seriesNode, timeText } from "./format.js";
import { drawHeat } from "./heat.js";
import { axes, color, plotHeight, pointerBox } from "./plot.js";

const DRAWN_MAX = 200;
const LEGEND_MAX = 100;
const HEATS_MAX = 6;
const LAST_LABEL_HALF = 30; // pixels that a label at the right end reaches over
const NARROW = 560;
const WIDTH_MIN = 240;
const TABLE_ROWS = 1000; // what table.js shows

let plots = [];
let lines = null;
let shown = [];

// Every series on one time axis; a step without a finite value is a gap.
function columns(result, start, end, step) {
  const count = Math.floor((end - start) / step + 1e-6) + 1;
  const times = Array.from({ length: count }, (_, i) => start + i * step);
  const ys = result.map((s) => {
    const y = new Array(count).fill(null);
    for (const [t, v] of s.values) {
      const n = parseValue(v);
      y[Math.round((t - start) / step)] = isFinite(n) ? n : null;
    }
    return y;
  });
  return [times, ...ys];
}

function drawLegend(root, result, dark, onToggle) {
  const rows = result.slice(0, LEGEND_MAX).map((s, i) => {
    const b = document.createElement("button");
    b.type = "button";
    b.className = "series";
    b.setAttribute("aria-pressed", "true");
    const swatch = document.createElement("i");
    swatch.style.background = color(i, dark);
    const value = document.createElement("span");
    value.className = "value";
    value.textContent = s.values[s.values.length - 1][1]; // as the server wrote it
    b.append(swatch, seriesNode(s.metric), value);
    b.addEventListener("click", (e) => onToggle(i, e.ctrlKey || e.metaKey));
    b.addEventListener("mouseenter", () => lines?.setSeries(i + 1, { focus: true }));
    b.addEventListener("mouseleave", () => lines?.setSeries(null, { focus: true }));
    return b;
  });
  root.replaceChildren(...rows);
  if (result.length > LEGEND_MAX) {
    const p = document.createElement("p");
    p.textContent = `and ${(result.length - LEGEND_MAX).toLocaleString("en")} more series`;
    root.append(p);
  }
}

function nearRows(result, dark) {
  return (u, idx) => result.map((s, i) => [i, u.data[i + 1][idx]])
    .filter(([i, v]) => v !== null && u.series[i + 1].show)
    .sort((a, b) => Math.abs(u.valToPos(a[1], "y") - u.cursor.top) - Math.abs(u.valToPos(b[1], "y") - u.cursor.top))
    .slice(0, u.width < NARROW ? 3 : 6)
    .map(([i, v]) => [color(i, dark), result[i].metric, fullNumber(v)]);
}

export function selectTime(onZoom) {
  return [(u) => {
    if (u.select.width > 4) onZoom(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
  }];
}

function options(width, result, { dark, utc, start, end, onZoom }) {
  return {
    width,
    height: plotHeight(width),
    padding: [null, LAST_LABEL_HALF, null, null],
    legend: { show: false },
    focus: { alpha: 0.25 },
    cursor: { drag: { x: true, y: false, setScale: false }, focus: { prox: 24 } },
    scales: { x: { time: true, range: () => [start, end] }, y: { range: (u, lo, hi) => (lo === null ? [0, 1] : uPlot.rangeNum(lo, hi, 0.1, true)) } },
    axes: axes(utc, { values: (u, vals, axis, space, step) => axisNumbers(vals, step) }),
    series: [{}, ...result.map((s, i) => ({ stroke: color(i, dark), width: 1.5, points: { show: s.values.length < 3, size: 5 } }))],
    plugins: [pointerBox(utc, nearRows(result, dark))],
    hooks: { setSelect: selectTime(onZoom) },
  };
}

// Which values that cannot be drawn a result holds, when it holds no other.
function unfinite(result) {
  const seen = new Set();
  for (const s of result) {
    for (const [, v] of s.values) {
      if (isFinite(parseValue(v))) return "";
      seen.add(v);
    }
  }
  return [...seen].join(", ");
}

function drawLines(root, drawn, view) {
  const holder = document.createElement("div");
  holder.className = "lines";
  root.append(holder);
  lines = new uPlot(options(Math.max(WIDTH_MIN, root.clientWidth), drawn, view), columns(drawn, view.start, view.end, view.step), holder);
  lines.over.addEventListener("dblclick", view.onBack);
  lines.root.setAttribute("role", "img");
  lines.root.setAttribute("aria-label",
    `Graph of ${drawn.length} series from ${timeText(view.start, view.utc)} to ${timeText(view.end, view.utc)}; the table tab has the values`);
  plots.push(lines);
  const odd = unfinite(drawn);
  if (odd !== "") {
    const p = document.createElement("p");
    p.className = "unfinite";
    p.textContent = `The values are not finite (${odd}), so there is no line to draw.`;
    holder.append(p);
  }
}

// Draws and returns notes when not everything is drawn. `view`: start, end, step, utc, dark, onZoom, onBack.
export function drawGraph(root, legend, result, view) {
  const floats = result.filter((s) => s.values && s.values.length > 0);
  const heats = result.filter((s) => s.histograms && s.histograms.length > 0);
  const notes = [];
  clearGraph(root, legend);
  if (floats.length > 0) {
    drawLines(root, floats.slice(0, DRAWN_MAX), view);
    shown = floats.slice(0, DRAWN_MAX).map(() => true);
    drawLegend(legend, floats, view.dark, (i, only) => toggle(legend, i, only));
  }
  heats.slice(0, HEATS_MAX).forEach((s) => plots.push(drawHeat(root, s, Math.max(WIDTH_MIN, root.clientWidth), view)));
  if (floats.length > DRAWN_MAX) {
    notes.push(`The first ${DRAWN_MAX} of ${floats.length.toLocaleString("en")} series are drawn; the table shows `
      + `${floats.length > TABLE_ROWS ? `the first ${TABLE_ROWS.toLocaleString("en")}` : "all"}.`);
  }
  if (heats.length > HEATS_MAX) {
    notes.push(`The first ${HEATS_MAX} of ${heats.length.toLocaleString("en")} histograms are drawn; sum() makes one of them.`);
  }
  return notes;
}

// A press shows one series alone, or all again when it is alone already; with Ctrl it hides or shows just that one.
function toggle(legend, i, single) {
  if (i >= shown.length) return;
  const alone = shown.every((s, k) => s === (k === i));
  shown = shown.map((s, k) => (single ? (k === i ? !s : s) : alone || k === i));
  lines.batch(() => shown.forEach((s, k) => lines.series[k + 1].show !== s && lines.setSeries(k + 1, { show: s })));
  [...legend.querySelectorAll(".series")].forEach((b, k) => b.setAttribute("aria-pressed", String(shown[k] ?? true)));
}

export function resizeGraph(root) {
  const width = Math.max(WIDTH_MIN, root.clientWidth);
  if (root.clientWidth > 0) plots.forEach((p) => p.width !== width && p.setSize({ width, height: p === lines ? plotHeight(width) : p.height }));
}

export function clearGraph(root, legend) {
  plots.forEach((p) => p.destroy());
  plots = [];
  lines = null;
  root.replaceChildren();
  legend.replaceChildren();
}
