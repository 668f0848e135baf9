// The result as a table. Values are shown as the server wrote them.
import { bucketText, mean, readBuckets, sketch } from "./buckets.js";
import { seriesNode, shortNumber, timeText } from "./format.js";

const ROWS_MAX = 1000;
const POINTS_MAX = 200;

function cell(tag, content, cls) {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  e.append(content);
  return e;
}

function row(cells) {
  const tr = document.createElement("tr");
  tr.append(...cells.map(([content, cls]) => cell("td", content, cls)));
  return tr;
}

const numbers = (h) => `count ${h.count}, sum ${h.sum}, mean ${shortNumber(mean(h))}`;

function histogram(h) {
  const box = document.createElement("div");
  const more = document.createElement("details");
  const buckets = readBuckets(h);
  box.className = "histogram";
  const list = document.createElement("pre");
  list.textContent = buckets.map((b) => `${bucketText(b)}  ${b.count}`).join("\n");
  more.append(cell("summary", `${buckets.length} buckets`), list);
  box.append(cell("span", numbers(h)), sketch(h), more);
  return box;
}

function points(series, utc) {
  const pre = document.createElement("pre");
  const all = [...(series.values || []).map(([t, v]) => [t, v]), ...(series.histograms || []).map(([t, h]) => [t, numbers(h)])].sort((a, b) => a[0] - b[0]);
  pre.textContent = all.slice(0, POINTS_MAX).map(([t, v]) => `${v} @ ${timeText(t, utc)}`).join("\n");
  if (all.length > POINTS_MAX) pre.textContent += `\n... ${all.length - POINTS_MAX} more`;
  return pre;
}

function bodyRows(data, utc) {
  switch (data.resultType) {
    case "scalar":
    case "string":
      return [row([[data.resultType, "kind"], [data.result[1], "value"]])];
    case "vector":
      return data.result.slice(0, ROWS_MAX).map((s) => row([[seriesNode(s.metric), "metric"], [s.histogram ? histogram(s.histogram[1]) : s.value[1], "value"]]));
    default:
      return data.result.slice(0, ROWS_MAX).map((s) => row([[seriesNode(s.metric), "metric"], [points(s, utc), "value"]]));
  }
}

// Draws and returns notes when not everything is shown.
export function drawTable(root, data, utc) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const text of ["Series", "Value"]) {
    const th = document.createElement("th");
    th.scope = "col";
    th.textContent = text;
    head.append(th);
  }
  table.createTBody().append(...bodyRows(data, utc));
  root.replaceChildren(table);
  const count = Array.isArray(data.result) ? data.result.length : 0;
  return (data.resultType === "vector" || data.resultType === "matrix") && count > ROWS_MAX
    ? [`The first ${ROWS_MAX.toLocaleString("en")} of ${count.toLocaleString("en")} series are shown.`] : [];
}
