// Bundles the page and writes it as C: `node build.mjs OUT.c` gives the table that src/ui/ui.c serves, each file plain and
// gzipped; `node build.mjs DIR/` gives the files themselves, to look at. No network, no timestamps: same sources, same bytes.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const BYTES_MAX = 300 * 1024; // gzipped, all together: the page must stay small
const LICENCES = ["MIT", "Apache-2.0"]; // what a bundled library may be under
const here = dirname(fileURLToPath(import.meta.url));
const target = process.argv[2] || "dist/";

// The editor's library writes its rules into a <style> element, which the page's policy forbids; constructed sheets are
// allowed, and the library knows them, but takes them in shadow trees only.
const constructedSheets = {
  name: "constructed-sheets",
  setup(b) {
    b.onLoad({ filter: /[\\/]style-mod\.js$/ }, ({ path }) => {
      const text = readFileSync(path, "utf8");
      const changed = text.replace("!root.head && root.adoptedStyleSheets", "root.adoptedStyleSheets");
      if (changed === text) throw new Error(`${path} no longer holds the condition that is changed here`);
      return { contents: changed, loader: "js" };
    });
  },
};

const { outputFiles, metafile } = await build({
  entryPoints: { app: join(here, "src/main.js") },
  bundle: true,
  minify: true,
  metafile: true,
  charset: "utf8",
  legalComments: "none",
  banner: { js: "/*! Pallium. Third-party code within, with its licences: licenses.txt */" },
  target: ["es2020"],
  format: "iife",
  outdir: "/out",
  write: false,
  logLevel: "warning",
  plugins: [constructedSheets],
});

// One notice a bundled package; equal licence texts stand once.
function notices() {
  const names = new Set();
  for (const [path, { bytesInOutput }] of Object.values(metafile.outputs).flatMap((o) => Object.entries(o.inputs))) {
    const m = bytesInOutput > 0 && path.match(/.*node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (m) names.add(m[1]);
  }
  const byText = new Map();
  for (const name of [...names].sort()) {
    const folder = join(here, "node_modules", name);
    const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    if (!LICENCES.includes(about.license)) throw new Error(`${name} is under ${about.license}, which is not in the list here`);
    const file = readdirSync(folder).find((f) => /^licen[sc]e(\.\w+)?$/i.test(f));
    if (!file) throw new Error(`${name} has no licence file`);
    const text = readFileSync(join(folder, file), "utf8").trim();
    byText.set(text, [...(byText.get(text) || []), `${name} ${about.version} (${about.license})`]);
  }
  return `Third-party code in Pallium's web page\n${[...byText].map(([text, list]) => `\n${"=".repeat(72)}\n${list.join("\n")}\n\n${text}\n`).join("")}`;
}

const bundled = (name) => Buffer.from(outputFiles.find((f) => f.path.endsWith(name)).contents);
const source = (name) => readFileSync(join(here, name));
const assets = [
  ["", "text/html; charset=utf-8", source("index.html")],
  ["app.css", "text/css; charset=utf-8", bundled("app.css")],
  ["app.js", "text/javascript; charset=utf-8", bundled("app.js")],
  ["admin.css", "text/css; charset=utf-8", source("src/admin.css")],
  ["icon.svg", "image/svg+xml", source("src/icon.svg")],
  ["favicon.ico", "image/x-icon", source("src/favicon.ico")],
  ["licenses.txt", "text/plain; charset=utf-8", Buffer.from(notices())],
];

const bytes = (buf) => {
  const lines = [];
  for (let i = 0; i < buf.length; i += 32) lines.push([...buf.subarray(i, i + 32)].join(","));
  return lines.join(",\n");
};

function asC() {
  let out = '/* Written by ui/build.mjs. */\n#include "ui/assets.h"\n';
  let total = 0;
  const rows = assets.map(([path, type, plain], i) => {
    const packed = gzipSync(plain, { level: 9 });
    packed[9] = 3; // the header's operating system, so that every machine writes the same bytes
    total += packed.length;
    out += `static const unsigned char plain_${i}[] = {${bytes(plain)}};\nstatic const unsigned char gzip_${i}[] = {${bytes(packed)}};\n`;
    const etag = createHash("sha256").update(plain).digest("hex").slice(0, 16);
    return `    {"${path}", "${type}", "\\"${etag}\\"", "\\"${etag}-gzip\\"", plain_${i}, sizeof(plain_${i}), gzip_${i}, sizeof(gzip_${i})},\n`;
  });
  if (total > BYTES_MAX) throw new Error(`the page has grown to ${total} bytes gzipped; at most ${BYTES_MAX}`);
  return `${out}const struct ui_asset ui_assets[] = {\n${rows.join("")}};\nconst size_t ui_asset_count = ${assets.length};\n`;
}

if (target.endsWith(".c")) {
  writeFileSync(target, asC());
} else {
  mkdirSync(join(target, "ui"), { recursive: true });
  for (const [path, , plain] of assets) writeFileSync(path === "" ? join(target, "index.html") : join(target, "ui", path), plain);
}
