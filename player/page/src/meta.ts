// Facts about the picture and its colour profile (FORMAT.md, section 5).

import { FormatError } from "./container";

const KEYS = ["", "time", "place", "sender", "seed"];
const PROFILE = 0x85;
const LAST = 0x80;
const MAX_ENTRIES = 64;
const MAX_VALUE = 4096;
const MAX_PROFILE = 2 ** 20;
const KEY = /^[A-Za-z0-9_.-]{1,64}$/;
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f]/;

function problem(start: number, what: string): FormatError {
  return new FormatError(`meta offset ${start}: ${what}`);
}

/** The facts of chunk 0, in order; of a cut payload those that are complete. Throws FormatError. */
export function decodeFacts(payload: Uint8Array, whole: boolean): Map<string, string> {
  const facts = new Map<string, string>();
  let at = 0;
  for (let count = 1; at < payload.length; count++) {
    const start = at;
    const code = payload[at]! & ~LAST;
    const last = payload[at]! & LAST;
    at += 1;
    let end = payload.length;
    if (last && !whole) break;
    if (!last) {
      const length = payload[at] ?? 0;
      at += 1;
      if (length < 128) {
        end = at + length;
      } else {
        end = at + 1 + (((length & 127) << 8) | (payload[at] ?? 0));
        at += 1;
      }
      if (end > payload.length || at > payload.length) {
        if (!whole) break;
        throw problem(start, "the entry runs past the end");
      }
    }
    if (count > MAX_ENTRIES) throw problem(start, `more than ${MAX_ENTRIES} entries`);
    add(facts, code, payload.subarray(at, end), start);
    at = end;
  }
  return facts;
}

function add(facts: Map<string, string>, code: number, data: Uint8Array, start: number): void {
  if (code >= KEYS.length) return; // of a later version
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw problem(start, "not UTF-8");
  }
  let key = KEYS[code]!;
  let value = text;
  if (!code) {
    const equals = text.indexOf("=");
    key = text.slice(0, Math.max(equals, 0));
    value = text.slice(equals + 1);
    if (!KEY.test(key) || KEYS.includes(key)) throw problem(start, "no key");
  }
  if (facts.has(key)) throw problem(start, `${key} twice`);
  if (CONTROL.test(value) || new TextEncoder().encode(value).length > MAX_VALUE) {
    throw problem(start, `control characters, or more than ${MAX_VALUE} bytes`);
  }
  facts.set(key, value);
}

/** The ICC profile of chunks 1, 2, ... as far as they are there in order; null while parts are missing. */
export async function decodeProfile(payloads: readonly Uint8Array[]): Promise<Uint8Array | null> {
  payloads.forEach((payload, i) => {
    if (payload[0] !== PROFILE) throw new FormatError(`meta chunk ${i + 1} offset 0: not a part of a profile`);
  });
  const stream = new Blob(payloads.map((payload) => payload.subarray(1) as BlobPart)).stream();
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    const reader = stream.pipeThrough(new DecompressionStream("deflate-raw")).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > MAX_PROFILE) throw new FormatError("meta offset 1: the profile is too long");
      parts.push(value);
    }
  } catch (error) {
    if (error instanceof FormatError) throw error;
    return null; // not all there yet, or damaged: both are no profile
  }
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}

