// The page: what is asked lives in the URL (#g0.expr=..., Prometheus's names), so a link shows the same thing elsewhere.
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { ApiError, call, loadSettings, metricNames, setTenant } from "./api.js";
import { durationText, parseDuration, parseTime, timeText } from "./format.js";
import { clearGraph, drawGraph, resizeGraph } from "./graph.js";
import { attachSuggest } from "./suggest.js";
import { drawTable } from "./table.js";

const $ = (id) => document.getElementById(id);
const RANGES = [60, 300, 900, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000, 31536000];
const HISTORY_MAX = 50;
const EXPR_PIXELS_MAX = 320;
const STEP_POINTS_MAX = 11000;
const FIRST_EXPR = "process_resident_memory_bytes";
const FIRST_RANGE = 300; // a node that has just started fills it soon
const EXAMPLES = [
  ["Memory", "process_resident_memory_bytes"],
  ["Samples in per second", "sum by (user) (rate(cortex_distributor_received_samples_total[1m]))"],
  ["Requests per second by route", "sum by (route) (rate(cortex_request_duration_seconds_count[1m]))"],
  ["Series by metric", "topk(10, count by (__name__) ({__name__=~\".+\"}))"],
];

const state = { expr: "", tab: "graph", range: 900, end: null, step: null, refresh: 15, utc: false };
let zoomBack = [];
let timer = 0;
let historyAt = -1;
let last = null;

// ---- storage: a browser may refuse it ----

function load(key, fallback) {
  try {
    return JSON.parse(localStorage.getItem("pallium." + key)) ?? fallback;
  } catch {
    return fallback;
  }
}

function save(key, value) {
  try {
    localStorage.setItem("pallium." + key, JSON.stringify(value));
  } catch {
    // Private window: nothing is kept.
  }
}

// ---- URL ----

function readUrl() {
  const p = new URLSearchParams(location.hash.slice(1) || location.search.slice(1));
  const get = (k) => p.get("g0." + k);
  if (get("expr") === null) return false;
  state.expr = get("expr");
  state.tab = get("tab") === "1" || get("tab") === "table" ? "table" : "graph";
  const range = parseDuration(get("range_input") || "15m");
  state.range = range > 0 ? range : 900;
  const end = parseTime((get("end_input") || "").replace("T", " "), true);
  state.end = isFinite(end) ? end : null;
  const step = parseDuration(get("step_input") || "");
  state.step = step > 0 ? step : null;
  return true;
}

function writeUrl() {
  const p = new URLSearchParams({ "g0.expr": state.expr, "g0.tab": state.tab === "table" ? "1" : "0", "g0.range_input": durationText(state.range) });
  if (state.end !== null) p.set("g0.end_input", timeText(state.end, true));
  if (state.step !== null) p.set("g0.step_input", durationText(state.step));
  const hash = "#" + p;
  if (hash !== location.hash) history.replaceState(null, "", location.pathname + hash);
  document.title = state.expr ? `${state.expr.slice(0, 60)} - Pallium` : "Pallium";
}

// ---- controls ----

function grow() {
  const box = $("expr");
  box.style.height = "auto";
  box.style.height = Math.min(box.scrollHeight + 2, EXPR_PIXELS_MAX) + "px";
}

function showControls() {
  if ($("expr").value !== state.expr) $("expr").value = state.expr;
  grow();
  $("range").value = durationText(state.range);
  $("end").value = state.end === null ? "" : timeText(state.end, state.utc);
  $("step").value = state.step === null ? "" : durationText(state.step);
  $("refresh").value = String(state.refresh);
  $("utc").checked = state.utc;
  for (const name of ["graph", "table"]) {
    const on = state.tab === name;
    $("tab-" + name).setAttribute("aria-selected", String(on));
    $("tab-" + name).tabIndex = on ? 0 : -1;
    $("panel-" + name).hidden = !on;
  }
  $("range-group").hidden = $("step-group").hidden = state.tab === "table";
}

