// The page that `layercast serve --page` and `layercast play` serve. It shows what arrives: over a data channel from where
// it came from, or (?src=PATH) a file of the same server that may still be growing.
//
// Behind the # of its address: token=...&name=...

import { Kind } from "../container";
import { LayerCast } from "../element";
import type { State } from "../transport/session";
import { Arrivals } from "./arrivals";
import { BodySource } from "./body_source";
import { byId, put, say } from "./dom";
import { Gallery } from "./gallery";
import { Patience } from "./patience";
import { SessionSource } from "./session_source";
import type { Source } from "./source";
import { Viewer } from "./viewer";

const weights = weightsFolder();
const streams = new Map<number, Arrivals>();
const src = new URLSearchParams(location.search).get("src");
const source = sourceOf();
const patience = src === null ? new Patience(weights) : null;
const gallery = new Gallery(weights, (group) => choose(group));
const viewer: Viewer = new Viewer(weights, source);
let served: { readonly groups: readonly number[]; readonly count: number } | null = null; // as the sender said
let hasPreview = false;
let pending = false; // what is looked at has not been asked for yet
let state: State = "connecting";
let byPerson = kept() !== undefined; // a person has chosen what is looked at

/** Where the server has them: it writes that into the page; beside the page where nobody did. */
function weightsFolder(): string {
  const written = document.documentElement.dataset.weights ?? "";
  return written && !written.startsWith("{") ? written : "weights/";
}

function sourceOf(): Source {
  const given = new URLSearchParams(location.hash.slice(1));
  const places = (group: number) => (viewer.group === group ? viewer.places : null);
  if (src === null) return new SessionSource(given.get("token") ?? "", given.get("name") ?? "", places);
  try {
    return new BodySource(src);
  } catch (error) {
    tell((error as Error).message, true);
    throw error;
  }
}

function tell(text: string, wrong = false): void {
  put(byId("state"), text);
  byId("state").classList.toggle("wrong", wrong);
}

/** The picture that was open before a reload, or that the browser's way back leads to. */
function kept(): number | undefined {
  return (history.state as { group?: number } | null)?.group;
}

/** A person opens a picture; the browser's way back leads to all of them again. */
function choose(group: number): void {
  byPerson = true;
  history.pushState({ group }, "", location.href);
  open(group);
  arrange();
  byId("name").focus();
}

function open(group: number): void {
  const arrivals = streams.get(group);
  if (!arrivals || viewer.group === group) return;
  leave();
  if (!arrivals.complete && patience && !patience.hasWeights) patience.begin();
  gallery.show(null);
  viewer.open(arrivals);
  pending = true;
  askForMore();
}

/** Asks for what is looked at. At a first visit not before its thumbnail is shown: its decoder needs the link first. */
function askForMore(): void {
  const { group } = viewer;
  if (!pending || group === null) return;
  const isReady = patience?.hasWeights ?? true;
  const hasThumbnail = streams.get(group)!.payload(Kind.LATENT, 0) !== null;
  if (!isReady && !hasPreview && (hasThumbnail || state !== "connected")) return;
  pending = false;
  source.open(group, isReady);
  patience?.asked();
}

document.addEventListener("layercast-preview", previewed, true); // of whichever picture
document.addEventListener("error", ({ target }) => target instanceof LayerCast && previewed(), true); // it never comes

function previewed(): void {
  hasPreview = true;
  askForMore();
}

function leave(): void {
  const { group } = viewer;
  if (group === null) return;
  viewer.close();
  source.leave(group);
}

function showAll(): void {
  leave();
  gallery.show(streams.values());
}

function isMany(): boolean {
  return streams.size > 1 || (served?.count ?? 0) > 1;
}

/** Unless a person has chosen, the only picture is looked at, of many the list. */
function arrange(): void {
  const many = isMany();
  const only = served?.count === 1 ? served.groups[0] : many ? undefined : [...streams.keys()][0];
  const before = kept();
  if (viewer.group === null && before !== undefined) open(before);
  else if (!byPerson && only !== undefined) open(only);
  else if (!byPerson && many) showAll();
  byId("back").hidden = !many || viewer.group === null;
}

byId("back").addEventListener("click", () => {
  if (kept() !== undefined) return history.back();
  const { group } = viewer;
  byPerson = true;
  showAll();
  arrange();
  if (group !== null) gallery.focus(group);
});
addEventListener("popstate", () => {
  const [group, before] = [kept(), viewer.group];
  byPerson = true;
  if (group !== undefined && streams.has(group)) open(group);
  else showAll();
  arrange();
  if (before !== null && viewer.group === null) gallery.focus(before);
});

function setState(now: State, text: string): void {
  state = now;
  tell(text, now === "waiting" || now === "silent" || now === "closed");
  patience?.state(now);
  viewer.setState(now);
  askForMore();
}

source.on("state", (now) => {
  setState(now.state, now.text);
  if (state !== "ended") return;
  if (patience?.hasWeights) keepPage();
  if ((patience?.hasWeights ?? true) && !viewer.isStopped) viewer.finish();
});
source.on("error", ({ text }) => tell(text, true));
source.on("glance", (glance) => {
  served = glance;
  arrange();
});
source.on("stream", ({ group, header, name, size }) => {
  let arrivals = streams.get(group);
  try {
    if (arrivals === undefined) streams.set(group, (arrivals = new Arrivals(group, header)));
  } catch (error) {
    return tell(`${name || "a picture"} cannot be read: ${(error as Error).message}`, true);
  }
  [arrivals.name, arrivals.size] = [name, size];
  gallery.update(arrivals);
  if (viewer.group === group) viewer.rename();
  arrange();
});
source.on("caption", ({ group, text, guessed }) => {
  const arrivals = streams.get(group);
  if (!arrivals) return;
  [arrivals.caption, arrivals.guessed] = [text, guessed];
  gallery.update(arrivals);
  if (viewer.group !== group) return;
  viewer.tellCaption();
  say(`caption: ${text}`);
});
source.on("chunk", ({ group, kind, index, payload, complete }) => {
  const arrivals = streams.get(group);
  if (!arrivals) return;
  const chunk = arrivals.add(kind, index, payload, complete);
  gallery.update(arrivals);
  if (viewer.group !== group) return;
  viewer.push(chunk);
  if (state === "ended" && !viewer.isStopped) setState("connected", "arriving"); // that end was of an earlier wish
  patience?.arrived(arrivals);
});
source.on("progress", ({ group, bytes, size, complete }) => {
  const arrivals = streams.get(group);
  if (!arrivals) return;
  const ended = complete && !arrivals.complete;
  Object.assign(arrivals, { bytes, complete, size: size ?? arrivals.size });
  if (!ended) return;
  gallery.update(arrivals);
  if (viewer.group === group) viewer.finish();
});
if (patience) {
  patience.onfetching = (text) => put(byId("fetching"), text);
  patience.onready = () => {
    pending = false;
    if (viewer.group !== null && !viewer.isStopped) source.open(viewer.group, true);
  };
}

/** Where the browser allows it, a worker keeps the page, so that it opens the next time without a byte of it crossing. */
function keepPage(): void {
  if (src === null && "serviceWorker" in navigator) navigator.serviceWorker.register("sw.js").catch(() => undefined);
}

addEventListener("pagehide", () => void source.close());
await source.start();
