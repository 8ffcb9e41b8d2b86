// The page's transport in a real browser, against `layercast serve` on loopback: headless Chromium, driven by Playwright.
//
//   node tests/page/browser.mjs [NAME...]     NAME: a part of the name of a story to tell; all, if left out
//
// PYTHON names the interpreter that has layercast, CHROMIUM the browser.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decode, read } from "../../player/page/bundle/layercast.js";
import { localWeights } from "./local.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const require = createRequire(join(ROOT, "player/page/package.json"));
const { chromium } = require("playwright-core");
const AXE = require("axe-core").source;
const TOKEN = "a token of the test";
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--allow-loopback-in-peer-connection",
];
const PYTHON = process.env.PYTHON ?? join(ROOT, ".venv/bin/python");
const ENVIRONMENT = { ...process.env, LAYERCAST_TOKEN: TOKEN, PYTHONUNBUFFERED: "1", PYTHONPATH: ROOT };
const chosen = process.argv.slice(2);
const temporary = mkdtempSync(join(tmpdir(), "layercast-page-"));
const CAPTION = "a rocket on its launch pad under a blue sky";
const FILE = join(temporary, "rocket.lcast");
const children = new Set();
const hex = (data) => Buffer.from(data).toString("hex");

function site() {
  const made = join(temporary, "site");
  cpSync(join(ROOT, "tests/page/site"), made, { recursive: true });
  cpSync(join(ROOT, "player/page/bundle/transport.js"), join(made, "transport.js"));
  return made;
}

/** The bundled photo as a stream, made once: its file, its bytes, and its chunks as a page should have them. */
function stream() {
  if (!existsSync(FILE)) run("-m", "layercast", "encode", "layercast/assets/rocket.webp", "--caption", CAPTION, "-o", FILE);
  const data = readFileSync(FILE);
  return { file: FILE, size: data.length, chunks: chunksOf(data) };
}

function run(...arguments_) {
  execFileSync(PYTHON, arguments_, { cwd: ROOT, env: ENVIRONMENT, stdio: ["ignore", "ignore", "inherit"] });
}

function chunksOf(data) {
  const { chunks } = read(new Uint8Array(data));
  const told = ({ kind, index, payload }) => [`${kind}/${index}`, { payload: hex(payload), complete: true }];
  return Object.fromEntries(chunks.map(told));
}

