// What every drawing over time shares: axes, colours, the box at the pointer.
import { seriesNode, timeText } from "./format.js";

const HUES = [205, 145, 28, 330, 265, 50, 180, 0, 95, 300];
const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;
const TIME_STEPS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 15, 20, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 20 * MINUTE,
  30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR, 6 * HOUR, 8 * HOUR, 12 * HOUR, DAY, 2 * DAY, 4 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 56 * DAY, 91 * DAY,
  182 * DAY, 365 * DAY];

export const FONT = "12px system-ui, sans-serif";

export function color(i, dark) {
  const hue = (HUES[i % HUES.length] + Math.floor(i / HUES.length) * 17) % 360;
  return dark ? `hsl(${hue} 72% 64%)` : `hsl(${hue} 75% 38%)`;
}

// 24-hour labels; the date stands below the first tick and where the day changes.
function timeLabels(utc, dated) {
  return (u, splits, axis, space, step) => splits.map((t, i) => {
    const text = timeText(t, utc);
    const clock = step < MINUTE ? text.slice(11) : text.slice(11, 16);
    const day = text.slice(5, 10);
    if (step >= DAY) return step >= 91 * DAY ? text.slice(0, 10) : day;
    return dated && (i === 0 || day !== timeText(splits[i - 1], utc).slice(5, 10)) ? `${clock}\n${day}` : clock;
  });
}

// Whole steps of local time (or UTC), so that six hours fall on 00:00, 06:00, ...
function timeSplits(utc) {
  return (u, axis, from, to, step) => {
    const shift = utc || step < HOUR ? 0 : new Date(from * 1000).getTimezoneOffset() * -60;
    const out = [];
    for (let t = Math.ceil((from + shift) / step - 1e-9) * step - shift; t <= to + 1e-6; t += step) out.push(t);
    return out;
  };
}

export function axes(utc, { dated = true, space = 62, values, size = 20 } = {}) {
  const style = getComputedStyle(document.documentElement);
  const line = style.getPropertyValue("--line").trim();
  const axis = { stroke: style.getPropertyValue("--muted").trim(), grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 6 }, font: FONT };
  // As wide as the longest label.
  const width = (u, labels) => {
    if (!labels || labels.length === 0) return size + 20;
    u.ctx.save();
    u.ctx.font = FONT;
    const widest = Math.max(...labels.map((l) => u.ctx.measureText(l).width));
    u.ctx.restore();
    return Math.ceil(widest) + size;
  };
  return [
    { ...axis, space, incrs: TIME_STEPS, splits: timeSplits(utc), values: timeLabels(utc, dated), size: dated ? 44 : 28 },
    { ...axis, size: width, values },
  ];
}

// The box beside the pointer: `rows` gives [[color, metric or text, value], ...] for a cursor, or null.
export function pointerBox(utc, rows) {
  const box = document.createElement("div");
  box.className = "tip";
  box.hidden = true;
  const place = (u) => {
    const { left, top } = u.cursor;
    const right = left > u.over.clientWidth / 2;
    box.style.left = right ? "" : `${left + 14}px`;
    box.style.right = right ? `${u.over.clientWidth - left + 14}px` : "";
    box.style.top = `${Math.max(0, Math.min(top, u.over.clientHeight - box.offsetHeight))}px`;
  };
  return {
    hooks: {
      init: (u) => u.over.append(box),
      setCursor: (u) => {
        const { idx, left } = u.cursor;
        const list = idx === null || idx === undefined || left < 0 ? [] : rows(u, idx);
        box.hidden = list.length === 0;
        if (box.hidden) return;
        const time = document.createElement("time");
        time.textContent = timeText(u.data[0][idx], utc);
        box.replaceChildren(time, ...list.map(([swatch, what, value]) => {
          const row = document.createElement("div");
          const i = document.createElement("i");
          i.style.background = swatch;
          const b = document.createElement("b");
          b.textContent = value;
          row.append(i, typeof what === "string" ? Object.assign(document.createElement("span"), { textContent: what }) : seriesNode(what), b);
          return row;
        }));
        place(u);
      },
    },
  };
}

export const plotHeight = (width) => Math.max(260, Math.min(440, Math.round(width * 0.38)));
