// Opens a data channel to `layercast serve`: one request holds the offer, its answer everything else.

/** What the sender tells of a stream with its answer. `caption`: as text, for pages without the caption model. */
export interface Glance {
  readonly group: number;
  readonly name: string;
  readonly size: number;
  readonly header: Uint8Array;
  readonly caption: string | null;
  /** Whether a program found the caption; null if that is not told. */
  readonly guessed: boolean | null;
  readonly items: readonly { readonly cls: number; readonly index: number; readonly payload: Uint8Array }[];
}

/** Why there is no connection, for people; `final`: trying again would not help. */
export class ConnectError extends Error {
  override readonly name = "ConnectError";
  constructor(
    message: string,
    readonly final = false,
  ) {
    super(message);
  }
}

/** A way to the sender for whole datagrams. */
export interface Channel {
  send(data: Uint8Array): void;
  close(): void;
  onmessage: (data: Uint8Array) => void;
  /** Nothing comes (true), or something does again (false). */
  onsilent: (silent: boolean) => void;
  onclose: (why: string) => void;
}

export interface Where {
  /** http(s)://HOST:PORT of `layercast serve`. */
  readonly server: string;
  readonly token: string;
  /** Which stream is wanted; "" for all. */
  readonly name: string;
  /** Captions as text, please. */
  readonly captionText: boolean;
  readonly iceServers: readonly RTCIceServer[];
}

/** Connects: `glanced` is called when the answer is there, before the channel is open; count: of all streams there are. Rejects with ConnectError. */
export type Connect = (
  where: Where,
  glanced: (glances: readonly Glance[], count: number) => void,
  signal: AbortSignal,
) => Promise<Channel>;

const SEALED = "what is served is sealed, which a page cannot open; `layercast receive --seal` can";
const GATHERING = 1_000;
const GATHERING_OWN = 50; // without servers to ask: browsers hide our own addresses, and the sender sees ours anyway
const ANSWER = 30_000;
const OPENING = 45_000;

