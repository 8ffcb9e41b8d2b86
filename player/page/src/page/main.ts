// The page that `layercast serve --page` serves: it connects to where it came from and shows what arrives.
// Behind the # of its address: token=...&name=...

import { parseHeader } from "../container";
import type { LayerCast } from "../element";
import "../element";
import { Session } from "../transport/session";

const given = new URLSearchParams(location.hash.slice(1));
const session = new Session({ token: given.get("token") ?? "", name: given.get("name") ?? "", captionText: true });
const state = document.getElementById("state")!;
const list = document.getElementById("streams")!;
const CAPTION = 0; // the sender tells captions as text, so their tables need not be fetched
const lines = new Map<number, { name: HTMLElement; caption: HTMLElement; progress: HTMLElement; picture: LayerCast }>();
const weights = document.documentElement.dataset.weights!; // where the server has them: it writes that here

function lineOf(group: number) {
  let line = lines.get(group);
  if (line === undefined) {
    const [entry, name, caption, progress] = ["li", "h2", "p", "p"].map((tag) => document.createElement(tag)) as [
      HTMLElement, HTMLElement, HTMLElement, HTMLElement,
    ];
    const picture = document.createElement("layer-cast") as LayerCast;
    entry.append(name, picture, caption, progress);
    list.append(entry);
    lines.set(group, (line = { name, caption, progress, picture }));
  }
  return line;
}

session.on("state", ({ text }) => (state.textContent = text));
session.on("error", ({ text }) => (state.textContent = text));
session.on("stream", ({ group, name, header }) => {
  const line = lineOf(group);
  line.name.textContent = name;
  line.picture.setAttribute("weights", weights);
  line.picture.begin(parseHeader(header).header);
});
session.on("caption", ({ group, text }) => {
  const line = lineOf(group);
  line.caption.textContent = text;
  line.picture.setAttribute("alt", text);
});
session.on("chunk", ({ group, kind, index, payload, complete }) => {
  if (kind === CAPTION) return;
  lineOf(group).picture.push({ kind, index, payload, length: payload.length + (complete ? 0 : 1) });
});
session.on("progress", ({ group, bytes, size, complete }) => {
  const all = size === null ? "" : ` of ${size}`;
  if (complete) lineOf(group).picture.finish();
  lineOf(group).progress.textContent = complete ? `${bytes} bytes, complete` : `${bytes}${all} bytes`;
});
addEventListener("pagehide", () => void session.close());
await session.start();
