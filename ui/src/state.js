// What is asked, and where it is kept: the URL carries it (Prometheus's names, #g0.expr=...), so a link shows the same thing
// elsewhere; the browser's storage carries habits.
import { durationText, parseDuration, parseTime, timeText } from "./format.js";

const HISTORY_MAX = 50;

export const state = { expr: "", tab: "graph", range: 900, end: null, step: null, refresh: 15, utc: false };

// A browser may refuse to store.
export function load(key, fallback) {
  try {
    return JSON.parse(localStorage.getItem("pallium." + key)) ?? fallback;
  } catch {
    return fallback;
  }
}

export function save(key, value) {
  try {
    localStorage.setItem("pallium." + key, JSON.stringify(value));
  } catch {
    // Private window: nothing is kept.
  }
}

export function remember(expr) {
  save("history", [expr, ...load("history", []).filter((e) => e !== expr)].slice(0, HISTORY_MAX));
}

// False when the URL asks nothing.
export function readUrl() {
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

export function writeUrl() {
  const p = new URLSearchParams({ "g0.expr": state.expr, "g0.tab": state.tab === "table" ? "1" : "0", "g0.range_input": durationText(state.range) });
  if (state.end !== null) p.set("g0.end_input", timeText(state.end, true));
  if (state.step !== null) p.set("g0.step_input", durationText(state.step));
  const hash = state.expr === "" ? "" : "#" + p;
  if (hash !== location.hash) history.replaceState(null, "", location.pathname + hash);
  document.title = state.expr ? `${state.expr.slice(0, 60)} - Pallium` : "Pallium";
}
