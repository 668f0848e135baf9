// The graph: uPlot for the lines, our own legend so that it works by keyboard and can be cut.
import uPlot from "uplot";
import { seriesNode, shortNumber, timeText } from "./format.js";

const DRAWN_MAX = 200;
const LEGEND_MAX = 100;
const HUES = [205, 145, 28, 330, 265, 50, 180, 0, 95, 300];

let plot = null;
let shown = null;

function color(i, dark) {
  const hue = (HUES[i % HUES.length] + Math.floor(i / HUES.length) * 17) % 360;
  return dark ? `hsl(${hue} 72% 64%)` : `hsl(${hue} 75% 38%)`;
}

// Every series on one time axis; a step without a point is a gap.
function columns(result, start, end, step) {
  const count = Math.floor((end - start) / step + 1e-6) + 1;
  const times = Array.from({ length: count }, (_, i) => start + i * step);
  const ys = result.map((s) => {
    const y = new Array(count).fill(null);
    for (const [t, v] of s.values || []) {
      const n = Number(v);
      y[Math.round((t - start) / step)] = isFinite(n) ? n : null;
    }
    return y;
  });
  return [times, ...ys];
}

function lastValue(series) {
  const v = series.values;
  return v && v.length > 0 ? shortNumber(Number(v[v.length - 1][1])) : "";
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
    value.textContent = lastValue(s);
    b.append(swatch, seriesNode(s.metric), value);
    b.addEventListener("click", (e) => onToggle(i, e.ctrlKey || e.metaKey));
    b.addEventListener("mouseenter", () => plot?.setSeries(i + 1, { focus: true }));
    b.addEventListener("mouseleave", () => plot?.setSeries(null, { focus: true }));
    return b;
  });
  root.replaceChildren(...rows);
  if (result.length > LEGEND_MAX) {
    const p = document.createElement("p");
    p.textContent = `and ${result.length - LEGEND_MAX} more series`;
    root.append(p);
  }
}

function tooltip(result, dark, utc) {
  const box = document.createElement("div");
  box.className = "tip";
  box.hidden = true;
  return {
    hooks: {
      init: (u) => u.over.append(box),
      setCursor: (u) => {
        const { idx, left, top } = u.cursor;
        if (idx === null || idx === undefined || left < 0) {
          box.hidden = true;
          return;
        }
        const near = result.map((s, i) => [i, u.data[i + 1][idx]])
          .filter(([i, v]) => v !== null && u.series[i + 1].show)
          .sort((a, b) => Math.abs(u.valToPos(a[1], "y") - top) - Math.abs(u.valToPos(b[1], "y") - top))
          .slice(0, 6);
        const time = document.createElement("time");
        time.textContent = timeText(u.data[0][idx], utc);
        box.replaceChildren(time, ...near.map(([i, v]) => {
          const row = document.createElement("div");
          const swatch = document.createElement("i");
          swatch.style.background = color(i, dark);
          const b = document.createElement("b");
          b.textContent = shortNumber(v);
          row.append(swatch, seriesNode(result[i].metric), b);
          return row;
        }));
        box.hidden = near.length === 0;
        const right = left > u.over.clientWidth / 2;
        box.style.left = right ? "" : `${left + 14}px`;
        box.style.right = right ? `${u.over.clientWidth - left + 14}px` : "";
        box.style.top = `${Math.min(top, u.over.clientHeight - 40)}px`;
      },
    },
  };
}

// 24-hour ticks; the date stands below the first tick and where the day changes.
function timeTicks(utc) {
  return (u, splits, axis, space, step) => splits.map((t, i) => {
    const text = timeText(t, utc);
    const clock = step < 60 ? text.slice(11) : text.slice(11, 16);
    const day = text.slice(5, 10);
    if (step >= 86400) return day;
    return i === 0 || day !== timeText(splits[i - 1], utc).slice(5, 10) ? `${clock}\n${day}` : clock;
  });
}

function options(width, result, dark, utc, range, onZoom) {
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--muted").trim();
  const line = style.getPropertyValue("--line").trim();
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui, sans-serif" };
  return {
    width,
    height: Math.max(260, Math.min(440, Math.round(width * 0.38))),
    tzDate: utc ? (ts) => uPlot.tzDate(new Date(ts * 1e3), "Etc/UTC") : undefined,
    legend: { show: false },
    focus: { alpha: 0.25 },
    cursor: { drag: { x: true, y: false, setScale: false }, focus: { prox: 24 } },
    scales: { x: { time: true, range: () => range }, y: { range: (u, lo, hi) => (lo === null ? [0, 1] : uPlot.rangeNum(lo, hi, 0.1, true)) } },
    axes: [{ ...axis, space: 70, values: timeTicks(utc) }, { ...axis, size: 64, values: (u, vals) => vals.map(shortNumber) }],
    series: [{}, ...result.map((s, i) => ({ stroke: color(i, dark), width: 1.5, points: { show: s.values.length < 3, size: 5 } }))],
    plugins: [tooltip(result, dark, utc)],
    hooks: {
      setSelect: [(u) => {
        if (u.select.width > 4) onZoom(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
      }],
    },
  };
}

// Draws and returns a note when not everything is drawn.
export function drawGraph({ root, legend, result, start, end, step, utc, dark, onZoom, onBack }) {
  const drawn = result.slice(0, DRAWN_MAX);
  const data = columns(drawn, start, end, step);
  const width = Math.max(320, root.clientWidth);
  plot?.destroy();
  plot = new uPlot(options(width, drawn, dark, utc, [start, end], onZoom), data, root);
  plot.over.addEventListener("dblclick", onBack);
  shown = drawn.map(() => true);
  drawLegend(legend, result, dark, (i, only) => toggle(legend, i, only));
  const names = `${drawn.length} series from ${timeText(start, utc)} to ${timeText(end, utc)}`;
  plot.root.setAttribute("role", "img");
  plot.root.setAttribute("aria-label", `Graph of ${names}; the table tab has the values`);
  return result.length > DRAWN_MAX ? `The first ${DRAWN_MAX} of ${result.length} series are drawn; the table has all.` : "";
}

// A press shows one series alone, or all again when it is alone already; with Ctrl it hides or shows just that one.
function toggle(legend, i, single) {
  if (i >= shown.length) return;
  const alone = shown.every((s, k) => s === (k === i));
  shown = shown.map((s, k) => (single ? (k === i ? !s : s) : alone || k === i));
  plot.batch(() => shown.forEach((s, k) => plot.series[k + 1].show !== s && plot.setSeries(k + 1, { show: s })));
  [...legend.querySelectorAll(".series")].forEach((b, k) => b.setAttribute("aria-pressed", String(shown[k] ?? true)));
}

export function resizeGraph(root) {
  if (plot && root.clientWidth > 0) {
    const width = Math.max(320, root.clientWidth);
    plot.setSize({ width, height: Math.max(260, Math.min(440, Math.round(width * 0.38))) });
  }
}

export function clearGraph(legend) {
  plot?.destroy();
  plot = null;
  legend.replaceChildren();
}
