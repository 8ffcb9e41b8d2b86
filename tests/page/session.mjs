// node tests/page/session.mjs: what the page's session tells its sender and its listeners, over a channel in memory.

import assert from "node:assert/strict";
import { ConnectError, encode, glancesOf, parse, Session } from "../../player/page/build/transport.js";

const HEADER = Uint8Array.of(0xc1, 1, 2, 3);
const text = (words) => new TextEncoder().encode(words);

/** A sender that the test plays: notes what is asked of it, sends what it is told to. */
class Played {
  requests = [];
  closed = false;
  number = 0;
  channel = {
    send: (data) => {
      const packet = parse(data);
      if (packet.kind === "request") this.requests.push(...packet.entries);
    },
    close: () => (this.closed = true),
    onmessage: () => undefined,
    onsilent: () => undefined,
    onclose: () => undefined,
  };

  data(cls, index, payload, { group = 7, final = true, offset = 0 } = {}) {
    const preamble = cls === 0 ? HEADER : new Uint8Array();
    const segments = [{ cls, index, offset, payload, final }];
    this.channel.onmessage(encode({ kind: "data", group, number: this.number++, preamble, coded: null, segments }));
  }

  end(why = "") {
    this.channel.onmessage(encode({ kind: "end", why }));
  }
}

/** A session and what it told; each connection is the next of `senders`, or a refusal. */
function opened(senders, options = {}, glances = []) {
  const told = [];
  const connect = async (where, glanced) => {
    const next = senders.shift() ?? new ConnectError("nobody is there", true);
    if (next instanceof Error) throw next;
    glanced(glances, glances.length);
    queueMicrotask(() => next.ready?.());
    return next.channel;
  };
  const session = new Session({ server: "http://127.0.0.1:1", connect, ...options });
  for (const type of ["state", "stream", "caption", "chunk", "progress", "error"]) {
    session.on(type, (event) => told.push({ type, ...event }));
  }
  return { session, told };
}

const of = (told, type) => told.filter((event) => event.type === type);
const turn = () => new Promise((resolve) => setTimeout(resolve));

const stories = {
  async "what is here and wanted is told to the next sender, all groups' level last"() {
    const [one, other] = [new Played(), new Played()];
    const { session, told } = opened([one, other], { name: "photo", upto: 1 });
    const done = session.start();
    await turn();
    assert.deepEqual(one.requests, [{ kind: "topic", text: "photo" }, { kind: "level", group: null, upto: 1 }]);
    one.data(0, 0, text("caption"));
    one.data(1, 10, text("whole"));
    one.data(3, 13, text("begun"), { final: false });
    session.want(2, 7);
    one.channel.onclose("cut");
    await turn();
    assert.ok(one.closed);
    assert.deepEqual([of(told, "state").at(-1).state, of(told, "state").at(-1).seconds], ["waiting", 1]);
    session.want(3); // wakes it
    await turn();
    assert.deepEqual(other.requests.slice(1), [
      { kind: "held", group: 7, runs: [{ cls: 0, first: 0, step: 1, count: 1 }, { cls: 1, first: 10, step: 1, count: 1 }] },
      { kind: "partial", group: 7, cls: 3, index: 13, size: 5 },
      { kind: "level", group: 7, upto: 2 },
      { kind: "level", group: null, upto: 3 },
    ]);
    other.data(3, 13, text(" and ended"), { offset: 5 });
    const chunks = of(told, "chunk").map(({ kind, index, payload, complete }) => [kind, index, payload.length, complete]);
    assert.deepEqual(chunks, [[0, 0, 7, true], [2, 1, 5, true], [5, 1, 5, false], [5, 1, 15, true]]);
    await session.close();
    await done;
    assert.equal(of(told, "state").at(-1).state, "closed");
  },

  async "a region is asked for as soon as the order of the stream is known"() {
    const sender = new Played();
    const areaOf = (group, kind, index) => (kind === 5 ? { x: 10 * index, y: 0, width: 10, height: 10 } : null);
    const { session } = opened([sender], { areaOf });
    session.start();
    await turn();
    sender.data(0, 0, text("caption"));
    session.region(7, { x: 25, y: 0, width: 10, height: 10 });
    await turn();
    sender.requests.length = 0;
    sender.data(3, 15, Uint8Array.of(0x98, 0, 0, 1, 1, 3, 5, 8, 6)); // runs: caption; residuals 0 .. 5
    await turn();
    assert.deepEqual(sender.requests, [
      { kind: "first", group: 7, runs: [{ cls: 3, first: 21, step: 1, count: 1 }, { cls: 3, first: 29, step: 1, count: 1 }] },
      { kind: "level", group: 7, upto: 3 },
    ]);
    for (let index = 5; index <= 45; index += 8) sender.data(3, index, text("x"));
    sender.data(0, 7, Uint8Array.of(0x92, 0xa1, 97, 42));
    await session.close();
  },

  async "nothing is told of a stream before its header is here"() {
    const sender = new Played();
    const { session, told } = opened([sender]);
    session.start();
    await turn();
    sender.data(2, 12, text("latent"));
    assert.deepEqual([of(told, "chunk"), of(told, "stream")], [[], []]);
    sender.data(0, 0, text("caption"));
    assert.deepEqual(told.filter(({ type }) => type === "stream" || type === "chunk").map(({ type, kind }) => [type, kind]), [
      ["stream", undefined], ["chunk", 4], ["chunk", 0],
    ]);
    await session.close();
  },

  async "the first look is told once, and not asked for again"() {
    const glance = {
      group: 7, name: "photo.lcast", size: 9, header: btoa("\xc1\x01\x02\x03"), caption: "<b>", items: [[0, 0, btoa("abc")]],
    };
    const [one, other] = [new Played(), new Played()];
    const { session, told } = opened([one, other], {}, glancesOf({ streams: [glance, null, { group: -1 }, 5] }));
    session.start();
    await turn();
    one.channel.onclose("cut");
    await turn();
    session.want(3);
    await turn();
    assert.deepEqual(of(told, "caption").map(({ text }) => text), ["<b>"]);
    assert.equal(of(told, "chunk").length, 1);
    for (const { requests } of [one, other]) assert.ok(requests.some(({ kind }) => kind === "held"));
    await session.close();
  },

  async "the end, more after it, and a refusal for good"() {
    const sender = new Played();
    const { session, told } = opened([sender], { upto: 0 });
    const done = session.start();
    await turn();
    sender.end();
    sender.end();
    assert.equal(of(told, "state").filter(({ state }) => state === "ended").length, 1);
    session.lossless();
    assert.deepEqual(sender.requests.at(-1), { kind: "level", group: null, upto: 3 });
    sender.end("there is no stream of that name");
    assert.ok(of(told, "error")[0].text.includes("no stream of that name"));
    sender.channel.onclose("gone");
    await turn();
    session.stop(); // wanting anything wakes it, and then nobody is there
    await done;
    assert.deepEqual([of(told, "error").at(-1).final, of(told, "state").at(-1).state], [true, "closed"]);
  },
};

for (const [name, story] of Object.entries(stories)) {
  await story();
  console.log(`session: ${name}`);
}
process.exit(0); // timers of sessions that were left
