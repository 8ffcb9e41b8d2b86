// Keeps the page and its weights in the browser, where it allows that (HTTPS, or this machine itself): opened again, none of
// them crosses the link, and without one the page still shows what it kept.
//
// What has a hash in its name never changes and is taken from here; the page itself is asked for anew, and taken from here
// where nobody answers.

declare const BUILD: string; // names this build; put in when building
declare const SHELL: readonly string[]; // files of this build, beside this one; put in when building

/** As much of a service worker as this needs. */
interface Scope {
  readonly registration: { readonly scope: string };
  addEventListener(type: "install" | "activate" | "fetch", listener: (event: WorkerEvent) => void): void;
}
interface WorkerEvent {
  readonly request: Request;
  waitUntil(done: Promise<unknown>): void;
  respondWith(answer: Promise<Response>): void;
}

const own = globalThis as unknown as Scope;
const WEIGHTS = "layercast weights";
const PAGE = `layercast ${BUILD}`;
const PATIENCE = 5_000; // ms for the server to answer for the page

own.addEventListener("install", (event) => {
  event.waitUntil(caches.open(PAGE).then((cache) => cache.addAll([own.registration.scope, ...SHELL])));
});

own.addEventListener("activate", (event) => {
  const old = (name: string) => name.startsWith("layercast ") && name !== PAGE && name !== WEIGHTS;
  event.waitUntil(caches.keys().then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name)))));
});

own.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (url.pathname.includes("/weights/")) event.respondWith(weights(request, url));
  else if (SHELL.some((name) => url.pathname.endsWith(`/${name}`))) event.respondWith(kept(PAGE, request));
  else if (request.mode === "navigate" && `${url.origin}${url.pathname}` === own.registration.scope) event.respondWith(page(request));
});

async function kept(name: string, request: Request): Promise<Response> {
  const cache = await caches.open(name);
  const found = await cache.match(request.url);
  if (found) return found;
  const answer = await fetch(request);
  if (answer.ok) await cache.put(request.url, answer.clone());
  return answer;
}

/** Files of weights; those of another version go when one of this version comes. */
async function weights(request: Request, url: URL): Promise<Response> {
  const answer = await kept(WEIGHTS, request);
  const folder = url.href.slice(0, url.href.lastIndexOf("/", url.href.lastIndexOf("/") - 1) + 1);
  const cache = await caches.open(WEIGHTS);
  const others = (await cache.keys()).filter(({ url: other }) => !other.startsWith(folder));
  await Promise.all(others.map((other) => cache.delete(other)));
  return answer;
}

async function page(request: Request): Promise<Response> {
  const cache = await caches.open(PAGE);
  try {
    return await fetch(request, { signal: AbortSignal.timeout(PATIENCE) });
  } catch (error) {
    const found = await cache.match(own.registration.scope);
    if (found) return found;
    throw error;
  }
}
