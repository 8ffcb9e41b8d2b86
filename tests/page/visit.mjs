// The page that comes with layercast, in a real browser, as a person uses it; see stage.mjs.
//
//   node tests/page/visit.mjs [NAME...]     NAME: a part of the name of a story to tell; all, if left out

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { decode, Decoder, read } from "../../player/page/bundle/layercast.js";
import { localWeights } from "./local.mjs";
import { AXE, behind, CAPTION, ended, ROOT, run, serve, stream, tell, temporary, until } from "./stage.mjs";

const FAST = ["--page", "--rate", "4000000"];
const PHRASES = ["a rocket", "two towers"];
const SCRIPT = "<script>document.title = 'run'</script><img src=x onerror=alert(1)>";
const verified = `document.querySelector("#frame layer-cast")?.verified === true`;
const sha256 = (data) => createHash("sha256").update(data).digest("hex");

/** A page at an address; what breaks its policy or fails in it is noted, and what keeps its thread for 50 ms or more. */
async function visit(context, url) {
  const page = await context.newPage();
  page.complaints = [];
  page.blocked = [];
  page.on("console", (message) => message.type() === "error" && page.complaints.push(message.text()));
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  await page.addInitScript(() => {
    globalThis.blocked = [];
    const note = (list) => globalThis.blocked.push(...list.getEntries().map(({ duration }) => Math.round(duration)));
    new PerformanceObserver(note).observe({ type: "longtask", buffered: true });
  });
  await page.goto(url);
  await page.evaluate(() => {
    const state = document.getElementById("state") ?? document.createElement("p");
    globalThis.states = [state.textContent];
    new MutationObserver(() => globalThis.states.push(state.textContent)).observe(state, { childList: true, characterData: true });
  });
  return page;
}

/** Tasks of the page itself that took 50 ms or more, as far as they are known. */
async function blocked(page) {
  page.blocked.push(...(await page.evaluate("blocked.splice(0)")));
  return `tasks of 50 ms or more: ${page.blocked.join(", ") || "none"}`;
}

/** Work of the test in the page, whose tasks are not the page's. */
async function aside(page, work, ...given) {
  await blocked(page);
  const found = await page.evaluate(work, ...given);
  await page.evaluate("new Promise((done) => setTimeout(done, 50)).then(() => blocked.splice(0))");
  return found;
}

/** What is painted, as a screenshot would show it; opaque pictures alone, for a canvas rounds colours under alpha. */
async function painted(page) {
  return aside(page, async () => {
    const canvas = document.querySelector("#frame layer-cast").shadowRoot.querySelector("canvas");
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [canvas.width, canvas.height];
    copy.getContext("2d").drawImage(canvas, 0, 0);
    const { data } = copy.getContext("2d").getImageData(0, 0, copy.width, copy.height);
    const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
    return Array.from(sum, (byte) => byte.toString(16).padStart(2, "0")).join("");
  });
}

/** Until what is painted has this sum: a frame may take a while to get from the worker to the page. */
async function untilPainted(page, sum, what) {
  for (let look = 0; look < 100; look++) {
    if ((await painted(page)) === sum) return;
    await page.waitForTimeout(100);
  }
  assert.fail(`not painted: ${what}`);
}

async function isAccessible(page, state) {
  await aside(page, AXE);
  const { violations } = await aside(page, "axe.run()");
  assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], state);
}

/** The stream with phrases about what is where; or others of its kind. */
function withPhrases() {
  const file = join(temporary, "phrases.lcast");
  if (existsSync(file)) return file;
  const script = `
import sys
from codec import stream
from codec.structure import regions
header, chunks = stream.read(open(sys.argv[1], "rb").read())
boxes = [regions.Box(6, 2, 9, 12), regions.Box(2, 4, 13, 14)]
entries = [regions.Region(box, phrase) for box, phrase in zip(boxes, sys.argv[3:])]
extra = stream.Chunk(stream.Kind.REGIONS, 0, regions.encode(entries, header.weights))
open(sys.argv[2], "wb").write(stream.write(header, [*chunks[:2], extra, *chunks[2:]]))`;
  run("-c", script, stream().file, file, ...PHRASES);
  return file;
}

