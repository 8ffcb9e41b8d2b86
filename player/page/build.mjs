// node build.mjs: builds the package into bundle/ and types/. --weights FOLDER: also puts the files of weights there, gzipped.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const SETS = ["tiny", "base"];
const LAYERS = ["thumbnail", "latent", "residual", "residual_filter", "caption", "edge_vq"];

const { values: options } = parseArgs({ options: { weights: { type: "string" } } });
process.chdir(fileURLToPath(new URL(".", import.meta.url)));

mkdirSync("build", { recursive: true });
execFileSync("node_modules/.bin/asc", ["kernel/index.ts", "--target", "release"], { stdio: "inherit" });
execFileSync("node_modules/.bin/tsc", { stdio: "inherit" }); // checks types and writes types/
const common = {
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  loader: { ".wasm": "binary" },
  define: { WORKER: '"worker.js"' },
};
// the worker uses the library's own file instead of a second copy
const shared = {
  name: "shared",
  setup: ({ onResolve }) => onResolve({ filter: /^\.\/index$/ }, () => ({ path: "./layercast.js", external: true })),
};
const library = { layercast: "src/index.ts", transport: "src/transport/index.ts" };
const parts = { internals: "src/internals.ts", transport: "src/transport/internals.ts" };
await build({ ...common, entryPoints: library, outdir: "bundle" });
await build({ ...common, entryPoints: { element: "src/element.ts", worker: "src/worker.ts" }, outdir: "bundle", plugins: [shared] });
await build({ ...common, entryPoints: parts, outdir: "build", minify: false });
await buildPage();
writeFileSync("bundle/SOURCES.sha256", sources());

if (options.weights) {
  for (const set of SETS) {
    mkdirSync(`${options.weights}/${set}`, { recursive: true });
    for (const name of LAYERS) {
      const data = readFileSync(`../../codec/weights/${set}/${name}.safetensors`);
      writeFileSync(`${options.weights}/${set}/${name}.safetensors.gz`, gzipSync(data, { level: 9 }));
    }
  }
}

/** What `layercast serve --page` serves: a name holds the hash of its content, so that it may be kept for ever. */
async function buildPage() {
  rmSync("dist", { recursive: true, force: true });
  cpSync("static", "dist", { recursive: true });
  const named = { outdir: "dist", entryNames: "[name]-[hash]", metafile: true };
  const worker = await build({ ...common, entryPoints: ["src/worker.ts"], ...named });
  const [name] = Object.keys(worker.metafile.outputs).map((path) => path.replace("dist/", ""));
  const entryPoints = ["src/page/main.ts", "src/page/page.css"];
  const { metafile } = await build({ ...common, entryPoints, ...named, define: { WORKER: JSON.stringify(name) } });
  let html = readFileSync("static/index.html", "utf8");
  for (const [path, { entryPoint }] of Object.entries(metafile.outputs)) {
    html = html.replaceAll(`{${entryPoint}}`, path.replace("dist/", ""));
  }
  writeFileSync("dist/index.html", html);
  const shell = readdirSync("dist").filter((file) => file !== "index.html");
  const define = { BUILD: JSON.stringify(sha256(html).slice(0, 16)), SHELL: JSON.stringify(shell) };
  await build({ ...common, entryPoints: { sw: "src/page/sw.ts" }, outdir: "dist", format: "iife", define });
}

function sha256(data) {
  return createHash("sha256").update(data).digest("hex");
}

/** What the bundle was made of, in the layout of sha256sum: tests see when it is older than that. */
function sources() {
  const inside = (folder) => readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const folders = ["kernel", "src", "static"].flatMap(inside).map((entry) => `${entry.parentPath}/${entry.name}`);
  const files = [...folders, "asconfig.json", "build.mjs", "package-lock.json", "package.json", "tsconfig.json"];
  return files.sort().map((name) => `${sha256(readFileSync(name))}  ${name}\n`).join("");
}
