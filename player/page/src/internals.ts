// What the golden vectors look into; no part of the package.

export * from "./index";
export { CaptionModel, plainCaption } from "./caption";
export { SIZES } from "./container";
export { decodeEdges } from "./edges";
export { Kernel } from "./kernel";
export { decodeFacts, decodeProfile } from "./meta";
export { ResidualDecoder } from "./residual";
export { decodeThumbnail, enlargeThumbnail } from "./thumbnail";