/** A folder of streams of about 3 kB, made once. */
function folder(count) {
  const made = join(temporary, "folder");
  if (existsSync(made)) return made;
  mkdirSync(made);
  const script = `
import sys
from pathlib import Path
from codec import caption, stream
header, chunks = stream.read(open(sys.argv[1], "rb").read())
for n in range(1, int(sys.argv[3]) + 1):
    own = stream.Chunk(stream.Kind.CAPTION, 0, caption.encode(f"rocket number {n}", header.weights))
    rest = [chunk for chunk in chunks[1:] if chunk.kind == stream.Kind.LATENT]
    Path(sys.argv[2], f"photo {n:02}.lcast").write_bytes(stream.write(header, [own, *rest])[:-5])`;
  run("-c", script, stream().file, made, String(count));
  return made;
}

async function saved(page, button) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
  const path = join(temporary, download.suggestedFilename());
  await download.saveAs(path);
  return path;
}

/** Serves a stream so that all of it takes so many seconds, to a browser that has the weights from a faster visit. */
async function serveSlowly(context, { file, data }, seconds) {
  const fast = await serve([file, ...FAST]);
  const page = await visit(context, fast.url + behind);
  await until(page, verified);
  await page.goto(`${fast.url}nothing`);
  await page.evaluate("new Promise((done) => (indexedDB.deleteDatabase('layercast').onsuccess = done))");
  await page.close();
  await ended(fast.child);
  return serve([file, "--page", ...within(data, seconds)], fast.port);
}