function autoStep() {
  const pixels = Math.max(320, $("plot").clientWidth || 900);
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400, 604800];
  const least = state.range / (pixels / 3);
  return steps.find((s) => s >= least) || Math.ceil(least);
}

// ---- notes, errors, empty ----

function showError(message, type) {
  const box = $("error");
  box.hidden = message === "";
  box.replaceChildren();
  if (message !== "") {
    const b = document.createElement("b");
    b.textContent = { bad_data: "This query is not right", execution: "The query failed", timeout: "The query took too long", network: "No answer" }[type] || "Error";
    const p = document.createElement("p");
    p.textContent = message;
    box.append(b, p);
  }
}

function showNotes(lists) {
  const box = $("notes");
  box.replaceChildren(...lists.flatMap(([cls, texts]) => (texts || []).filter(Boolean).map((t) => {
    const p = document.createElement("p");
    p.className = cls;
    p.textContent = t;
    return p;
  })));
  box.hidden = box.children.length === 0;
}

function showEmpty(on) {
  const box = $("empty");
  box.hidden = !on;
  if (!on) return;
  const h = document.createElement("h2");
  h.textContent = "No series match";
  const p = document.createElement("p");
  p.textContent = `Nothing was stored for this expression ${state.tab === "graph" ? "in the last " + durationText(state.range) : "at this time"}. To send data here, put this into prometheus.yml:`;
  const pre = document.createElement("pre");
  pre.textContent = `remote_write:\n  - url: ${new URL("api/v1/push", location.href.split("#")[0])}`;
  box.replaceChildren(h, p, pre);
}

// ---- running ----

function remember(expr) {
  const list = [expr, ...load("history", []).filter((e) => e !== expr)].slice(0, HISTORY_MAX);
  save("history", list);
}

async function run({ quiet = false } = {}) {
  clearTimeout(timer);
  state.expr = $("expr").value.trim();
  writeUrl();
  if (state.expr === "") {
    showError("", "");
    $("status").textContent = "";
    return;
  }
  document.body.classList.add("loading");
  if (!quiet) $("status").textContent = "Running...";
  try {
    last = await (state.tab === "graph" ? askRange() : askInstant());
    showError("", "");
    show();
    if (!quiet) remember(state.expr);
  } catch (e) {
    if (e.name === "AbortError") return;
    failed(e);
  } finally {
    document.body.classList.remove("loading");
  }
  schedule();
}

function schedule() {
  clearTimeout(timer);
  if (state.refresh > 0 && state.end === null) {
    timer = setTimeout(() => (document.hidden ? schedule() : run({ quiet: true })), state.refresh * 1000);
  }
}

async function askRange() {
  const step = state.step ?? autoStep();
  if (state.range / step > STEP_POINTS_MAX) {
    throw new ApiError(`A step of ${durationText(step)} over ${durationText(state.range)} is more than ${STEP_POINTS_MAX} points; take a longer step or a shorter range.`, "bad_data", 0);
  }
  const end = Math.floor((state.end ?? Date.now() / 1000) / step) * step;
  const start = end - Math.floor(state.range / step) * step;
  const body = await call("query", "query_range", { query: state.expr, start, end, step });
  return { ...body, tab: "graph", start, end, step };
}

async function askInstant() {
  const time = state.end ?? Date.now() / 1000;
  const body = await call("query", "query", { query: state.expr, time: time.toFixed(3) });
  return { ...body, tab: "table" };
}

function statusText(body, count) {
  const points = body.data.resultType === "matrix" ? body.data.result.reduce((n, s) => n + (s.values || []).length, 0) : count;
  const step = body.tab === "graph" ? `, step ${durationText(body.step)}` : "";
  return `${count.toLocaleString("en")} series, ${points.toLocaleString("en")} values, ${Math.round(body.ms)} ms${step}`;
}

