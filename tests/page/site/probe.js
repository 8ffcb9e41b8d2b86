// A page without a face: what the session tells is kept in `probe`, for the test to read.

import { Session } from "./transport.js";

const given = new URLSearchParams(location.hash.slice(1));
const hex = (data) => [...data].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const probe = (globalThis.probe = { states: [], errors: [], streams: {}, captions: {}, chunks: {}, held: 0, progress: {}, times: {} });
const session = new Session({
  token: given.get("token") ?? "",
  name: given.get("name") ?? "",
  upto: Number(given.get("upto") ?? 3),
  captionText: true,
});
probe.session = session;
session.on("state", ({ state, text }) => probe.states.push({ state, text, at: performance.now() }));
session.on("error", ({ text, final }) => probe.errors.push({ text, final }));
session.on("stream", ({ group, header, name, size }) => (probe.streams[group] = { header: hex(header), name, size }));
session.on("caption", ({ group, text }) => {
  const open = probe.states.some(({ state }) => state === "connected");
  probe.captions[group] = { text, open, at: performance.now() };
});
session.on("chunk", ({ group, kind, index, payload, complete, held }) => {
  probe.times[`${kind}/${index}`] ??= performance.now();
  (probe.chunks[group] ??= {})[`${kind}/${index}`] = { payload: hex(payload), complete };
  if (held) probe.held += 1;
});
session.on("progress", (progress) => (probe.progress[progress.group] = progress));
addEventListener("pagehide", () => void session.close());
await session.start();
