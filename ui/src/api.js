// The query API. Of two requests of one kind the newer cancels the older.

let settings = { api: "prometheus", auth: false };
let tenant = "";
const running = new Map();

export class ApiError extends Error {
  constructor(message, type, status) {
    super(message);
    this.type = type;
    this.status = status;
  }
}

export async function loadSettings() {
  try {
    const resp = await fetch("ui/settings.json");
    if (resp.ok) settings = { ...settings, ...(await resp.json()) };
  } catch {
    // The defaults stand.
  }
  return settings;
}

export function setTenant(value) {
  tenant = value.trim();
}

async function answer(url, init) {
  const headers = { ...init.headers };
  if (tenant !== "") headers["X-Scope-OrgID"] = tenant;
  let resp;
  let text;
  try {
    resp = await fetch(url, { ...init, headers });
    text = await resp.text();
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new ApiError("The server cannot be reached: " + e.message, "network", 0);
  }
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    throw new ApiError(text.trim().slice(0, 500) || `HTTP ${resp.status}`, "http", resp.status);
  }
  if (body.status !== "success") {
    throw new ApiError(body.error || `HTTP ${resp.status}`, body.errorType || "error", resp.status);
  }
  return { ...body, bytes: text.length };
}

export async function call(kind, path, params) {
  running.get(kind)?.abort();
  const abort = new AbortController();
  running.set(kind, abort);
  const started = performance.now();
  try {
    const body = await answer(`${settings.api}/api/v1/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams(params),
      signal: abort.signal,
    });
    return { ...body, ms: performance.now() - started };
  } finally {
    if (running.get(kind) === abort) running.delete(kind);
  }
}

export async function get(path, params = {}) {
  return (await answer(`${settings.api}/api/v1/${path}?${new URLSearchParams(params)}`, {})).data;
}

// What this server can compute: name, argument types, result, help.
export async function functionTable() {
  const resp = await fetch("ui/functions.json");
  if (!resp.ok) throw new ApiError(`HTTP ${resp.status}`, "http", resp.status);
  return resp.json();
}
