// The query API. One request of a kind at a time: a newer one cancels the older.

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

export async function call(kind, path, params) {
  running.get(kind)?.abort();
  const abort = new AbortController();
  running.set(kind, abort);
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  if (tenant !== "") headers["X-Scope-OrgID"] = tenant;
  const started = performance.now();
  let resp;
  let text;
  try {
    resp = await fetch(`${settings.api}/api/v1/${path}`, { method: "POST", headers, body: new URLSearchParams(params), signal: abort.signal });
    text = await resp.text();
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new ApiError("The server cannot be reached: " + e.message, "network", 0);
  } finally {
    if (running.get(kind) === abort) running.delete(kind);
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
  return { ...body, ms: performance.now() - started, bytes: text.length };
}

// Label values are asked by GET: the route takes no other method.
export async function metricNames() {
  const headers = tenant !== "" ? { "X-Scope-OrgID": tenant } : {};
  const resp = await fetch(`${settings.api}/api/v1/label/__name__/values?limit=20000`, { headers });
  return resp.ok ? (await resp.json()).data : [];
}