function show() {
  const { data } = last;
  const isSet = data.resultType === "matrix" || data.resultType === "vector";
  const count = isSet ? data.result.length : 1;
  const dark = isDark();
  let note = "";
  $("status").textContent = statusText(last, count);
  showEmpty(count === 0);
  if (last.tab === "graph") {
    $("plot").hidden = count === 0;
    if (count === 0) {
      clearGraph($("legend"));
    } else {
      note = drawGraph({ root: $("plot"), legend: $("legend"), result: data.result, start: last.start, end: last.end, step: last.step, utc: state.utc, dark, onZoom: zoom, onBack: zoomOut });
    }
  } else {
    $("table").hidden = count === 0;
    note = drawTable($("table"), data, state.utc);
  }
  showNotes([["warning", last.warnings], ["info", last.infos], ["info", [note]]]);
}

function failed(e) {
  $("status").textContent = "";
  showEmpty(false);
  showNotes([]);
  clearGraph($("legend"));
  $("plot").hidden = $("table").hidden = true;
  if (e.status === 401) {
    $("tenant-box").hidden = false;
    $("tenant").focus();
    showError("This server keeps tenants apart: write the tenant to ask (X-Scope-OrgID) into the box at the top.", "error");
    return;
  }
  showError(e.message, e.type || "error");
  if (e.type === undefined) console.error(e);
}

// ---- time ----

function zoom(from, to) {
  zoomBack.push([state.range, state.end]);
  state.range = Math.max(5, Math.round(to - from));
  state.end = Math.round(to);
  showControls();
  run();
}

function zoomOut() {
  [state.range, state.end] = zoomBack.pop() || [state.range * 2, state.end];
  showControls();
  run();
}

function changeRange(dir) {
  const next = dir > 0 ? RANGES.find((r) => r > state.range) : [...RANGES].reverse().find((r) => r < state.range);
  if (next === undefined) return;
  state.range = next;
  showControls();
  run();
}

function moveEnd(dir) {
  const step = state.tab === "graph" ? state.range / 2 : 300;
  const end = (state.end ?? Date.now() / 1000) + dir * step;
  state.end = end >= Date.now() / 1000 ? null : Math.round(end);
  showControls();
  run();
}

// Takes a text field over into the state; a text that does not parse is put back.
function takeField(id, key, parse) {
  const text = $(id).value.trim();
  const value = text === "" ? (key === "range" ? state.range : null) : parse(text);
  if (value === null || (isFinite(value) && value > 0)) state[key] = value;
  showControls();
}

// ---- theme ----

const isDark = () => {
  const set = document.documentElement.dataset.theme;
  return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  if (last) show();
}

// ---- start ----

function setTab(tab) {
  if (tab === state.tab) return;
  state.tab = tab;
  showControls();
  run();
}

function fillHistory() {
  const list = load("history", []);
  const items = list.map((expr) => {
    const b = document.createElement("button");
    b.type = "button";
    b.textContent = expr;
    b.addEventListener("click", () => {
      $("history").open = false;
      runExpr(expr);
    });
    return b;
  });
  if (items.length === 0) {
    const p = document.createElement("p");
    p.textContent = "Queries you run are kept here, in this browser.";
    items.push(p);
  }
  $("history-list").replaceChildren(...items);
}

function runExpr(expr) {
  $("expr").value = expr;
  grow();
  $("expr").focus();
  run();
}

function stepHistory(dir) {
  const list = load("history", []);
  historyAt = Math.max(-1, Math.min(list.length - 1, historyAt + dir));
  if (historyAt >= 0) {
    $("expr").value = list[historyAt];
    grow();
  }
}

