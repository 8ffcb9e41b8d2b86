// Receives layercast streams in a browser. See README.md.

export { type Channel, type Connect, connectWebRtc, ConnectError, type Glance, type Where } from "./connect";
export { type ItemName, NOTHING } from "./control";
export { WireError } from "./fields";
export { DEFAULT_CONFIG, type Event, type HeldItem, Receiver, type ReceiverConfig } from "./receive";
export { type Area, type AreaOf, type Events, Session, type SessionOptions, type State, type Statistics } from "./session";
export { IdbStore, type Kept, NoStore, type Store } from "./store";
