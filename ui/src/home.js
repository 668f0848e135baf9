// The start page: what this node is doing, from its own metrics.
import uPlot from "uplot";
import { call, ApiError } from "./api.js";
import { axisNumbers, parseValue } from "./format.js";
import { setupAdvice } from "./empty.js";
import { axes, color, pointerBox } from "./plot.js";

const RANGE = 3600;
const STEP = 15;
const SPAN_MIN = 120; // a node that has just started fills this soon
const WHOLE_BELOW = 1e6;
const CHART = { height: 130, widthMin: 200 };
const CARDS = [
  { id: "series", title: "Series in memory", unit: "", expr: 'sum(cortex_ingester_memory_series{job="pallium"})' },
  { id: "samples", title: "Samples received per second", unit: "", expr: 'sum(rate(cortex_distributor_received_samples_total{job="pallium"}[1m]))' },
  { id: "memory", title: "Memory of the process", unit: "B", expr: 'process_resident_memory_bytes{job="pallium"}' },
];

let plots = [];

// Three digits, or a whole number that is not long.
function big(v, unit) {
  const abs = Math.abs(v);
  if (unit === "" && Number.isInteger(v) && abs < WHOLE_BELOW) return v.toLocaleString("en");
  const size = [1e12, 1e9, 1e6, 1e3].find((s) => abs >= s * (unit === "" ? 10 : 1)) || 1;
  const scaled = abs / size;
  const step = size * (scaled >= 100 ? 1 : scaled >= 10 ? 0.1 : 0.01);
  return axisNumbers([Math.round(v / step) * step], step, unit)[0];
}

function draw(holder, card, i, points, utc, dark) {
  const ink = color(i, dark);
  const xs = points.map(([t]) => t);
  const end = xs[xs.length - 1];
  const start = Math.min(xs[0], end - SPAN_MIN);
  const chart = document.createElement("div");
  holder.querySelector(".chart").replaceChildren(chart);
  plots.push(new uPlot({
    width: Math.max(CHART.widthMin, holder.querySelector(".chart").clientWidth),
    height: CHART.height,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { time: true, range: () => [start, end] }, y: { range: (u, lo, hi) => [0, hi > 0 ? hi * 1.15 : 1] } },
    axes: axes(utc, { dated: false, space: 70, size: 14, values: (u, vals, axis, space, step) => axisNumbers(vals, step, card.unit) })
      .map((a, k) => (k === 1 ? { ...a, space: 34 } : a)),
    series: [{}, { stroke: ink, fill: ink.replace("hsl(", "hsla(").replace(")", " / 14%)"), width: 1.6, points: { show: xs.length < 3, size: 5 } }],
    plugins: [pointerBox(utc, (u, idx) => (u.data[1][idx] === null || u.data[1][idx] === undefined ? [] : [[ink, card.title, big(u.data[1][idx], card.unit)]]))],
  }, [xs, points.map(([, v]) => v)], chart));
}

function shell(card, onExpr) {
  const box = document.createElement("article");
  box.className = "card";
  const title = document.createElement("button");
  title.type = "button";
  title.className = "link";
  title.textContent = card.title;
  title.title = card.expr;
  title.addEventListener("click", () => onExpr(card.expr));
  const value = document.createElement("p");
  value.className = "big";
  value.textContent = "–";
  const chart = document.createElement("div");
  chart.className = "chart";
  chart.textContent = "No values yet. The node records its own metrics when -self-scrape.interval is set.";
  box.append(title, value, chart);
  return box;
}

async function ask(card) {
  const end = Math.floor(Date.now() / 1000);
  const { data } = await call("home-" + card.id, "query_range", { query: card.expr, start: end - RANGE, end, step: STEP });
  return (data.result[0]?.values || []).map(([t, v]) => [t, parseValue(v)]).filter(([, v]) => isFinite(v));
}

export function hideHome(root) {
  root.hidden = true;
  plots.forEach((p) => p.destroy());
  plots = [];
}

// Draws, or draws again. Rejects when the server cannot be asked, such as for want of a tenant.
export async function showHome(root, { utc, dark, onExpr }) {
  const cards = root.querySelector(".cards");
  if (cards.children.length === 0) cards.replaceChildren(...CARDS.map((c) => shell(c, onExpr)));
  const setup = root.querySelector(".setup");
  if (!setup.querySelector("pre")) setup.append(setupAdvice());
  root.hidden = false;
  const answers = await Promise.allSettled(CARDS.map(ask));
  const failed = answers.find((a) => a.status === "rejected" && a.reason instanceof ApiError);
  if (failed) throw failed.reason;
  if (root.hidden) return;
  plots.forEach((p) => p.destroy());
  plots = [];
  answers.forEach((a, i) => {
    if (a.status !== "fulfilled" || a.value.length === 0) return;
    const box = cards.children[i];
    box.querySelector(".big").textContent = big(a.value[a.value.length - 1][1], CARDS[i].unit);
    draw(box, CARDS[i], i, a.value, utc, dark);
  });
}

export function resizeHome() {
  plots.forEach((p) => {
    const width = Math.max(CHART.widthMin, p.root.parentNode.parentNode.clientWidth);
    if (p.width !== width) p.setSize({ width, height: CHART.height });
  });
}
