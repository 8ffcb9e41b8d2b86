// What stories about pages in a real browser share: headless Chromium, driven by Playwright, and `layercast serve` on loopback.
//
// PYTHON names the interpreter that has layercast, CHROMIUM the browser.

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const require = createRequire(join(ROOT, "player/page/package.json"));
const { chromium } = require("playwright-core");
export const AXE = require("axe-core").source;
export const TOKEN = "a token of the test";
export const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--allow-loopback-in-peer-connection",
];
const PYTHON = process.env.PYTHON ?? join(ROOT, ".venv/bin/python");
const ENVIRONMENT = { ...process.env, LAYERCAST_TOKEN: TOKEN, PYTHONUNBUFFERED: "1", PYTHONPATH: ROOT };
export const temporary = mkdtempSync(join(tmpdir(), "layercast-page-"));
export const CAPTION = "a rocket on its launch pad under a blue sky";
const FILE = join(temporary, "rocket.lcast");
const children = new Set();
export const behind = `#token=${encodeURIComponent(TOKEN)}`;

/** The bundled photo as a stream, made once: its file and its bytes. */
export function stream() {
  if (!existsSync(FILE)) run("-m", "layercast", "encode", "layercast/assets/rocket.webp", "--caption", CAPTION, "-o", FILE);
  const data = readFileSync(FILE);
  return { file: FILE, data, size: data.length };
}

export function run(...arguments_) {
  return execFileSync(PYTHON, arguments_, { cwd: ROOT, env: ENVIRONMENT, stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" });
}

/** `layercast serve`: its port and its process. */
export async function serve(arguments_, port = 0) {
  const command = ["-m", "layercast", "serve", ...arguments_, "--listen", `127.0.0.1:${port}`];
  const child = spawn(PYTHON, command, { env: ENVIRONMENT, cwd: ROOT, stdio: ["ignore", "ignore", "pipe"] });
  children.add(child.once("exit", () => children.delete(child)));
  let said = "";
  const url = await new Promise((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (text) => {
      said += text;
      const found = said.match(/open (http:\S+)/);
      if (found) resolve(found[1]);
    });
    child.on("exit", () => reject(new Error(`serve ended: ${said}`)));
  });
  return { child, url, port: Number(new URL(url).port), said: () => said };
}

export function ended(child, signal = "SIGKILL") {
  return new Promise((resolve) => {
    child.once("exit", resolve).kill(signal);
  });
}

/** Until an expression holds in the page; `said` is an expression whose value says why it did not. */
export async function until(page, expression, seconds = 60, said = "document.body.innerText") {
  for (const end = Date.now() + 1000 * seconds; !(await page.evaluate(expression).catch(() => false)); ) {
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${expression}; ${await page.evaluate(said)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Tells the stories whose names hold one of the words of the command line; all, if there are none. */
export async function tell(stories) {
  const chosen = process.argv.slice(2);
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  try {
    for (const [name, story] of Object.entries(stories)) {
      if (chosen.length > 0 && !chosen.some((part) => name.includes(part))) continue;
      const context = await browser.newContext();
      const told = await story(context);
      await context.close();
      console.log(`browser: ${name}${told ? ` (${told})` : ""}`);
    }
  } finally {
    for (const child of children) child.kill("SIGKILL");
    await browser.close();
    rmSync(temporary, { recursive: true, force: true });
  }
}
