// The page that `layercast serve --page` serves: it connects to where it came from and says what arrives.
// Behind the # of its address: token=...&name=...

import { Session } from "../transport/session";

const given = new URLSearchParams(location.hash.slice(1));
const session = new Session({ token: given.get("token") ?? "", name: given.get("name") ?? "", captionText: true });
const state = document.getElementById("state")!;
const list = document.getElementById("streams")!;
const lines = new Map<number, { name: HTMLElement; caption: HTMLElement; progress: HTMLElement }>();

function lineOf(group: number) {
  let line = lines.get(group);
  if (line === undefined) {
    const [entry, name, caption, progress] = ["li", "h2", "p", "p"].map((tag) => document.createElement(tag)) as [
      HTMLElement, HTMLElement, HTMLElement, HTMLElement,
    ];
    entry.append(name, caption, progress);
    list.append(entry);
    lines.set(group, (line = { name, caption, progress }));
  }
  return line;
}

session.on("state", ({ text }) => (state.textContent = text));
session.on("error", ({ text }) => (state.textContent = text));
session.on("stream", ({ group, name }) => (lineOf(group).name.textContent = name));
session.on("caption", ({ group, text }) => (lineOf(group).caption.textContent = text));
session.on("progress", ({ group, bytes, size, complete }) => {
  const all = size === null ? "" : ` of ${size}`;
  lineOf(group).progress.textContent = complete ? `${bytes} bytes, complete` : `${bytes}${all} bytes`;
});
addEventListener("pagehide", () => void session.close());
await session.start();
