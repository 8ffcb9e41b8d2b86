// Files of weights: the safetensors that the Python codec has, as they are, one a layer; fetched when first needed.

import { FormatError } from "./container";

/** Gives a file of weights, such as "base/latent.safetensors", as it is or gzipped. */
export type Loader = (path: string) => Promise<Uint8Array>;

/** Numbers, in rows by `shape`. Those of 64 bits come as Float64Array. */
export interface Tensor {
  readonly data: Uint8Array | Int8Array | Uint16Array | Int16Array | Int32Array | Float64Array;
  readonly shape: readonly number[];
}

export type Tensors = Readonly<Record<string, Tensor>>;

const SETS = ["tiny", "base"]; // those that a header can name

/** The folder of a set of weights. Throws FormatError for one that this version does not have. */
export function setName(weights: number): string {
  const name = SETS[weights];
  if (name === undefined) {
    throw new FormatError(
      `offset 1: weights set ${weights} is unknown to this version (it reads draft 0 with sets 0 tiny, 1 base);` +
        " a later layercast reads it",
    );
  }
  return name;
}

/** Fetches files of weights below `base` as `name.safetensors.gz`. */
export function weightsAt(base: string | URL): Loader {
  return async (path) => {
    const url = new URL(`${path}.gz`, base);
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`${url.href}: ${answer.status} ${answer.statusText}`);
    return new Uint8Array(await answer.arrayBuffer());
  };
}

/** `data` unpacked: "gzip", "deflate" (zlib's layout) or "deflate-raw". */
export async function unpacked(data: Uint8Array, format: CompressionFormat): Promise<Uint8Array> {
  const stream = new Blob([data as BlobPart]).stream().pipeThrough(new DecompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The arrays of a safetensors file: 8 bytes length of the head, the head as JSON, the numbers. */
export function parseSafetensors(data: Uint8Array): Tensors {
  const end = 8 + Number(new DataView(data.buffer, data.byteOffset).getBigUint64(0, true));
  const head = JSON.parse(new TextDecoder().decode(data.subarray(8, end))) as Record<string, unknown>;
  const arrays: Record<string, Tensor> = {};
  for (const [name, entry] of Object.entries(head)) {
    if (name === "__metadata__") continue;
    const { dtype, shape, data_offsets: place } = entry as { dtype: string; shape: number[]; data_offsets: number[] };
    const bytes = data.slice(end + place[0]!, end + place[1]!).buffer; // a copy, so that it is aligned
    arrays[name] = { data: numbers(dtype, bytes), shape };
  }
  return arrays;
}

function numbers(dtype: string, bytes: ArrayBuffer): Tensor["data"] {
  switch (dtype) {
    case "U8":
      return new Uint8Array(bytes);
    case "I8":
      return new Int8Array(bytes);
    case "U16":
      return new Uint16Array(bytes);
    case "I16":
      return new Int16Array(bytes);
    case "I32":
      return new Int32Array(bytes);
    case "I64":
      return Float64Array.from(new BigInt64Array(bytes), Number);
    default:
      throw new Error(`weights of type ${dtype} are unknown to this version`);
  }
}

/** Files of weights, each fetched once; what is built of them, built once. */
export class Weights {
  #load: Loader;
  #waiting = new Map<string, Promise<void>>();
  #files = new Map<string, Tensors>();
  #built = new Map<string, unknown>();

  constructor(load: Loader) {
    this.#load = load;
  }

  /** Resolves when `get` can give the file `name` of a set. */
  need(weights: number, name: string): Promise<void> {
    const path = `${setName(weights)}/${name}.safetensors`;
    let waiting = this.#waiting.get(path);
    if (!waiting) {
      waiting = this.#fetch(path);
      this.#waiting.set(path, waiting);
      waiting.catch(() => this.#waiting.delete(path)); // asked again, it is tried again
    }
    return waiting;
  }

  has(weights: number, name: string): boolean {
    return this.#files.has(`${setName(weights)}/${name}.safetensors`);
  }

  get(weights: number, name: string): Tensors {
    const found = this.#files.get(`${setName(weights)}/${name}.safetensors`);
    if (!found) throw new Error(`weights ${setName(weights)}/${name} are not loaded yet`);
    return found;
  }

  /** What `make` makes of a set, kept under `name`. */
  built<T>(weights: number, name: string, make: () => T): T {
    const key = `${weights} ${name}`;
    if (!this.#built.has(key)) this.#built.set(key, make());
    return this.#built.get(key) as T;
  }

  async #fetch(path: string): Promise<void> {
    let data = await this.#load(path);
    if (data[0] === 0x1f && data[1] === 0x8b) data = await unpacked(data, "gzip");
    const file = parseSafetensors(data);
    for (const [name, tensor] of Object.entries(file)) await unpackInPlace(file, name, tensor);
    this.#files.set(path, file);
  }
}

// Arrays that hold zlib data are unpacked while waiting is allowed.
async function unpackInPlace(file: Record<string, Tensor>, name: string, tensor: Tensor): Promise<void> {
  if (name !== "lexicon" && name !== "shapes") return;
  const data = await unpacked(tensor.data as Uint8Array, "deflate");
  file[name] = { data, shape: [data.length] };
}