const stories = {
  async "the picture, to the last bit, and saved as it is"(context) {
    const { file, data } = stream();
    const server = await serve([file, ...FAST]);
    const page = await visit(context, server.url + behind);
    await until(page, verified);
    const { picture } = await decode(new Uint8Array(data), { weights: localWeights() });
    await untilPainted(page, sha256(picture.data), "the whole picture");
    assert.equal(await page.getAttribute("#frame layer-cast", "aria-label"), CAPTION);
    assert.equal(await page.innerText("#caption"), CAPTION);
    assert.ok((await page.innerText("#truth")).startsWith("Exact"));
    assert.deepEqual(readFileSync(await saved(page, "#save-lcast")), data);
    const png = await saved(page, "#save-png");
    const same = `
import sys, numpy, layercast
from PIL import Image
print((numpy.asarray(Image.open(sys.argv[1])) == layercast.decode(open(sys.argv[2], "rb").read()).picture).all())`;
    assert.equal(run("-c", same, png, file).trim(), "True");
    assert.deepEqual(page.complaints, []);
    const tasks = await blocked(page);
    await ended(server.child);
    return `${picture.width}x${picture.height}; ${tasks}`;
  },

  async "captions are text, never HTML; nothing breaks the page's policy"(context) {
    const file = join(temporary, "script.lcast");
    run("-m", "layercast", "encode", "layercast/assets/rocket.webp", "--caption", SCRIPT, "--max-bytes", "400", "-o", file);
    const server = await serve([file, "--page"]);
    const page = await visit(context, server.url + behind);
    await until(page, "document.body.innerText.includes('all that is wanted is here')");
    assert.equal(await page.innerText("#caption"), SCRIPT);
    assert.equal(await page.locator("main img, main script").count(), 0);
    assert.deepEqual([await page.title(), page.complaints], ["layercast", []]);
    await ended(server.child);
  },

  async "what is where: a box under the pointer and the focus, phrases as text"(context) {
    const server = await serve([withPhrases(), ...FAST]);
    const page = await visit(context, server.url + behind);
    await until(page, "document.querySelectorAll('#phrases button').length === 2");
    assert.deepEqual(await page.locator("#phrases button").allInnerTexts(), PHRASES);
    await page.locator("#phrases button").first().focus();
    assert.equal(await page.locator(".box.lit").count(), 1);
    assert.equal(await page.locator(".box.lit").innerText(), PHRASES[0]);
    const { x, y, width, height } = await page.locator("#frame").boundingBox();
    await page.mouse.move(x + width / 4, y + height / 2);
    assert.equal(await page.locator(".box.lit").innerText(), PHRASES[1], "the smaller one does not reach there");
    await page.mouse.move(x + width / 2, y + height / 2);
    assert.equal(await page.locator(".box.lit").innerText(), PHRASES[0], "of two the smaller");
    await isAccessible(page, "with phrases");
    await ended(server.child);
  },

  async "any earlier moment can be seen again"(context) {
    const { data } = stream();
    const own = await site(data);
    const page = await visit(context, `${own.url}?src=photo.lcast`);
    await until(page, verified);
    const last = sha256((await decode(new Uint8Array(data), { weights: localWeights() })).picture.data);
    await untilPainted(page, last, "now");
    const slider = page.locator("#moment");
    const { header, chunks } = read(new Uint8Array(data));
    const told = [];
    for (const moment of [3, Math.round(chunks.length / 2), 9, 30]) {
      await slider.fill(String(moment));
      const text = await slider.getAttribute("aria-valuetext");
      assert.ok(text.startsWith("back then: "), text);
      told.push(text);
      const decoder = await Decoder.open(header, { weights: localWeights() });
      for (const chunk of chunks.slice(0, moment)) decoder.push(chunk);
      await untilPainted(page, sha256((await decoder.picture()).data), `moment ${moment}`);
    }
    await isAccessible(page, "in the past");
    await slider.focus();
    await page.keyboard.press("End");
    await untilPainted(page, last, "now again");
    assert.ok((await slider.getAttribute("aria-valuetext")).startsWith("now: "));
    const tasks = await blocked(page);
    own.close();
    return `${chunks.length} moments; ${told.join("; ")}; ${tasks}`;
  },

  async "a part that is asked for comes first: dragged, and by the keyboard"(context) {
    const { data } = stream();
    const server = await serveSlowly(context, stream(), 45);
    const page = await visit(context, server.url + behind);
    await until(page, "document.querySelector('.layer.residual') && document.querySelector('#frame layer-cast').progress.bytes > 6000");
    const { x, y, width, height } = await page.locator("#frame").boundingBox();
    await page.mouse.move(x + 2, y + 2);
    await page.mouse.down();
    await page.mouse.move(x + width / 10, y + height / 10);
    await page.mouse.up();
    assert.match(await page.innerText("#said"), /^asked for this part first/);
    const { picture } = await decode(new Uint8Array(data), { weights: localWeights() });
    const isExact = async (area) => {
      const look = async () => {
        const { data } = await document.querySelector("#frame layer-cast").pixels();
        return Array.from(data).map((byte) => String.fromCharCode(byte)).join("");
      };
      return differences(Buffer.from(await aside(page, look), "latin1"), picture, area) === 0;
    };
    const bytes = () => page.evaluate("document.querySelector('#frame layer-cast').progress.bytes");
    const corner = [0, 0, 0.1, 0.1];
    while (!(await isExact(corner))) await page.waitForTimeout(200);
    const first = await bytes();
    assert.ok(first < 0.7 * data.length && !(await isExact([0, 0, 1, 1])), `${first} of ${data.length} B`);
    await page.focus("#choose");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Escape");
    assert.equal(await page.evaluate("document.activeElement.id"), "choose");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate("document.activeElement.id"), "region-left");
    for (const key of ["End", "Tab", "End", "Tab", "Home", "Tab", "Home", "Tab"]) await page.keyboard.press(key);
    await page.keyboard.press("Enter");
    await until(page, "/from 95% left and 95% top/.test(document.getElementById('said').textContent)");
    await isAccessible(page, "choosing a part");
    while (!(await isExact([0.95, 0.95, 0.05, 0.05]))) await page.waitForTimeout(200);
    const second = await bytes();
    assert.ok(!(await isExact([0, 0, 1, 1])), `${second} of ${data.length} B`);
    await ended(server.child);
    return `its pixels exact with ${first}, then with ${second} of ${data.length} B`;
  },

  async "stop here, then go to lossless; what is known of the link"(context) {
    const server = await serveSlowly(context, stream(), 12);
    const page = await visit(context, server.url + behind);
    await until(page, "document.querySelector('#frame layer-cast')?.progress.bytes > 30000");
    assert.match(await page.innerText("#rate"), /^\d+\.\d kbit\/s$/);
    assert.match(await page.innerText("#loss"), /^\d+\.\d% of \d+ packets$/);
    assert.match(await page.innerText("#eta"), /^about \d/);
    await isAccessible(page, "while it arrives");
    await page.click("#ask");
    await until(page, "document.querySelector('#ask').textContent === 'Go to lossless'");
    await page.waitForTimeout(2_500);
    const [one, two] = [await page.innerText("#bytes"), await page.waitForTimeout(2_000).then(() => page.innerText("#bytes"))];
    assert.ok(one === two && !one.includes("all of it"), `${one}, then ${two}`);
    await isAccessible(page, "stopped");
    await page.click("#ask");
    await until(page, verified);
    const tasks = await blocked(page);
    await ended(server.child);
    return `stopped at ${one}; ${tasks}`;
  },

  async "many: a list of captions and thumbnails, opened and left by the keyboard"(context) {
    const server = await serve([folder(12), ...FAST]);
    const page = await visit(context, server.url + behind);
    await until(page, "document.querySelectorAll('.card').length === 12");
    const isPainted = `[...document.querySelectorAll('.card layer-cast')].every((each) => each.shadowRoot.querySelector('canvas')?.width === 320)`;
    await until(page, isPainted);
    await until(page, "/all that is wanted/.test(document.getElementById('state').textContent)");
    await until(page, "[...document.querySelectorAll('.card .caption')].every(({ textContent }) => textContent.startsWith('rocket number'))");
    assert.ok(!(await page.isVisible("#viewer")));
    await isAccessible(page, "the list");
    await page.locator(".card").nth(4).focus();
    await page.keyboard.press("Enter");
    await until(page, "document.querySelector('#frame layer-cast')?.ariaBusy === 'false'");
    assert.deepEqual([await page.innerText("#caption"), await page.innerText("#name")], ["rocket number 5", "photo 05.lcast"]);
    await isAccessible(page, "one of many");
    await page.reload();
    await until(page, "document.getElementById('name').textContent === 'photo 05.lcast'");
    await page.goBack();
    await until(page, "document.querySelectorAll('.card').length === 12");
    assert.ok(!(await page.isVisible("#viewer")));
    await page.locator(".card").nth(1).click();
    await until(page, "document.getElementById('name').textContent === 'photo 02.lcast'");
    await page.click("#back");
    await until(page, "document.activeElement.matches('.card')");
    await ended(server.child);
  },

  async "a sender that is killed, a link cut for 20 s, a reloaded tab: the page says so and goes on"(context) {
    const { file, data } = stream();
    const arguments_ = [file, "--page", ...within(data, 16)];
    const first = await serveSlowly(context, stream(), 16);
    const page = await visit(context, first.url + behind);
    const here = "document.querySelector('#frame layer-cast')?.progress.bytes";
    await until(page, `${here} > 20000`);
    await ended(first.child);
    await until(page, "states.some((text) => text.includes('what came is kept, the next try in'))", 40);
    const killed = await page.evaluate("states.find((text) => text.includes('what came is kept, the next try in'))");
    await isAccessible(page, "without its sender");
    const second = await serve(arguments_, first.port);
    await until(page, `${here} > 90000`);
    second.child.kill("SIGSTOP");
    await page.waitForTimeout(20_000);
    const cut = await page.innerText("#state");
    assert.match(cut, /nothing comes|next try|connecting/);
    assert.equal(await page.innerText("#caption"), CAPTION);
    second.child.kill("SIGCONT");
    await until(page, `${here} > 130000`, 90);
    await page.reload();
    await until(page, `${here} > 110000`);
    await until(page, verified, 90);
    const tasks = await blocked(page);
    await ended(second.child);
    return `killed: "${killed}"; cut: "${cut}"; ${tasks}`;
  },

  async "opened again without a server: the page, its weights and the picture are kept"(context) {
    const { file } = stream();
    const server = await serve([file, ...FAST]);
    const page = await visit(context, server.url + behind);
    await until(page, verified);
    await page.evaluate("navigator.serviceWorker.ready");
    await page.reload(); // from now on the worker hears what is fetched
    await until(page, verified);
    const kept = () => caches.open("layercast weights").then((cache) => cache.keys()).then((keys) => keys.length);
    assert.ok((await page.evaluate(kept)) >= 4);
    const asked = [];
    context.on("request", (request) => request.serviceWorker() && asked.push(request.url()));
    await page.reload();
    await until(page, verified);
    assert.deepEqual(asked.map((url) => new URL(url).pathname), ["/"], "the page itself is asked for anew, and nothing else");
    await ended(server.child);
    await page.reload();
    await until(page, verified);
    await until(page, "/cannot be reached/.test(document.getElementById('state').textContent)");
    assert.equal(await page.innerText("#caption"), CAPTION);
  },

  async "over a thin link weights wait until the latents are here"(context) {
    const { file } = stream();
    const server = await serve([file, "--page", "--rate", "10000"]);
    const page = await context.newPage();
    const asked = [];
    page.on("request", (request) => asked.push([new URL(request.url()).pathname.split("/").at(-1), Date.now()]));
    await page.goto(server.url + behind);
    await until(page, "document.getElementById('caption').textContent.length > 10 && document.getElementById('state').textContent === 'connected'");
    const connected = Date.now();
    assert.ok(!asked.some(([name]) => name.startsWith("latent")), "not before the channel is open");
    await until(page, "document.querySelector('#frame layer-cast').progress.bytes > 2000");
    const of = (name) => asked.find(([what]) => what.startsWith(name))[1];
    assert.ok(of("webrtc") < of("worker") && of("worker") < of("thumbnail"), "the channel first");
    assert.ok(of("latent") > connected + 1_500, "2.8 kB take longer");
    await ended(server.child);
    return `the network's weights ${((of("latent") - connected) / 1000).toFixed(1)} s after the channel opened`;
  },

  async "a player behind the page: what grows is shown, wishes are told, the address's query is passed on"(context) {
    const { data } = stream();
    const player = { name: "rocket", wants: true, bytes: data.length, rate: 1250, loss: 0.25, eta: 7 };
    const own = await site(data, { player, parts: [600, 4000, 60_000, Infinity] });
    const page = await visit(context, `${own.url}?src=photo.lcast&token=a%26b`);
    await until(page, "document.querySelector('#frame layer-cast')?.progress.bytes > 300");
    await until(page, `document.getElementById("caption").textContent === ${JSON.stringify(CAPTION)}`);
    assert.deepEqual([await page.innerText("#name"), await page.innerText("#eta")], ["rocket", "about 7.0 s"]);
    assert.deepEqual([await page.innerText("#rate"), await page.innerText("#loss")], ["10.0 kbit/s", "25.0%"]);
    own.more();
    await until(page, "document.querySelector('#frame layer-cast').progress.bytes > 2500");
    const { x, y, width, height } = await page.locator("#frame").boundingBox();
    await page.mouse.move(x + width / 4, y + height / 4);
    await page.mouse.down();
    await page.mouse.move(x + width / 2, y + height / 2);
    await page.mouse.up();
    await page.click("#ask");
    await page.click("#ask");
    while (own.wants.length < 3) await page.waitForTimeout(100);
    const [{ region }, ...others] = own.wants;
    assert.ok(region.every((share) => Math.abs(share - 0.25) < 0.01), region.join());
    assert.deepEqual(others, [{ stop: true }, { lossless: true }]);
    assert.ok(own.asked.filter((url) => /photo|play.json|want/.test(url)).every((url) => url.includes("token=a%26b")));
    own.breakOff();
    await until(page, "states.some((text) => text.includes('broken off'))");
    own.more();
    own.more();
    await until(page, verified);
    assert.deepEqual(readFileSync(await saved(page, "#save-lcast")), data);
    own.close();
    const elsewhere = await visit(context, `${own.url.replace(String(own.port), "1")}`).catch(() => null);
    assert.equal(elsewhere, null);
  },

  async "the element on any web server: a small request, and no more than its size shows"(context) {
    const { data } = stream();
    const texts = [];
    for (const ranges of [true, false]) {
      const own = await site(data, { ranges });
      for (const [width, whole] of [["200px", false], ["640px", true]]) {
        const page = await visit(context, `${own.url}element.html`);
        const end = await page.evaluate(async (width) => {
          const element = document.createElement("layer-cast");
          const ended = new Promise((done) => element.addEventListener("load", done));
          element.style.width = width;
          element.setAttribute("src", "photo.lcast");
          document.body.replaceChildren(element);
          await ended;
          return { verified: element.verified, text: element.ariaLabel, height: element.clientHeight, ...element.progress };
        }, width);
        assert.equal(end.verified, whole ? true : null);
        assert.deepEqual([end.text, end.height], [CAPTION, Math.round((427 / 640) * parseInt(width))]);
        if (ranges && !whole) assert.ok(own.ranges[0][1] <= 4096 && own.ranges.at(-1)[1] <= 3 * 4096, own.ranges.join("; "));
        if (ranges && !whole) texts.push(`shown at ${width}: ${own.ranges.length} requests, ${own.ranges.at(-1)[1]} of ${data.length} B`);
        own.ranges.length = 0;
        await page.close();
      }
      own.close();
    }
    return texts.join("; ");
  },
};

