// Bundles the page and writes it as C: `node build.mjs OUT.c` gives the table that src/ui/ui.c serves, each file plain and
// gzipped; `node build.mjs DIR/` gives the files themselves, to look at. No network, no timestamps: same sources, same bytes.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const BYTES_MAX = 150 * 1024; // gzipped, all together: the page must stay small
const here = dirname(fileURLToPath(import.meta.url));
const target = process.argv[2] || "dist/";

const uplot = join(here, "node_modules/uplot");
const version = JSON.parse(readFileSync(join(uplot, "package.json"), "utf8")).version;
const licence = readFileSync(join(uplot, "LICENSE"), "utf8").trim();
const { outputFiles } = await build({
  entryPoints: { app: join(here, "src/main.js") },
  bundle: true,
  minify: true,
  charset: "utf8",
  legalComments: "none",
  banner: { js: `/*! Contains uPlot ${version}:\n\n${licence}\n*/` },
  target: ["es2020"],
  format: "iife",
  outdir: "/out",
  write: false,
  logLevel: "warning",
});
const bundled = (name) => Buffer.from(outputFiles.find((f) => f.path.endsWith(name)).contents);
const assets = [
  ["", "text/html; charset=utf-8", readFileSync(join(here, "index.html"))],
  ["app.css", "text/css; charset=utf-8", bundled("app.css")],
  ["app.js", "text/javascript; charset=utf-8", bundled("app.js")],
  ["icon.svg", "image/svg+xml", readFileSync(join(here, "src/icon.svg"))],
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
