import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assertRefused } from "../../test/support/refusal.ts";
import { payloadOf } from "../../test/support/streams.ts";
import { until } from "../../test/support/until.ts";
import { TailraceError } from "../base/errors.ts";
import { defaultLimits } from "../base/limits.ts";
import { emptyPart, type LogDoors } from "../replica/log-door.ts";
import { ClosedError, FateUnknownError } from "../replica/replica-errors.ts";
import { LogStream } from "./log-stream.ts";
import { type PeerRead, type Peers, UnreachableError } from "./peers.ts";
import { pastEnd, streamNotFound, streamReplaced } from "./refusals.ts";
import { RemoteView } from "./remote-view.ts";
import { RoutedStream } from "./routed-stream.ts";
import { builtInSettings } from "./settings.ts";
import { StreamLog } from "./stream-log.ts";
import { homeOf, ScriptedGroup } from "./testdata/scripted-route.ts";
import type { Client } from "./types.ts";
import { Usage } from "./usage.ts";

const timeout = 10_000;

/** A stream, with its log here or not. */
function streamOf(
  group: ScriptedGroup,
  peers: Partial<Peers>,
  holders: readonly string[] = [],
  client: Client = { address: "" },
) {
  const never = () => {
    throw new Error("no test asks for it");
  };
  const logs: LogDoors = {
    ...{
      isAlone: false,
      groups: () => [],
      isHere: () => false,
      prepare: never,
      open: never,
      describeNew: never,
      holds: () => false,
    },
    ...{ create: never, close: never, remove: async () => {}, leave: async () => {}, known: never },
  };
  const usage = new Usage({ maxBytes: 0, nearLimit: () => {} });
  const streamHome = { logs, limits: defaultLimits, usage, idOf: () => group.id, rolled: () => {}, isStopped: false };
  const creation = { name: "s", startOffset: 0, checkpoint: new Uint8Array(0) };
  const stored = { id: group.id, createdMicros: 0, creation, nodes: [], isDeleting: false };
  const log = new StreamLog(
    stored,
    { ...emptyPart, name: "s", settings: { ...builtInSettings, version: 1 } },
    streamHome,
  );
  if (group.door) log.attach(group.door);
  const home = homeOf(peers, holders);
  const local = new LogStream(log);
  const view = new RemoteView(
    home,
    { id: group.id, door: undefined, gone: () => group.gone() },
    { name: "s", id: group.id },
  );
  let viewed: RemoteView | undefined;
  const parts = {
    ...{ home, local, client },
    view: () => {
      viewed = view;
      return view;
    },
    viewed: () => viewed,
  };
  return { stream: new RoutedStream(parts), log };
}

const readFrom = (startOffset: number) => ({ startOffset, maxBytes: 1, controlBatches: false });

describe("a read of a replica that does not lead", () => {
  test("beyond what it has waits for what the leader confirms", { timeout }, async () => {
    const group = new ScriptedGroup();
    group.follow("a");
    group.commit(3, 2);
    const { stream } = streamOf(group, { confirm: async () => 6 });
    const read = stream.read(readFrom(5));
    let isDone = false;
    void read.then(() => {
      isDone = true;
    });
    group.commit(5, 4);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isDone, false);
    group.commit(6, 5);
    assert.deepEqual(await read, { batches: [], nextOffset: 5 });
  });

  test("is past the end when the leader says so, and unavailable when nobody can", { timeout }, async () => {
    const group = new ScriptedGroup();
    group.commit(3, 2);
    const { stream } = streamOf(group, { confirm: async () => 3 });
    group.follow("a");
    await assertRefused(stream.resolve({ at: "offset", offset: 5 }), { reason: "past_end", facts: { nextOffset: 2 } });
    group.follow(undefined);
    await assertRefused(stream.resolve({ at: "offset", offset: 5 }), { reason: "not_ready" });
    await assertRefused(stream.read(readFrom(5)), { reason: "not_ready" });
  });

  test("is told in time that what was confirmed does not come", { timeout }, async () => {
    const group = new ScriptedGroup();
    group.follow("a");
    group.commit(3, 2);
    const { stream } = streamOf(group, { confirm: async () => 6 });
    await assertRefused(stream.confirm(), {
      reason: "not_ready",
      message: /not yet batch 5/,
      facts: { nextOffset: 2 },
    });
  });
});