/** `layercast serve`: its port and its process. */
async function serve(arguments_, port = 0) {
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

function ended(child, signal = "SIGKILL") {
  return new Promise((resolve) => {
    child.once("exit", resolve).kill(signal);
  });
}

async function until(page, expression, seconds = 60) {
  for (const end = Date.now() + 1000 * seconds; !(await page.evaluate(expression).catch(() => false)); ) {
    if (Date.now() > end) {
      const states = await page.evaluate("globalThis.probe && JSON.stringify([probe.states, probe.errors, probe.progress])");
      throw new Error(`not within ${seconds} s: ${expression}; ${states}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const bytesHere = "Object.values(probe.progress).reduce((sum, { bytes }) => sum + bytes, 0)";
const isComplete = "Object.values(probe.progress).some(({ complete }) => complete)";
const behind = `#token=${encodeURIComponent(TOKEN)}`;

async function chunksHere(page) {
  const found = await page.evaluate("Object.values(probe.chunks)");
  assert.equal(found.length, 1);
  return found[0];
}

const stories = {
  async "a whole stream arrives, byte for byte, its caption before the channel is open"(context) {
    const { file, size, chunks } = stream();
    const server = await serve([file, "--page-folder", site(), "--rate", "4000000"]);
    const page = await context.newPage();
    await page.goto(server.url + behind);
    await until(page, isComplete);
    assert.deepEqual(await chunksHere(page), chunks);
    const [progress] = await page.evaluate("Object.values(probe.progress)");
    assert.ok(progress.size === size && Math.abs(progress.bytes - size) <= size / 100, `${progress.bytes} of ${size} B`);
    const [caption] = await page.evaluate("Object.values(probe.captions)");
    assert.ok(caption.text === CAPTION && !caption.open);
    await until(page, `probe.states.at(-1).state === "ended"`);
    await page.evaluate("probe.session.close()");
    await ended(server.child, "SIGINT");
    return `${Object.keys(chunks).length} chunks, ${size} B; caption after ${Math.round(caption.at)} ms`;
  },

  async "more is asked for later, and stop stops"(context) {
    const { file, size, chunks } = stream();
    const server = await serve([file, "--page-folder", site(), "--rate", String((size * 8) / 3)]);
    const page = await context.newPage();
    await page.goto(`${server.url}${behind}&upto=0`);
    await until(page, `probe.states.at(-1).state === "ended"`);
    const before = await page.evaluate(bytesHere);
    await page.evaluate("probe.session.want(2)");
    await until(page, `probe.states.filter(({ state }) => state === "ended").length === 2`);
    const then = await page.evaluate(bytesHere);
    assert.ok(then > before);
    const kinds = new Set(Object.keys(await chunksHere(page)).map((key) => Number(key.split("/")[0])));
    assert.ok(!kinds.has(5) && kinds.has(4), "latents, no residual");
    await page.evaluate("probe.session.lossless()");
    await until(page, `${bytesHere} > ${size / 3}`);
    await page.evaluate("probe.session.stop()");
    await until(page, `probe.states.filter(({ state }) => state === "ended").length === 3`);
    const stopped = await page.evaluate(bytesHere);
    assert.ok(stopped < 0.8 * size, `${stopped} B of ${size} when it was stopped`);
    await page.evaluate("probe.session.lossless()");
    await until(page, isComplete);
    assert.deepEqual(await chunksHere(page), chunks);
    await ended(server.child);
    return `base ${before} B, latents ${then} B, stopped at ${stopped} B, then all`;
  },

  async "the sender is killed and comes back: what is here stays, the rest follows"(context) {
    const { file, size, chunks } = stream();
    const arguments_ = [file, "--page-folder", site(), "--rate", String((size * 8) / 6)];
    const first = await serve(arguments_);
    const page = await context.newPage();
    await page.goto(first.url + behind);
    await until(page, `${bytesHere} > ${size / 4}`);
    await ended(first.child);
    await until(page, `probe.states.at(-1).state === "waiting"`, 40);
    const [said, before] = [await page.evaluate("probe.states.at(-1).text"), await page.evaluate(bytesHere)];
    const second = await serve(arguments_, first.port);
    await until(page, isComplete, 90);
    assert.deepEqual(await chunksHere(page), chunks);
    const { bytes } = await page.evaluate("probe.session.statistics()");
    assert.ok(bytes < 1.25 * size, `${bytes} B came for a stream of ${size}`);
    await ended(second.child);
    return `at ${before} of ${size} B: "${said}"; ${bytes} B came in all`;
  },

  async "the link is cut for 20 s"(context) {
    const { file, size, chunks } = stream();
    const server = await serve([file, "--page-folder", site(), "--rate", String((size * 8) / 6)]);
    const page = await context.newPage();
    await page.goto(server.url + behind);
    await until(page, `${bytesHere} > ${size / 4}`);
    server.child.kill("SIGSTOP");
    await page.waitForTimeout(20_000);
    const said = await page.evaluate("probe.states.map(({ state }) => state)");
    server.child.kill("SIGCONT");
    assert.ok(said.includes("silent"), said.join());
    await until(page, isComplete, 90);
    assert.deepEqual(await chunksHere(page), chunks);
    await ended(server.child);
    return said.join(", ");
  },

  async "the tab is reloaded in the middle: nothing is fetched twice"(context) {
    const { file, size, chunks } = stream();
    const server = await serve([file, "--page-folder", site(), "--rate", String((size * 8) / 8)]);
    const page = await context.newPage();
    await page.goto(server.url + behind);
    await until(page, `${bytesHere} > ${size / 3}`);
    await page.reload();
    await until(page, "globalThis.probe && probe.held > 0");
    await until(page, isComplete);
    assert.deepEqual(await chunksHere(page), chunks);
    const { bytes } = await page.evaluate("probe.session.statistics()");
    assert.ok(bytes < 0.85 * size, `${bytes} B of ${size} came after the reload`);
    const held = await page.evaluate("probe.held");
    await page.reload();
    await until(page, isComplete);
    await until(page, `probe.states.some(({ state }) => state === "ended")`);
    const again = await page.evaluate("probe.session.statistics()");
    assert.ok(again.bytes < 500, "all was here");
    await ended(server.child);
    return `${held} chunks held, ${bytes} of ${size} B came after the reload, then ${again.bytes}`;
  },

  async "a wrong token, and no sender"(context) {
    const { file } = stream();
    const server = await serve([file, "--page-folder", site()]);
    const page = await context.newPage();
    await page.goto(`${server.url}#token=wrong`);
    await until(page, `probe.states.at(-1).state === "closed"`);
    const [error] = await page.evaluate("probe.errors");
    assert.ok(error.final && error.text.includes("refused the token"));
    await ended(server.child);
    return error.text;
  },

  async "the page that comes with layercast shows the picture, to the last bit"(context) {
    const { file } = stream();
    const server = await serve([file, "--page", "--rate", "4000000"]);
    const page = await context.newPage();
    await page.goto(server.url + behind);
    await until(page, `document.querySelector("layer-cast")?.verified === true`);
    const seen = await page.evaluate(async () => {
      const element = document.querySelector("layer-cast");
      const { data } = await element.pixels();
      const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
      return [Array.from(sum, (byte) => byte.toString(16).padStart(2, "0")).join(""), element.ariaLabel];
    });
    const { picture } = await decode(new Uint8Array(readFileSync(file)), { weights: localWeights() });
    assert.deepEqual(seen, [createHash("sha256").update(picture.data).digest("hex"), CAPTION]);
    await ended(server.child);
    return `${picture.width}x${picture.height}`;
  },

  async "the page that comes with layercast can be used by everybody, says axe-core"(context) {
    const server = await serve([stream().file, "--page", "--rate", "4000000"]);
    const page = await context.newPage();
    await page.goto(server.url + behind);
    await until(page, `document.querySelector("layer-cast")?.verified === true`);
    await page.evaluate(AXE);
    const { violations, passes } = await page.evaluate("axe.run()");
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), []);
    await ended(server.child);
    return `${passes.length} rules`;
  },

  async "the page that comes with layercast: text, never HTML; nothing breaks its policy"(context) {
    const file = join(temporary, "script.lcast");
    const text = "<script>document.title = 'run'</script><img src=x onerror=alert(1)>";
    run("-m", "layercast", "encode", "layercast/assets/rocket.webp", "--caption", text, "--max-bytes", "400", "-o", file);
    const server = await serve([file, "--page"]);
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    await page.goto(server.url + behind);
    await until(page, "document.body.innerText.includes('all that is wanted is here')");
    assert.ok((await page.innerText("#streams")).includes(text));
    assert.equal(await page.locator("#streams img, #streams script").count(), 0);
    assert.deepEqual([await page.title(), complaints], ["layercast", []]);
    await ended(server.child);
  },
};

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
