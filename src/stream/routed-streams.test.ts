/**
 * Which streams there are, as a node tells that has not heard of all.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MemoryFolder } from "../../test/support/memory-folder.ts";
import { assertRefused } from "../../test/support/refusal.ts";
import { unless } from "../../test/support/skip.ts";
import { streamsOf } from "../../test/support/streams.ts";
import { until } from "../../test/support/until.ts";
import { metaName } from "./meta-log.ts";
import { LostError, type Peers } from "./peers.ts";
import { streamExists, streamNotFound, streamReplaced } from "./refusals.ts";
import { RoutedStreams } from "./routed-streams.ts";
import { builtInSettings } from "./settings.ts";
import type { StreamLog } from "./stream-log.ts";
import type { LocalStreams } from "./streams.ts";
import { homeOf, ScriptedGroup } from "./testdata/scripted-route.ts";

/**
 * Streams of a node that hears of the stream "a" only by asking who leads the catalogue.
 * @param heard What else it hears of then.
 */
async function lateStreams(
  peers: Partial<Peers>,
  heard: (all: LocalStreams) => Promise<void> = async () => {},
): Promise<RoutedStreams> {
  const all = await streamsOf(new MemoryFolder());
  await all.create("a", { retentionAgeS: 60 });
  const meta = all.get(metaName);
  const group = new ScriptedGroup();
  group.follow("leader");
  group.commit(9, 0);
  meta.log.attach(group.door ?? assert.fail("it is here"));
  let isKnown = false;
  const local = {
    ...methodsOf(all),
    get: (name: string, id?: number) => {
      if (name === "a" && !isKnown) throw streamNotFound(name);
      return all.get(name, id);
    },
    caughtUp: async () => {
      isKnown = true;
      await heard(all);
    },
  };
  return new RoutedStreams({
    ...homeOf({ confirm: async () => 9, ...peers }, ["leader"]),
    local,
    createOnAppend: true,
  });
}

test("what others told of streams goes with them, through whichever node they are deleted", {
  ...unless(process.versions["bun"] !== undefined, "collecting on demand is Bun's"),
}, async () => {
  const all = await streamsOf(new MemoryFolder());
  const streams = new RoutedStreams({ ...homeOf({}), local: all, createOnAppend: true });
  const logs: WeakRef<StreamLog>[] = [];
  for (let i = 0; i < 100; i++) {
    const name = `s${i}`;
    const { log } = (await all.create(name, {})).stream;
    log.lost();
    logs.push(new WeakRef(log));
    assert.equal(streams.get(name).highWatermark, 0);
    await all.delete(name);
  }
  // What waits in a queue, or was left on the stack, is no one's only after some turns.
  await until(() => {
    Bun.gc(true);
    return logs.filter((log) => log.deref() !== undefined).length < logs.length / 2;
  });
  assert.deepEqual(streams.list({ prefix: "", limit: 1 }).streams, []);
});
declare const Bun: { gc(force: boolean): void };

function methodsOf(all: Awaited<ReturnType<typeof streamsOf>>) {
  return {
    get: all.get.bind(all),
    find: all.find.bind(all),
    getForAppend: all.getForAppend.bind(all),
    create: all.create.bind(all),
    delete: all.delete.bind(all),
    list: all.list.bind(all),
  };
}

describe("a stream that another node created just now", () => {
  test("is deleted", async () => {
    const asked: string[] = [];
    const streams = await lateStreams({
      delete: async (node, { name, id }) => {
        asked.push(`${node} ${name} ${id}`);
      },
    });
    const id = await streams.delete("a");
    assert.deepEqual([asked, id], [[`leader a ${id}`], (await streams.find("a")).id]);
    await assertRefused(streams.delete("b"), { reason: "stream_not_found" });
  });

  test("is deleted once, whoever has its name when the deletion is asked for again", async () => {
    const asked: number[] = [];
    const streams = await lateStreams({
      delete: async (_node, { name, id }) => {
        asked.push(id);
        throw asked.length === 1 ? new LostError("it was cut off") : streamReplaced(name, id, id + 1);
      },
    });
    const id = await streams.delete("a");
    assert.deepEqual(asked, [id, id]);
  });

  test("is deleted by its name, in place of an older one that was known here", async () => {
    const asked: number[] = [];
    let isDeletedThere = false;
    const peers: Partial<Peers> = {
      delete: async (_node, { name, id }) => {
        isDeletedThere = true;
        asked.push(id);
        if (asked.length === 1) throw streamReplaced(name, id, id + 1);
      },
    };
    const streams = await lateStreams(peers, async (all) => {
      if (!isDeletedThere) return;
      await all.delete("a");
      await all.create("a", {});
    });
    const { id: old } = await streams.find("a");
    await assertRefused(streams.delete("a", old), { reason: "stream_replaced" });
    assert.deepEqual(asked.splice(0), [old]);
    const id = await streams.delete("a");
    assert.ok(id > old);
    assert.deepEqual(asked, [old, id]);
  });

  test("is found for another node, which passed a call on", async () => {
    const streams = await lateStreams({});
    const { name } = await streams.find("a", undefined, { address: "", routing: "forwarded" });
    assert.equal(name, "a");
  });

  test("is found for an append, though its settings are not what an append creates", async () => {
    const streams = await lateStreams({
      create: async (_node, name) => {
        throw streamExists(name, { ...builtInSettings, retentionAgeS: 60 }, builtInSettings);
      },
    });
    assert.equal((await streams.getForAppend("a")).settings.retentionAgeS, 60);
  });
});