test("a leader confirms that it leads before it says that an offset is past the end", { timeout }, async () => {
  const group = new ScriptedGroup();
  group.lead();
  group.commit(3, 2);
  const { stream } = streamOf(group, {});
  await stream.read(readFrom(2));
  assert.equal(group.confirmed, 0);
  await assertRefused(stream.read(readFrom(3)), { reason: "past_end" });
  assert.equal(group.confirmed, 1);
});

test("a confirmation finds at once that a stream is gone, from who has its log no more", { timeout }, async () => {
  const group = new ScriptedGroup();
  group.follow("a");
  const { stream } = streamOf(group, {
    confirm: () =>
      Promise.reject(new TailraceError("not_ready", { what: "Cannot", why: "it is not here", todo: "Ask" })),
    read: async (node, { name, id }, { linearizable }) => {
      throw streamReplaced(name, id, node === "a" && linearizable ? 9 : 0);
    },
  });
  await assertRefused(stream.confirm(), { reason: "stream_replaced", facts: { streamId: 9 } });
});

test("a stream whose log has ended is not replaced by itself, while the catalogue has it", { timeout }, async () => {
  const group = new ScriptedGroup();
  group.lead();
  const { stream } = streamOf(group, {});
  group.appending = Promise.reject(new ClosedError(group.id, 4));
  const append = stream.append(payloadOf("0"));
  await assertRefused(append, { reason: "stream_not_found", facts: { fate: "nothing_written" } });
});

for (const what of ["append", "fence"] as const) {
  test(`the fate of what may be in a log that goes with its stream is not known: ${what}`, { timeout }, async () => {
    const group = new ScriptedGroup();
    group.lead();
    const { stream, log } = streamOf(group, {});
    let lose = () => {};
    group.appending = new Promise((_, reject) => {
      lose = () => reject(new FateUnknownError("it ended"));
    });
    const done = what === "append" ? stream.append(payloadOf("0")) : stream.fence(new Uint8Array(1));
    await new Promise((settled) => setImmediate(settled));
    await log.end();
    lose();
    await assertRefused(done, { reason: "stream_not_found", facts: { fate: "unknown" } });
  });
}

describe("a stream that is not here", () => {
  const answerWith = (highWatermark: number) => ({ batches: [], nextOffset: 0, logStart: 0, highWatermark, lagMs: 7 });

  test("is read where it is, and what was seen once is not taken back", { timeout }, async () => {
    const asked: [string, number | undefined][] = [];
    const isDown = new Set(["a"]);
    const read = async (node: string, _stream: unknown, { atLeastOffset }: PeerRead) => {
      asked.push([node, atLeastOffset]);
      if (isDown.has(node)) throw new UnreachableError("down");
      return answerWith(9);
    };
    const { stream } = streamOf(new ScriptedGroup(false), { read }, ["a", "b"]);
    assert.equal(await stream.resolve({ at: "earliest" }), 0);
    assert.deepEqual([stream.highWatermark, stream.lagMs], [9, 7]);
    isDown.delete("a");
    isDown.add("b");
    await stream.read(readFrom(4));
    assert.deepEqual(asked, [
      ["a", 0],
      ["b", 0],
      ["b", 9],
      ["a", 9],
    ]);
  });

  test("is not waited for here by another node, which looks for one that has it", { timeout }, async () => {
    const forwarded = { address: "", routing: "forwarded" } as const;
    const { stream } = streamOf(new ScriptedGroup(false), {}, ["a"], forwarded);
    await assertRefused(stream.ready(), { reason: "not_ready" });
  });

  test("says what another node refuses, and that it is gone", { timeout }, async () => {
    let refusal = pastEnd("s", 9, { logStart: 0, nextOffset: 4 });
    const read = () => Promise.reject(refusal);
    const { stream } = streamOf(new ScriptedGroup(false), { read }, ["a", "b"]);
    await assertRefused(stream.read(readFrom(9)), { reason: "past_end", facts: { nextOffset: 4 } });
    assert.equal(stream.deleted, false);
    refusal = streamNotFound("s");
    await assertRefused(stream.read(readFrom(0)), { reason: "stream_not_found" });
    assert.equal(stream.deleted, true);
  });

  test("is followed by a read there that waits", { timeout }, async () => {
    const group = new ScriptedGroup(false);
    let end = 2;
    const waits: number[] = [];
    const read = async (_node: string, _stream: unknown, { atLeastOffset = 0 }: PeerRead) => {
      waits.push(atLeastOffset);
      await until(() => end >= atLeastOffset);
      return answerWith(end);
    };
    const { stream } = streamOf(group, { read }, ["a"]);
    let wakes = 0;
    const stop = stream.watch(() => {
      wakes += 1;
    });
    await until(() => stream.highWatermark === 2);
    end = 8;
    await until(() => stream.highWatermark === 8);
    assert.deepEqual(waits.slice(0, 2), [1, 3]);
    assert.ok(wakes >= 2);
    stop();
    end = 9;
  });
});

