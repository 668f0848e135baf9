// What the editor knows of PromQL: where the cursor stands (the grammar), what may stand there (this server's metrics, labels,
// values and functions), and whether the server takes it.
import { hoverTooltip } from "@codemirror/view";
import { linter } from "@codemirror/lint";
import { syntaxTree } from "@codemirror/language";
import { HybridComplete } from "@prometheus-io/codemirror-promql/dist/esm/complete/hybrid.js";
import { aggregateOpTerms } from "@prometheus-io/codemirror-promql/dist/esm/complete/promql.terms.js";
import { labelMatchersToString } from "@prometheus-io/codemirror-promql/dist/esm/parser/matcher.js";
import { call, functionTable, get } from "./api.js";

const NAMES_MAX = 20000;
const UNIT_NAMES = { m: "minutes", h: "hours", d: "days", s: "seconds", w: "weeks", y: "years", ms: "milliseconds" };
const UNITS = Object.keys(UNIT_NAMES); // the likelier first
const KEPT_MS = 30000;
const LINT_DELAY_MS = 300;
const COMMON = new Set(["rate", "increase", "irate", "histogram_quantile", "avg_over_time", "max_over_time", "label_replace", "absent"]); // offered first
const DESCRIBED_MAX = 20000; // with more metrics than these, descriptions are not asked for

// ---- what the server holds, kept for half a minute ----

let kept = new Map();

function cached(key, ask, empty) {
  const at = kept.get(key);
  if (at && Date.now() - at.time < KEPT_MS) return at.value;
  const value = ask().catch(() => {
    kept.delete(key);
    return empty;
  });
  kept.set(key, { time: Date.now(), value });
  return value;
}

export function forgetNames() {
  kept = new Map();
}

const within = (selector) => (selector ? { "match[]": selector } : {});

function asked(path, selector) {
  return cached(path + " " + selector, () => get(path, { limit: NAMES_MAX, ...within(selector) }), []);
}

export const metricNames = () => asked("label/__name__/values", "");

const metadata = () => cached("metadata", () => get("metadata"), {});
const functions = () => cached("functions", functionTable, []);

function selectorOf(metric, matchers, label) {
  const text = labelMatchersToString(metric || "", matchers, label) || "";
  return text === "{}" || text === "" ? "" : text;
}

// The interface that codemirror-promql asks.
const client = {
  metricNames,
  metricMetadata: metadata,
  labelNames: async (metric) => (await asked("labels", selectorOf(metric))).filter((n) => n !== "__name__"),
  labelValues: (label, metric, matchers) => asked(`label/${encodeURIComponent(label)}/values`, selectorOf(metric, matchers, label)),
  series: async () => [],
  flags: async () => ({}),
};

// ---- functions ----

export function signature(f) {
  const args = f.args.map((a, i) => (i < f.args.length - 1 || f.last === "once" ? a : f.last === "optional" ? `[${a}]` : `${a}, ...`));
  return `${f.name}(${args.join(", ")}) → ${f.result}`;
}

function functionCard(f) {
  const box = document.createElement("div");
  box.className = "doc";
  const code = document.createElement("code");
  code.textContent = signature(f);
  const p = document.createElement("p");
  p.textContent = f.doc + (f.experimental ? " Experimental: the server must be told to allow it." : "");
  box.append(code, p);
  return box;
}

function textCard(title, text) {
  const box = document.createElement("div");
  box.className = "doc";
  box.append(Object.assign(document.createElement("code"), { textContent: title }), Object.assign(document.createElement("p"), { textContent: text }));
  return box;
}

// The cursor goes between the brackets; the next completion opens by itself when something is typed there.
function insertCall(name) {
  return (view, completion, from, to) => {
    const open = view.state.sliceDoc(to, to + 1) === "(";
    view.dispatch({ changes: { from, to, insert: open ? name : name + "()" }, selection: { anchor: from + name.length + 1 }, userEvent: "input.complete" });
  };
}

function functionOption(f) {
  return { label: f.name, type: "function", detail: f.result, info: () => functionCard(f), apply: insertCall(f.name), boost: f.experimental ? -5 : COMMON.has(f.name) ? 5 : 0 };
}

// ---- completion ----

const hybrid = new HybridComplete(client, DESCRIBED_MAX);