function wireExpr() {
  const suggest = attachSuggest($("expr"), $("suggest"), metricNames);
  $("expr").addEventListener("input", () => {
    grow();
    historyAt = -1;
  });
  $("expr").addEventListener("keydown", (e) => {
    if (e.isComposing) return;
    if (suggest.key(e)) {
      e.preventDefault();
    } else if (e.key === "Enter" && !e.shiftKey) {
      e.preventDefault();
      suggest.close();
      run();
    } else if (e.ctrlKey && (e.key === "ArrowUp" || e.key === "ArrowDown")) {
      e.preventDefault();
      stepHistory(e.key === "ArrowUp" ? 1 : -1);
    }
  });
  $("query").addEventListener("submit", (e) => {
    e.preventDefault();
    run();
  });
  $("tenant").addEventListener("change", () => {
    save("tenant", $("tenant").value);
    setTenant($("tenant").value);
    suggest.forget();
    run();
  });
}

function wireBar() {
  for (const tab of ["graph", "table"]) {
    $("tab-" + tab).addEventListener("click", () => setTab(tab));
    $("tab-" + tab).addEventListener("keydown", (e) => {
      if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(e.key)) {
        setTab(tab === "graph" ? "table" : "graph");
        $("tab-" + state.tab).focus();
      }
    });
  }
  $("range-less").addEventListener("click", () => changeRange(-1));
  $("range-more").addEventListener("click", () => changeRange(1));
  $("end-back").addEventListener("click", () => moveEnd(-1));
  $("end-forward").addEventListener("click", () => moveEnd(1));
  for (const [id, key, parse] of [["range", "range", parseDuration], ["step", "step", parseDuration], ["end", "end", (t) => parseTime(t, state.utc)]]) {
    $(id).addEventListener("change", () => {
      takeField(id, key, parse);
      run();
    });
  }
  $("refresh").addEventListener("change", () => {
    state.refresh = Number($("refresh").value);
    save("refresh", state.refresh);
    schedule();
  });
  $("utc").addEventListener("change", () => {
    state.utc = $("utc").checked;
    save("utc", state.utc);
    showControls();
    if (last) show();
  });
}

function wirePage() {
  $("theme").addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    save("theme", theme);
    setTheme(theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => last && show());
  $("help-open").addEventListener("click", () => $("help").showModal());
  $("history").addEventListener("toggle", () => $("history").open && fillHistory());
  document.addEventListener("click", (e) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(e.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (e) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName || "");
    if (e.key === "Escape") {
      for (const menu of document.querySelectorAll("details.menu[open]")) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    } else if (e.altKey && ["1", "2", "-", "="].includes(e.key)) {
      e.preventDefault();
      ({ 1: () => setTab("graph"), 2: () => setTab("table"), "-": () => changeRange(-1), "=": () => changeRange(1) })[e.key]();
    } else if (!typing && e.key === "/") {
      e.preventDefault();
      $("expr").focus();
    } else if (!typing && e.key === "?") {
      $("help").showModal();
    }
  });
  addEventListener("hashchange", () => {
    if (readUrl()) {
      showControls();
      run();
    }
  });
  new ResizeObserver(() => resizeGraph($("plot"))).observe($("panel-graph"));
  $("examples").replaceChildren(...EXAMPLES.map(([text, expr]) => {
    const b = document.createElement("button");
    b.type = "button";
    b.className = "chip";
    b.textContent = text;
    b.title = expr;
    b.addEventListener("click", () => runExpr(expr));
    return b;
  }));
}

async function start() {
  const theme = load("theme", "");
  if (theme) document.documentElement.dataset.theme = theme;
  state.refresh = load("refresh", 15);
  state.utc = load("utc", false);
  const linked = readUrl();
  if (!linked) {
    state.expr = load("history", [])[0] || FIRST_EXPR;
    state.range = FIRST_RANGE;
  }
  wireExpr();
  wireBar();
  wirePage();
  showControls();
  const settings = await loadSettings();
  $("tenant").value = load("tenant", "");
  $("tenant-box").hidden = !settings.auth;
  if (settings.auth) setTenant($("tenant").value);
  $("expr").focus({ preventScroll: true });
  run({ quiet: !linked });
}

start();
