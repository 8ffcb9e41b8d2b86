// node tests/page/thin.mjs URL TOKEN: visits a page twice; says what the second visit has when. Run by thin.py.

import { createRequire } from "node:module";

const require = createRequire(new URL("../../player/page/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const [url, token] = process.argv.slice(2);
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
const page = await browser.newPage();

async function until(expression, seconds) {
  for (const end = Date.now() + 1000 * seconds; !(await page.evaluate(expression).catch(() => false)); ) {
    if (Date.now() > end) {
      const said = await page.evaluate("globalThis.probe && JSON.stringify([probe.states, probe.errors, probe.progress])");
      throw new Error(`not within ${seconds} s: ${expression}; ${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const visit = `${url}#token=${encodeURIComponent(token)}`;
const started = Date.now();
await page.goto(visit, { timeout: 120_000 });
await until("globalThis.probe && Object.keys(probe.captions).length > 0", 120);
console.log(`first visit: the caption after ${((Date.now() - started) / 1000).toFixed(2)} s, the page fetched`);
await until(`probe.states.some(({ state }) => state === "ended")`, 120);
await page.evaluate("probe.session.close().then(() => indexedDB.deleteDatabase('layercast'))");
await page.goto("about:blank");
await new Promise((resolve) => setTimeout(resolve, 3000));
await page.goto(visit, { timeout: 120_000 });
await until(`probe.states.some(({ state }) => state === "ended")`, 120);
const told = await page.evaluate(`({
  shell: performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd,
  caption: Object.values(probe.captions)[0].at,
  thumbnail: probe.times["4/0"],
  connected: probe.states.find(({ state }) => state === "connected").at,
  latent: Math.min(...Object.entries(probe.times).filter(([key]) => key.startsWith("4/") && key !== "4/0").map(([, at]) => at)),
  all: probe.states.find(({ state }) => state === "ended").at,
})`);
for (const [what, at] of Object.entries(told)) console.log(`second visit: ${what} after ${(at / 1000).toFixed(2)} s`);
await browser.close();