/** Rate arguments with which all of a stream takes so many seconds. */
function within(data, seconds) {
  return ["--rate", String(Math.round((8 * data.length) / seconds))];
}

/** How many samples of an area (shares) differ. */
function differences(now, { data, width, height }, [left, top, wide, high]) {
  let count = 0;
  for (let y = Math.floor(top * height); y < (top + high) * height; y++) {
    for (let x = Math.floor(left * width); x < (left + wide) * width; x++) {
      for (let c = 0; c < 3; c++) count += now[4 * (y * width + x) + c] !== data[4 * (y * width + x) + c];
    }
  }
  return count;
}

/** The page on a plain web server, beside a file; with a player, or parts of the file that come when the test says so. */
async function site(data, { player = null, parts = [Infinity], ranges = true } = {}) {
  const dist = join(ROOT, "player/page/dist");
  const types = { html: "text/html", js: "text/javascript", css: "text/css" };
  const told = { asked: [], ranges: [], wants: [] };
  let allowed = 0;
  let broken = false;
  let wake = () => undefined;
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://x");
    told.asked.push(request.url);
    const name = pathname.slice(1) || "index.html";
    if (name === "play.json" && player) return response.end(JSON.stringify(player));
    if (name === "want") {
      let body = "";
      for await (const piece of request) body += piece;
      told.wants.push(JSON.parse(body));
      return response.end();
    }
    if (name === "photo.lcast") return giveFile(request, response);
    if (/^(bundle\/)?weights\//.test(name)) return response.end(readFileSync(join(ROOT, "codec", name.replace(/^bundle\/|\.gz$/g, ""))));
    if (name === "element.html") return response.end(`<!doctype html><html lang="en"><script type="module" src="bundle/element.js"></script>`);
    const path = name.startsWith("bundle/") ? join(ROOT, "player/page", name) : join(dist, name);
    if (!existsSync(path)) return response.writeHead(404).end();
    response.writeHead(200, { "Content-Type": types[name.split(".").at(-1)] ?? "text/plain" }).end(readFileSync(path));
  });
  async function giveFile(request, response) {
    const [, from, to] = (ranges && /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "")) || [];
    const start = Number(from ?? 0);
    const stop = Math.min(to ? Number(to) + 1 : data.length, data.length);
    if (from !== undefined) told.ranges.push([start, stop]);
    const head = from === undefined ? {} : { "Content-Range": `bytes ${start}-${stop - 1}/${data.length}` };
    response.writeHead(from === undefined ? 200 : 206, { ...head, "Content-Length": stop - start });
    for (let at = start; at < stop; ) {
      const end = Math.min(stop, parts[allowed]);
      if (end > at) response.write(data.subarray(at, end));
      at = Math.max(at, end);
      if (at < stop) await new Promise((done) => (wake = done));
      if (broken) return void ((broken = false), response.destroy());
    }
    response.end();
  }
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  const step = () => wake();
  return {
    ...told,
    port,
    url: `http://127.0.0.1:${port}/`,
    more: () => (allowed++, step()),
    breakOff: () => ((broken = true), step()),
    close: () => (server.closeAllConnections(), server.close()),
  };
}

await tell(stories);
