// A histogram over time as a heat map: a column a step, a cell a bucket, darker (or brighter, on dark) where more lies.
import uPlot from "uplot";
import { bucketScale, bucketText, readBuckets, scaleSplits } from "./buckets.js";
import { seriesNode, shortNumber, timeText } from "./format.js";
import { axes, plotHeight, pointerBox } from "./plot.js";

const STOPS = {
  light: [[226, 243, 236], [134, 208, 183], [44, 155, 134], [19, 98, 112], [16, 42, 84]],
  dark: [[25, 49, 62], [21, 92, 102], [38, 150, 129], [128, 209, 130], [252, 240, 160]],
};
const LEGEND_STEPS = 60;
const SPLITS_MAX = 9;
const LABEL_GAP = 20; // pixels

function shade(t, dark) {
  const stops = dark ? STOPS.dark : STOPS.light;
  const at = Math.min(1, Math.max(0, t)) * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(at));
  return `rgb(${stops[i].map((c, k) => Math.round(c + (stops[i + 1][k] - c) * (at - i))).join(" ")})`;
}

// Every cell with its place on both axes. Density is by height: a wide bucket holds more without being denser.
function cells(series) {
  const columns = series.histograms.map(([t, h]) => [t, readBuckets(h)]);
  const scale = bucketScale(columns.flatMap(([, b]) => b));
  const list = columns.flatMap(([t, buckets]) => buckets.filter((b) => b.count > 0).map((b) => {
    const low = scale.lowOf(b);
    const high = scale.at(b.high);
    return { t, b, low, high, density: b.count / Math.max(high - low, 1e-9) };
  }));
  // Columns of like buckets are labelled by counts; the bucket around zero and open ones have no height of their own.
  let least = Infinity;
  let tallest = 0;
  let most = 0;
  for (const c of list) {
    most = Math.max(most, c.density);
    if (!isFinite(c.b.low) || !isFinite(c.b.high) || (c.b.low <= 0 && c.b.high >= 0)) continue;
    least = Math.min(least, c.high - c.low);
    tallest = Math.max(tallest, c.high - c.low);
  }
  return { scale, list, most, height: tallest > 0 && tallest < 1.02 * least ? tallest : 0 };
}

function paint(u, map, step, dark) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const c of map.list) {
    const left = Math.round(u.valToPos(c.t - step, "x", true));
    const right = Math.round(u.valToPos(c.t, "x", true));
    const top = Math.round(u.valToPos(c.high, "y", true));
    const bottom = Math.round(u.valToPos(c.low, "y", true));
    ctx.fillStyle = shade(Math.sqrt(c.density / map.most), dark);
    ctx.fillRect(left, top, Math.max(1, right - left), Math.max(1, bottom - top));
  }
  ctx.restore();
}

function heading(series, map, dark) {
  const head = document.createElement("div");
  head.className = "heat-head";
  const key = document.createElement("div");
  key.className = "heat-key";
  const bar = document.createElement("canvas");
  bar.width = LEGEND_STEPS;
  bar.height = 1;
  const ctx = bar.getContext("2d");
  for (let i = 0; i < LEGEND_STEPS; i++) {
    ctx.fillStyle = shade(i / (LEGEND_STEPS - 1), dark);
    ctx.fillRect(i, 0, 1, 1);
  }
  const most = map.height > 0 ? map.most * map.height : map.most;
  const text = (s) => Object.assign(document.createElement("span"), { textContent: s });
  key.append(text("0"), bar, text(shortNumber(most)), text(map.height > 0 ? "in a bucket" : "per decade of values"));
  key.setAttribute("role", "img");
  key.setAttribute("aria-label", `Colours from 0 to ${shortNumber(most)}`);
  head.append(seriesNode(series.metric), key);
  return head;
}

function underPointer(map, step, dark) {
  return (u) => {
    const t = u.posToVal(u.cursor.left, "x");
    const y = u.posToVal(u.cursor.top, "y");
    const c = map.list.find((k) => t > k.t - step && t <= k.t && y >= k.low && y < k.high);
    return c ? [[shade(Math.sqrt(c.density / map.most), dark), bucketText(c.b), shortNumber(c.b.count)]] : [];
  };
}

// Leaves out labels that would touch; zero stays.
function spaced(u, splits) {
  const pixels = u.bbox.height / devicePixelRatio / (u.scales.y.max - u.scales.y.min || 1);
  const out = [];
  for (const p of splits) {
    if (out.length > 0 && (p - out[out.length - 1]) * pixels < LABEL_GAP) {
      if (p !== 0) continue;
      out.pop();
    }
    out.push(p);
  }
  return out;
}

export function drawHeat(root, series, width, { start, end, step, utc, dark, onZoom, onBack }) {
  const map = cells(series);
  const holder = document.createElement("div");
  const count = Math.floor((end - start) / step + 1e-6) + 1;
  const times = Array.from({ length: count }, (_, i) => start + i * step);
  holder.className = "heat";
  holder.append(heading(series, map, dark));
  root.append(holder);
  const plot = new uPlot({
    width,
    height: Math.min(320, plotHeight(width)),
    legend: { show: false },
    cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false } },
    scales: { x: { time: true, range: () => [start, end] }, y: { range: () => [map.scale.low, map.scale.high] } },
    axes: axes(utc, { values: (u, vals) => vals.map((p) => shortNumber(map.scale.value(p))) })
      .map((a, i) => (i === 0 ? a : { ...a, splits: (u) => spaced(u, scaleSplits(map.scale, SPLITS_MAX)) })),
    series: [{}, { show: true, points: { show: false } }],
    plugins: [pointerBox(utc, underPointer(map, step, dark))],
    hooks: {
      draw: [(u) => paint(u, map, step, dark)],
      setSelect: [(u) => u.select.width > 4 && onZoom(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"))],
    },
  }, [times, new Array(count).fill(null)], holder);
  plot.over.addEventListener("dblclick", onBack);
  plot.root.setAttribute("role", "img");
  plot.root.setAttribute("aria-label", `Heat map of a histogram from ${timeText(start, utc)} to ${timeText(end, utc)}; the table tab has the values`);
  return plot;
}
