// node tests/page/thin.mjs URL TOKEN PROFILE [--prime] [--shots FOLDER] [--pin SPKI]: visits the page that comes with layercast
// and says what it shows when, in seconds after the click. --prime: stays until the weights are in the browser's cache,
// and forgets the pictures. Run by thin.py.

import { createRequire } from "node:module";
import { join } from "node:path";
import { parseArgs } from "node:util";

const require = createRequire(new URL("../../player/page/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const { values: options, positionals: [url, token, profile] } = parseArgs({
  allowPositionals: true,
  options: { prime: { type: "boolean" }, shots: { type: "string" }, pin: { type: "string" } },
});
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
if (options.pin) FLAGS.push(`--ignore-certificate-errors-spki-list=${options.pin}`);
const SHOTS = [1, 5, 20, 60]; // seconds
const LONGEST = 240;

const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: FLAGS,
  viewport: { width: 1000, height: 720 },
});
await context.addInitScript(() => {
  const times = (globalThis.times = {});
  const note = (what) => (times[what] ??= performance.now() / 1000);
  document.addEventListener("DOMContentLoaded", () => {
    note("shell");
    const look = () => {
      const caption = document.getElementById("caption");
      if (caption.textContent && !caption.classList.contains("absent")) note("caption");
      if (document.getElementById("state").textContent === "connected") note("channel open");
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  document.addEventListener("layercast-preview", () => note("thumbnail"), true);
  document.addEventListener("layercast-progress", ({ target, detail }) => {
    if (!target.closest("#frame")) return;
    if (detail.bytes > 60) note("first latent");
    if (detail.bytes > 3000) note("3 kB");
  }, true);
});
const page = await context.newPage();

async function until(expression, seconds) {
  for (const end = Date.now() + 1000 * seconds; !(await page.evaluate(expression).catch(() => false)); ) {
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${expression}; ${await page.evaluate("document.body.innerText")}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const clicked = Date.now();
const loading = page.goto(`${url}#token=${encodeURIComponent(token)}`, { timeout: 1000 * LONGEST, waitUntil: "commit" });
for (const second of options.shots ? SHOTS : []) {
  await new Promise((resolve) => setTimeout(resolve, clicked + 1000 * second - Date.now()));
  await page.screenshot({ path: join(options.shots, `page-${second}s.png`), timeout: 20_000 });
}
await loading;
await until(options.prime ? "localStorage.length > 0 && times['3 kB']" : "times.thumbnail && times.caption", LONGEST);
if (!options.prime && (await page.evaluate("localStorage.length")) > 0) await until("times['3 kB']", LONGEST);
const times = await page.evaluate("times");
for (const [what, at] of Object.entries(times).sort(([, one], [, other]) => one - other)) console.log(`${what}: ${at.toFixed(2)} s`);
if (options.prime) {
  await page.goto("about:blank");
  const origin = await context.newPage();
  await origin.goto(`${url}nothing`);
  await origin.evaluate("new Promise((done) => (indexedDB.deleteDatabase('layercast').onsuccess = done))");
}
await context.close();
