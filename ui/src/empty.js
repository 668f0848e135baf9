// What is said when nothing matches: a name that is not there is met with the nearest one that is; only a server without
// data gets advice on how to send some.
import { parser } from "@prometheus-io/lezer-promql";
import { metricNames } from "./language.js";

const TEXT_MAX = 10000;

function unquote(text) {
  try {
    return text[0] === '"' ? JSON.parse(text) : text.slice(1, -1);
  } catch {
    return text.slice(1, -1);
  }
}

// The metrics that an expression names: [{name, from, to}, ...].
export function namedMetrics(expr) {
  const out = [];
  parser.parse(expr.slice(0, TEXT_MAX)).iterate({
    enter: (node) => {
      const text = expr.slice(node.from, node.to);
      if (node.name === "Identifier" && node.node.parent?.name === "VectorSelector") {
        out.push({ name: text, from: node.from, to: node.to });
      } else if (node.name === "QuotedLabelName" && node.node.parent?.name === "LabelMatchers") {
        out.push({ name: unquote(text), from: node.from + 1, to: node.to - 1 });
      } else if (node.name === "UnquotedLabelMatcher" && /^__name__\s*=\s*["'`]/.test(text)) {
        const start = node.from + text.search(/["'`]/);
        out.push({ name: unquote(expr.slice(start, node.to)), from: start + 1, to: node.to - 1 });
      }
    },
  });
  return out;
}

// Letters to change, add, drop or swap; anything above `most` counts as `most + 1`.
export function distance(a, b, most) {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let before = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    let least = i;
    for (let k = 1; k <= b.length; k++) {
      row[k] = Math.min(last[k] + 1, row[k - 1] + 1, last[k - 1] + (a[i - 1] === b[k - 1] ? 0 : 1));
      if (i > 1 && k > 1 && a[i - 1] === b[k - 2] && a[i - 2] === b[k - 1]) row[k] = Math.min(row[k], before[k - 2] + 1);
      least = Math.min(least, row[k]);
    }
    if (least > most) return most + 1;
    before = last;
    last = row;
  }
  return last[b.length];
}

export function nearest(name, names) {
  let best = null;
  let most = Math.max(2, Math.floor(name.length / 3));
  const lower = name.toLowerCase();
  for (const n of names) {
    const d = distance(lower, n.toLowerCase(), most);
    if (d <= most && (best === null || d < best.d)) {
      best = { n, d };
      most = d;
    }
  }
  return best?.n ?? names.find((n) => n.startsWith(name)) ?? names.find((n) => n.includes(name)) ?? null;
}

function say(tag, ...content) {
  const e = document.createElement(tag);
  e.append(...content);
  return e;
}

function wrongName(missing, expr, names, onExpr) {
  const p = say("p", "No metric is called ", say("code", missing.name), ".");
  const other = nearest(missing.name, names);
  if (other !== null) {
    const b = say("button", other);
    b.type = "button";
    b.className = "link";
    b.addEventListener("click", () => onExpr(expr.slice(0, missing.from) + other + expr.slice(missing.to)));
    p.append(" Did you mean ", b, "?");
  }
  return p;
}

export function setupAdvice() {
  return say("pre", `remote_write:\n  - url: ${new URL("api/v1/push", location.href.split("#")[0])}`);
}

// Fills `box`; `when` is text such as "in the last 15m".
export async function explainEmpty(box, expr, when, onExpr) {
  const names = await metricNames();
  const missing = namedMetrics(expr).filter((m) => !names.includes(m.name));
  if (names.length === 0) {
    box.replaceChildren(say("h2", "No data here yet"), say("p", "This server holds no series. To send some, put this into prometheus.yml:"), setupAdvice());
  } else if (missing.length > 0) {
    box.replaceChildren(say("h2", "No series match"), ...missing.slice(0, 3).map((m) => wrongName(m, expr, names, onExpr)));
  } else {
    box.replaceChildren(say("h2", "No series match"),
      say("p", `The server has data, but none that fits this expression ${when}. Labels, a comparison or the time may leave everything out.`));
  }
}