describe("a stream whose log here goes, since it was moved away", () => {
  const answer = { batches: [], nextOffset: 9, logStart: 1, highWatermark: 9, lagMs: 7 };

  /** A follower that has two records, and another node that has nine. */
  function followed() {
    const group = new ScriptedGroup();
    group.follow("a");
    group.commit(3, 2);
    const asked: PeerRead[] = [];
    const read = async (_node: string, _stream: unknown, wanted: PeerRead) => {
      asked.push(wanted);
      if ((wanted.atLeastOffset ?? 0) > 9) await new Promise(() => {});
      return answer;
    };
    const peers: { -readonly [name in keyof Peers]?: Peers[name] } = { read, confirm: async () => 6 };
    const later: Partial<Peers> = { ...peers, read: (...wanted) => (peers.read ?? read)(...wanted) };
    return { group, asked, peers, ...streamOf(group, later, ["a"]) };
  }

  for (const { how, fail } of [
    { how: "is refused there", fail: true },
    { how: "finds nothing there", fail: false },
  ]) {
    test(`a read that was under way, and ${how}, is answered by another node`, { timeout }, async () => {
      const { group, stream, log } = followed();
      let settle = () => {};
      group.reading = new Promise((resolve, reject) => {
        settle = fail ? () => reject(new Error("it is gone")) : resolve;
      });
      const read = stream.read(readFrom(0));
      await new Promise((settled) => setImmediate(settled));
      await log.leave();
      settle();
      assert.deepEqual(await read, answer);
    });
  }

  test("what it told before is not taken back", { timeout }, async () => {
    const { stream, log, asked } = followed();
    await log.leave();
    assert.deepEqual([stream.highWatermark, stream.logStart], [2, 0]);
    await stream.read(readFrom(2));
    assert.equal(asked[0]?.atLeastOffset, 2);
    assert.deepEqual([stream.highWatermark, stream.logStart], [9, 1]);
  });

  test("who waits for the leader's word to come here asks others instead", { timeout }, async () => {
    const { stream, log, asked } = followed();
    const confirmed = stream.confirm();
    await new Promise((settled) => setImmediate(settled));
    await log.leave();
    await confirmed;
    assert.equal(asked[0]?.linearizable, true);
  });

  test("who follows it goes on with what others have, and here again once that has as much", { timeout }, async () => {
    const { group, stream, log, asked } = followed();
    let wakes = 0;
    const stop = stream.watch(() => {
      wakes += 1;
    });
    await log.leave();
    assert.equal(wakes, 1);
    await until(() => stream.highWatermark === 9);
    assert.deepEqual(asked[0]?.atLeastOffset, 3);
    // It is placed here again, and begins empty.
    group.commit(1, 0);
    group.isIncomplete = true;
    assert.ok(group.door);
    log.attach(group.door);
    assert.equal((await stream.read(readFrom(0))).nextOffset, 9);
    group.isIncomplete = false;
    group.commit(4, 3);
    assert.equal(stream.highWatermark, 9);
    group.commit(10, 9);
    const there = asked.length;
    assert.deepEqual(await stream.read(readFrom(9)), { batches: [], nextOffset: 9 });
    group.commit(12, 10);
    assert.deepEqual([stream.highWatermark, asked.length], [10, there]);
    stop();
  });

  test("what is here again is told where nobody else is there, though others had more; not what never had all", {
    timeout,
  }, async () => {
    const { group, stream, log, peers } = followed();
    await log.leave();
    await stream.read(readFrom(0));
    assert.ok(group.door);
    log.attach(group.door);
    group.commit(7, 6);
    peers.read = () => Promise.reject(new UnreachableError("down"));
    group.isIncomplete = true;
    await assertRefused(stream.read(readFrom(3)), { reason: "not_ready" });
    group.isIncomplete = false;
    assert.deepEqual(await stream.read(readFrom(3)), { batches: [], nextOffset: 3 });
  });
});
