// Has a worker time the decoder, and the element show a whole stream; tells the server, and how long the page was blocked.

const blocked = [];
new PerformanceObserver((list) => blocked.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: "longtask" });
const worker = new Worker("/page/speed-worker.js", { type: "module" });
const lines = await new Promise((done) => worker.addEventListener("message", ({ data }) => done(data)));
worker.terminate();

await import("/bundle/element.js");
const element = document.createElement("layer-cast");
element.setAttribute("weights", "/weights");
element.setAttribute("upto", "residual");
element.setAttribute("src", "/stream");
const start = performance.now();
let first;
element.addEventListener("layercast-progress", () => (first ??= performance.now() - start));
const ended = new Promise((done) => ["load", "error"].forEach((type) => element.addEventListener(type, done)));
document.body.append(element);
await ended;
lines.push(["<layer-cast>, new worker, weights over loopback: first", `${first.toFixed(0)} ms`]);
lines.push(["<layer-cast>: whole and verified", `${(performance.now() - start).toFixed(0)} ms, ${element.verified}`]);
lines.push(["the page's thread blocked for 50 ms or more", `${blocked.length} times, longest ${Math.max(0, ...blocked)} ms`]);
await fetch("/done", { method: "POST", body: JSON.stringify(lines) });
