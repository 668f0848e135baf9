// The result as a table. Values are shown as the server wrote them.
import { seriesNode, timeText } from "./format.js";

const ROWS_MAX = 1000;
const POINTS_MAX = 200;

function row(cells) {
  const tr = document.createElement("tr");
  for (const [content, cls] of cells) {
    const td = document.createElement("td");
    if (cls) td.className = cls;
    td.append(content);
    tr.append(td);
  }
  return tr;
}

function points(values, utc) {
  const pre = document.createElement("pre");
  pre.textContent = values.slice(0, POINTS_MAX).map(([t, v]) => `${v} @ ${timeText(t, utc)}`).join("\n");
  if (values.length > POINTS_MAX) pre.textContent += `\n... ${values.length - POINTS_MAX} more`;
  return pre;
}

function bodyRows(data, utc) {
  switch (data.resultType) {
    case "scalar":
    case "string":
      return [row([[data.resultType, "kind"], [data.result[1], "value"]])];
    case "vector":
      return data.result.slice(0, ROWS_MAX).map((s) => row([[seriesNode(s.metric), "metric"], [s.value ? s.value[1] : "histogram", "value"]]));
    default:
      return data.result.slice(0, ROWS_MAX).map((s) => row([[seriesNode(s.metric), "metric"], [points(s.values || [], utc), "value"]]));
  }
}

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
    ? `The first ${ROWS_MAX} of ${count} series are shown.` : "";
}
