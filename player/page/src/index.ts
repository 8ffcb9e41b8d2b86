// Decodes layercast streams, bit for bit as the Python codec does. See README.md.

export { FormatError, Kind, parseHeader, read, StreamReader, write, type Chunk, type Header } from "./container";
export { decode, Decoder, type ChunkArea, type Decoded, type Options, type Picture, type Rectangle } from "./decoder";
export { weightsAt, Weights, type Loader } from "./weights";
export { isCoded, type Caption } from "./caption";
export type { EdgeMap } from "./edges";
export { baseSize } from "./geometry";
export { encodePng } from "./png";
export type { Region } from "./regions";