// Without being asked, a list opens where a name begins or has begun, not after each blank.
function wanted(context) {
  if (context.explicit || context.matchBefore(/[\w:.]+$/)) return true;
  const line = context.state.sliceDoc(Math.max(0, context.pos - 40), context.pos);
  return /([{(,]\s*|["'=~])$/.test(line);
}

export async function complete(context) {
  if (!wanted(context) || context.matchBefore(/#[^\n]*$/)) return null;
  const result = await hybrid.promQL(context);
  if (!result || context.aborted) return result;
  let options = result.options.filter((o) => o.detail !== "snippet");
  if (options.some((o) => o.detail === "function")) {
    const table = await functions();
    if (table.length > 0) options = [...options.filter((o) => o.detail !== "function"), ...table.map(functionOption)];
  }
  if (options.every((o) => UNITS.includes(o.label))) options = options.map((o) => ({ ...o, detail: UNIT_NAMES[o.label], boost: -UNITS.indexOf(o.label) }));
  // What stands there already, whole, needs no offer of itself.
  const word = context.state.sliceDoc(result.from, context.pos);
  if (options.length === 1 && options[0].label === word) return null;
  return options.length > 0 ? { ...result, options } : null;
}

// ---- help at the pointer ----

export const hover = hoverTooltip(async (view, pos) => {
  const { from, to, text } = view.state.doc.lineAt(pos);
  let a = pos - from;
  let b = a;
  while (a > 0 && /[\w:]/.test(text[a - 1])) a--;
  while (b < to - from && /[\w:]/.test(text[b])) b++;
  const word = text.slice(a, b);
  if (word === "" || /^\d/.test(word)) return null;
  const inside = syntaxTree(view.state).resolveInner(from + a, 1).name;
  if (inside === "StringLiteral" || inside === "LabelName") return null;
  const called = /^\s*(\(|by\b|without\b)/.test(text.slice(b));
  const f = called ? (await functions()).find((x) => x.name === word) : undefined;
  const aggregation = called ? aggregateOpTerms.find((x) => x.label === word) : undefined;
  let dom = null;
  if (f) {
    dom = functionCard(f);
  } else if (aggregation) {
    dom = textCard(`${word}: aggregation`, aggregation.info);
  } else {
    const all = await metadata();
    const about = all[word] || all[word.replace(/(_count|_sum|_bucket|_total)$/, "")];
    if (about) dom = textCard(`${word}: ${about[0].type}`, about[0].help);
  }
  return dom && { pos: from + a, end: from + b, above: false, create: () => ({ dom }) };
});

// ---- the server's verdict ----

function typeOf(node) {
  switch (node?.type) {
    case "numberLiteral":
      return "scalar";
    case "stringLiteral":
      return "string";
    case "matrixSelector":
    case "subquery":
      return "range vector";
    case "call":
      return { vector: "instant vector", matrix: "range vector" }[node.func.returnType] || node.func.returnType;
    case "parenExpr":
    case "unaryExpr":
    case "stepInvariantExpr":
      return typeOf(node.expr);
    case "binaryExpr":
      return typeOf(node.lhs) === "scalar" && typeOf(node.rhs) === "scalar" ? "scalar" : "instant vector";
    default:
      return "instant vector";
  }
}

// The place in the text of "line:column", where the server counts bytes.
function placeOf(doc, line, column) {
  const at = doc.line(Math.min(Math.max(line, 1), doc.lines));
  const encoder = new TextEncoder();
  let bytes = 0;
  let i = 0;
  for (const c of at.text) {
    if (bytes >= column - 1) break;
    bytes += encoder.encode(c).length;
    i += c.length;
  }
  return at.from + i;
}

function markedRange(state, from) {
  const { doc } = state;
  if (from >= doc.length) return { from: Math.max(0, doc.length - 1), to: doc.length };
  const word = doc.sliceString(from, Math.min(doc.length, from + 200)).match(/^([\w:]+|\s+|.)/s);
  return { from, to: from + (word ? word[0].length : 1) };
}

// Marks errors as they are typed, exactly those of the server; `tell` gets {type} or {error}, or null for neither.
export function verdicts(tell) {
  return linter(async (view) => {
    const text = view.state.doc.toString();
    if (text.trim() === "") {
      tell(null);
      return [];
    }
    try {
      const { data } = await call("parse", "parse_query", { query: text });
      tell({ type: typeOf(data) });
      return [];
    } catch (e) {
      if (e.name === "AbortError" || e.type !== "bad_data") {
        if (e.name !== "AbortError") tell(null);
        return [];
      }
      const m = e.message.match(/(?:(\d+):(\d+): )?parse error: (.*)$/s);
      const message = m ? m[3] : e.message;
      tell({ error: message });
      const range = m && m[1] ? markedRange(view.state, placeOf(view.state.doc, Number(m[1]), Number(m[2]))) : { from: 0, to: view.state.doc.length };
      return [{ ...range, severity: "error", message }];
    }
  }, { delay: LINT_DELAY_MS });
}
