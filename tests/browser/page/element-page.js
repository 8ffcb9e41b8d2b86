// Shows one stream after the other and tells the server what is to be seen at each moment it asks for.

const post = (path, body) => fetch(path, { method: "POST", body: JSON.stringify(body) });
const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
const sha256 = async (data) => hex(await crypto.subtle.digest("SHA-256", data));
const FRAMES = 100;
const blocked = []; // milliseconds of tasks that kept the page's thread for 50 or more
new PerformanceObserver((list) => blocked.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: "longtask" });
const violations = [];
addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));

/** What is painted, as a screenshot would show it; a frame may take a while to get from the worker to the page. */
async function painted(element, expected) {
  const copy = document.createElement("canvas");
  copy.width = element.naturalWidth;
  copy.height = element.naturalHeight;
  const brush = copy.getContext("2d");
  let found = null;
  for (let frame = 0; frame < FRAMES && found !== expected; frame++) {
    await new Promise(requestAnimationFrame);
    brush.drawImage(element.shadowRoot.querySelector("canvas"), 0, 0);
    found = await sha256(brush.getImageData(0, 0, copy.width, copy.height).data);
  }
  return found;
}

async function show({ name, moments, opaque }) {
  const element = document.createElement("layer-cast");
  const started = performance.now();
  const ended = new Promise((done) => {
    element.addEventListener("load", done);
    element.addEventListener("error", ({ detail }) => done(post("/failed", { name, message: detail.message })));
  });
  let looking = Promise.resolve();
  element.addEventListener("layercast-progress", ({ detail }) => {
    if (!moments.includes(detail.bytes)) return;
    const time = performance.now() - started;
    looking = looking.then(async () => {
      const { data } = await element.pixels();
      const pixels = await sha256(data);
      const canvas = opaque ? await painted(element, pixels) : null; // a canvas rounds colours under alpha
      await post("/look", { name, bytes: detail.bytes, time, pixels, painted: canvas, exact: detail.exact });
    });
  });
  element.setAttribute("src", `/streams/${name}`);
  element.setAttribute("weights", "/weights");
  element.setAttribute("upto", "residual");
  document.querySelector("main").replaceChildren(element);
  await ended;
  await looking;
  const { role, ariaLabel } = element;
  const children = element.childElementCount + element.shadowRoot.childElementCount;
  await post("/ended", { name, role, ariaLabel, verified: element.verified, children });
}

/** The pixels of a stream that is not fetched to its end. */
async function part(name, upto, width) {
  const element = document.createElement("layer-cast");
  const ended = new Promise((done) => element.addEventListener("load", done));
  for (const [key, value] of Object.entries({ src: `/streams/${name}`, weights: "/weights", upto })) element.setAttribute(key, value);
  element.style.width = width; // a property: the policy forbids the attribute
  document.querySelector("main").replaceChildren(element);
  await ended;
  return sha256((await element.pixels()).data);
}

const streams = await (await fetch("/streams")).json();
for (const stream of streams) await show(stream);
const longest = streams.toSorted((a, b) => b.size - a.size)[0].name;
const parts = [await part(longest, "latent", "auto"), await part(longest, "shown", "32px")];
await post("/done", { blocked, violations, parts });
