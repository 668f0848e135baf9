// The page: wires the controls, asks the server, and shows the answer or what went wrong.
import "uplot/dist/uPlot.min.css";
import "./style.css";
import "./editor.css";
import { ApiError, call, loadSettings, setTenant } from "./api.js";
import { makeEditor } from "./editor.js";
import { explainEmpty } from "./empty.js";
import { durationText, parseDuration, parseTime, timeText } from "./format.js";
import { clearGraph, drawGraph, resizeGraph } from "./graph.js";
import { hideHome, resizeHome, showHome } from "./home.js";
import { forgetNames } from "./language.js";
import { load, readUrl, remember, save, state, writeUrl } from "./state.js";
import { drawTable } from "./table.js";

const $ = (id) => document.getElementById(id);
const RANGES = [60, 300, 900, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000, 31536000];
const STEP_POINTS_MAX = 11000;
const HOME_REFRESH_S = 5;
const EXAMPLES = [
  ["Memory", 'process_resident_memory_bytes{job="pallium"}'],
  ["Samples in per second", 'sum by (user) (rate(cortex_distributor_received_samples_total{job="pallium"}[1m]))'],
  ["Requests per second by route", 'sum by (route) (rate(cortex_request_duration_seconds_count{job="pallium"}[1m]))'],
  ["Series by metric", 'topk(10, count by (__name__) ({__name__=~".+"}))'],
];

let editor;
let zoomBack = [];
let timer = 0;
let historyAt = -1;
let last = null;

// ---- controls ----

function showControls() {
  $("range").value = durationText(state.range);
  $("end").value = state.end === null ? "" : timeText(state.end, state.utc);
  $("step").value = state.step === null ? "" : durationText(state.step);
  $("refresh").value = String(state.refresh);
  $("utc").checked = state.utc;
  for (const name of ["graph", "table"]) {
    const on = state.tab === name;
    $("tab-" + name).setAttribute("aria-selected", String(on));
    $("tab-" + name).tabIndex = on ? 0 : -1;
    $("panel-" + name).hidden = !on || state.expr === "";
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
  if (!on || box.dataset.expr !== state.expr) box.hidden = true; // a refresh leaves it as it stands meanwhile
  if (!on) return;
  box.dataset.expr = state.expr;
  const when = state.tab === "graph" ? "in the last " + durationText(state.range) : "at this time";
  const asked = last;
  explainEmpty(box, state.expr, when, runExpr).then(() => {
    if (asked === last) box.hidden = false;
  });
}

// Below the box: the expression's type, or where it is wrong.
function showVerdict(verdict) {
  const box = $("verdict");
  box.className = verdict?.error ? "wrong" : "";
  box.textContent = verdict?.error ? verdict.error : verdict?.type || "";
}

// ---- running ----

async function goHome() {
  last = null;
  showError("", "");
  showNotes([]);
  showEmpty(false);
  $("status").textContent = "";
  clearGraph($("plot"), $("legend"));
  $("panel-graph").hidden = $("panel-table").hidden = true;
  try {
    await showHome($("home"), { utc: state.utc, dark: isDark(), onExpr: runExpr });
  } catch (e) {
    if (state.expr !== "") return; // left meanwhile
    hideHome($("home"));
    failed(e);
  }
  if (state.expr === "") schedule();
}

// `again`: the same expression once more, whatever is being typed meanwhile.
async function run({ again = false } = {}) {
  clearTimeout(timer);
  if (!again) state.expr = editor.get().trim();
  writeUrl();
  if (state.expr === "") return goHome();
  hideHome($("home"));
  showControls();
  document.body.classList.add("loading");
  if (!again) $("status").textContent = "Running...";
  try {
    last = await (state.tab === "graph" ? askRange() : askInstant());
    showError("", "");
    show();
    if (!again) remember(state.expr);
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
  const home = state.expr === "";
  const seconds = home && state.refresh > 0 ? HOME_REFRESH_S : state.refresh;
  if (seconds > 0 && (home || state.end === null)) {
    timer = setTimeout(() => (document.hidden ? schedule() : home ? goHome() : run({ again: true })), seconds * 1000);
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
  const points = body.data.resultType === "matrix" ? body.data.result.reduce((n, s) => n + (s.values || []).length + (s.histograms || []).length, 0) : count;
  const step = body.tab === "graph" ? `, step ${durationText(body.step)}` : "";
  return `${count.toLocaleString("en")} series, ${points.toLocaleString("en")} values, ${Math.round(body.ms)} ms${step}`;
}

function show() {
  const { data } = last;
  const isSet = data.resultType === "matrix" || data.resultType === "vector";
  const count = isSet ? data.result.length : 1;
  const dark = isDark();
  let notes = [];
  $("status").textContent = statusText(last, count);
  showEmpty(count === 0);
  if (last.tab === "graph") {
    $("plot").hidden = count === 0;
    if (count === 0) {
      clearGraph($("plot"), $("legend"));
    } else {
      const { start, end, step } = last;
      notes = drawGraph($("plot"), $("legend"), data.result, { start, end, step, utc: state.utc, dark, onZoom: zoom, onBack: zoomOut });
    }
  } else {
    $("table").hidden = count === 0;
    notes = drawTable($("table"), data, state.utc);
  }
  showNotes([["warning", last.warnings], ["info", last.infos], ["info", notes]]);
}

function failed(e) {
  last = null;
  $("status").textContent = "";
  showEmpty(false);
  showNotes([]);
  clearGraph($("plot"), $("legend"));
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
  redraw();
}

function redraw() {
  if (last) show();
  else if (state.expr === "") goHome();
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
  editor.set(expr);
  editor.focus();
  run();
}

function stepHistory(dir) {
  const list = load("history", []);
  historyAt = Math.max(-1, Math.min(list.length - 1, historyAt + dir));
  if (historyAt >= 0) {
    const at = historyAt;
    editor.set(list[at]);
    historyAt = at; // the change itself would begin anew
  }
}

function wireExpr() {
  editor = makeEditor($("expr-box"), {
    onRun: () => run(),
    onChange: () => (historyAt = -1),
    onHistory: stepHistory,
    onVerdict: showVerdict,
  });
  $("query").addEventListener("submit", (e) => {
    e.preventDefault();
    run();
  });
  $("tenant").addEventListener("change", () => {
    save("tenant", $("tenant").value);
    setTenant($("tenant").value);
    forgetNames();
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
    redraw();
  });
}

function wirePage() {
  $("theme").addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    save("theme", theme);
    setTheme(theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  $("help-open").addEventListener("click", () => $("help").showModal());
  $("history").addEventListener("toggle", () => $("history").open && fillHistory());
  document.addEventListener("click", (e) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(e.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (e) => {
    const at = document.activeElement;
    const typing = at && (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName));
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
      editor.focus();
    } else if (!typing && e.key === "?") {
      $("help").showModal();
    }
  });
  addEventListener("hashchange", () => {
    if (!readUrl()) state.expr = "";
    editor.set(state.expr);
    run();
  });
  new ResizeObserver(() => {
    resizeGraph($("plot"));
    resizeHome();
  }).observe(document.querySelector("main"));
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
  wireExpr();
  wireBar();
  wirePage();
  editor.set(state.expr);
  showControls();
  if (!linked) $("panel-graph").hidden = true;
  const settings = await loadSettings();
  $("tenant").value = load("tenant", "");
  $("tenant-box").hidden = !settings.auth;
  if (settings.auth) setTenant($("tenant").value);
  editor.focus();
  run();
}

start();