/** The way over WebRTC. */
export const connectWebRtc: Connect = async (where, glanced, signal) => {
  const peer = new RTCPeerConnection({ iceServers: [...where.iceServers] });
  const give = () => peer.close();
  signal.addEventListener("abort", give);
  try {
    const data = peer.createDataChannel("items", { negotiated: true, id: 0, ordered: false, maxRetransmits: 0 });
    data.binaryType = "arraybuffer";
    const opened = opening(peer, data);
    opened.catch(() => undefined); // it is awaited below, if it comes to that
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer, where.iceServers.length > 0 ? GATHERING : GATHERING_OWN);
    const answer = await exchange(where, shortened(peer.localDescription!.sdp), signal);
    glanced(answer.glances, answer.count);
    await peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    await opened;
    return wrapped(peer, data);
  } catch (error) {
    peer.close();
    if (error instanceof ConnectError) throw error;
    throw new ConnectError(`no connection: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    signal.removeEventListener("abort", give);
  }
};

/** An offer without what says nothing to a sender of data alone, names that only this machine can resolve and TCP. */
export function shortened(sdp: string): string {
  const useless = (line: string) =>
    /^a=(extmap-allow-mixed|msid-semantic|ice-options)/.test(line) ||
    (line.startsWith("a=candidate:") && (line.includes(".local ") || / tcp /i.test(line)));
  return sdp.split("\r\n").filter((line) => !useless(line)).join("\r\n");
}

/** What the answer's JSON tells; items that are none are left out. */
export function glancesOf(told: unknown): Glance[] {
  const streams = (told as { streams?: unknown } | null)?.streams;
  return Array.isArray(streams) ? streams.flatMap((stream) => glanceOf(stream) ?? []) : [];
}

function glanceOf(stream: unknown): Glance | null {
  if (typeof stream !== "object" || stream === null) return null;
  const { group, name, size, header, caption, guessed, items } = stream as Record<string, unknown>;
  const preamble = bytesOf(header);
  if (!isCount(group, 2 ** 32) || preamble === null || preamble.length === 0) return null;
  return {
    group,
    name: typeof name === "string" ? name : "",
    size: isCount(size, Number.MAX_SAFE_INTEGER) ? size : 0,
    header: preamble,
    caption: typeof caption === "string" ? caption : null,
    guessed: typeof guessed === "boolean" ? guessed : null,
    items: Array.isArray(items) ? items.flatMap((item) => itemOf(item) ?? []) : [],
  };
}

function itemOf(item: unknown): Glance["items"][number] | null {
  if (!Array.isArray(item)) return null;
  const [cls, index, text] = item as unknown[];
  const payload = bytesOf(text);
  return isCount(cls, 4) && isCount(index, 2 ** 22) && payload !== null ? { cls, index, payload } : null;
}

function isCount(value: unknown, below: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < below;
}

function bytesOf(text: unknown): Uint8Array | null {
  if (typeof text !== "string") return null;
  try {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    return null;
  }
}

async function exchange(
  where: Where,
  offer: string,
  signal: AbortSignal,
): Promise<{ sdp: string; glances: Glance[]; count: number }> {
  const url = new URL("webrtc", where.server);
  if (where.name) url.searchParams.set("name", where.name);
  if (where.captionText) url.searchParams.set("caption", "text");
  const headers: Record<string, string> = { "Content-Type": "application/sdp", Accept: "application/json" };
  if (where.token) headers.Authorization = `Bearer ${where.token}`;
  const both = AbortSignal.any([signal, AbortSignal.timeout(ANSWER)]);
  let answer: Response;
  try {
    answer = await fetch(url, { method: "POST", headers, body: offer, signal: both, redirect: "error" });
  } catch {
    throw new ConnectError("the sender cannot be reached");
  }
  if (answer.status === 401) {
    throw new ConnectError("the sender refused the token; open the link that `layercast serve` prints", true);
  }
  if (answer.status !== 201) throw new ConnectError(`the sender refused (${answer.status}): ${await reason(answer)}`);
  const told: unknown = await answer.json().catch(() => null);
  const { sdp, sealed, count } = (told ?? {}) as { sdp?: unknown; sealed?: unknown; count?: unknown };
  if (sealed === true) throw new ConnectError(SEALED, true);
  if (typeof sdp !== "string") throw new ConnectError("the sender's answer cannot be read; is it of another version?", true);
  const glances = glancesOf(told);
  return { sdp, glances, count: isCount(count, 2 ** 32) ? count : glances.length };
}

async function reason(answer: Response): Promise<string> {
  return (await answer.text().catch(() => "")).slice(0, 100) || "no reason given";
}

function gathered(peer: RTCPeerConnection, patience: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => peer.iceGatheringState === "complete" && resolve();
    peer.addEventListener("icegatheringstatechange", done);
    setTimeout(resolve, patience);
    done();
  });
}

function opening(peer: RTCPeerConnection, data: RTCDataChannel): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => reject(new ConnectError(why));
    const timer = setTimeout(() => fail("the sender answered, but no connection came of it"), OPENING + ANSWER);
    data.addEventListener("open", () => {
      clearTimeout(timer);
      resolve();
    });
    data.addEventListener("close", () => fail("the sender closed the connection"));
    peer.addEventListener("connectionstatechange", () => {
      if (peer.connectionState === "failed") fail("the sender answered, but there is no way to it");
      if (peer.connectionState === "closed") fail("given up");
    });
  });
}

function wrapped(peer: RTCPeerConnection, data: RTCDataChannel): Channel {
  const channel: Channel = {
    send: (bytes) => {
      if (data.readyState === "open") data.send(bytes as Uint8Array<ArrayBuffer>);
    },
    close: () => {
      data.close();
      peer.close();
    },
    onmessage: () => undefined,
    onsilent: () => undefined,
    onclose: () => undefined,
  };
  data.onmessage = ({ data: message }) => {
    if (message instanceof ArrayBuffer) channel.onmessage(new Uint8Array(message));
  };
  data.onclose = () => channel.onclose("the sender closed the connection");
  peer.onconnectionstatechange = () => {
    const state = peer.connectionState;
    if (state === "disconnected" || state === "connected") channel.onsilent(state === "disconnected");
    if (state === "failed" || state === "closed") channel.onclose("the connection broke");
  };
  return channel;
}
