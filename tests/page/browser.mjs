// The page's transport in a real browser, against `layercast serve` on loopback; see stage.mjs.
//
//   node tests/page/browser.mjs [NAME...]     NAME: a part of the name of a story to tell; all, if left out

import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { read } from "../../player/page/bundle/layercast.js";
import { behind, CAPTION, ended, ROOT, serve, stream, tell, temporary, until as untilSaid } from "./stage.mjs";

const hex = (data) => Buffer.from(data).toString("hex");

function site() {
  const made = join(temporary, "site");
  cpSync(join(ROOT, "tests/page/site"), made, { recursive: true });
  cpSync(join(ROOT, "player/page/bundle/transport.js"), join(made, "transport.js"));
  return made;
}

/** The chunks of a stream as a page should have them. */
function chunksOf(data) {
  const { chunks } = read(new Uint8Array(data));
  const told = ({ kind, index, payload }) => [`${kind}/${index}`, { payload: hex(payload), complete: true }];
  return Object.fromEntries(chunks.map(told));
}

const until = (page, expression, seconds) =>
  untilSaid(page, expression, seconds, "globalThis.probe && JSON.stringify([probe.states, probe.errors, probe.progress])");

const bytesHere = "Object.values(probe.progress).reduce((sum, { bytes }) => sum + bytes, 0)";
const isComplete = "Object.values(probe.progress).some(({ complete }) => complete)";

async function chunksHere(page) {
  const found = await page.evaluate("Object.values(probe.chunks)");
  assert.equal(found.length, 1);
  return found[0];
}

const stories = {
  async "a whole stream arrives, byte for byte, its caption before the channel is open"(context) {
    const { file, size, data } = stream();
    const server = await serve([file, "--page-folder", site(), "--rate", "4000000"]);
    const page = await context.newPage();
    await page.goto(server.url + behind);
    await until(page, isComplete);
    assert.deepEqual(await chunksHere(page), chunksOf(data));
    const [progress] = await page.evaluate("Object.values(probe.progress)");
    assert.ok(progress.size === size && Math.abs(progress.bytes - size) <= size / 100, `${progress.bytes} of ${size} B`);
    const [caption] = await page.evaluate("Object.values(probe.captions)");
    assert.ok(caption.text === CAPTION && !caption.open);
    await until(page, `probe.states.at(-1).state === "ended"`);
    await page.evaluate("probe.session.close()");
    await ended(server.child, "SIGINT");
    return `${Object.keys(chunksOf(data)).length} chunks, ${size} B; caption after ${Math.round(caption.at)} ms`;
  },

  async "more is asked for later, and stop stops"(context) {
    const { file, size, data } = stream();
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
    assert.deepEqual(await chunksHere(page), chunksOf(data));
    await ended(server.child);
    return `base ${before} B, latents ${then} B, stopped at ${stopped} B, then all`;
  },

  async "the sender is killed and comes back: what is here stays, the rest follows"(context) {
    const { file, size, data } = stream();
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
    assert.deepEqual(await chunksHere(page), chunksOf(data));
    const { bytes } = await page.evaluate("probe.session.statistics()");
    assert.ok(bytes < 1.25 * size, `${bytes} B came for a stream of ${size}`);
    await ended(second.child);
    return `at ${before} of ${size} B: "${said}"; ${bytes} B came in all`;
  },

  async "the link is cut for 20 s"(context) {
    const { file, size, data } = stream();
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
    assert.deepEqual(await chunksHere(page), chunksOf(data));
    await ended(server.child);
    return said.join(", ");
  },

  async "the tab is reloaded in the middle: nothing is fetched twice"(context) {
    const { file, size, data } = stream();
    const server = await serve([file, "--page-folder", site(), "--rate", String((size * 8) / 8)]);
    const page = await context.newPage();
    await page.goto(server.url + behind);
    await until(page, `${bytesHere} > ${size / 3}`);
    await page.reload();
    await until(page, "globalThis.probe && probe.held > 0");
    await until(page, isComplete);
    assert.deepEqual(await chunksHere(page), chunksOf(data));
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

};

await tell(stories);
