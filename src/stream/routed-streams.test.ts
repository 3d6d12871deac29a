/**
 * Which streams there are, as a node tells that has not heard of all.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MemoryFolder } from "../../test/support/memory-folder.ts";
import { assertRefused } from "../../test/support/refusal.ts";
import { unless } from "../../test/support/skip.ts";
import { streamsOf } from "../../test/support/streams.ts";
import { metaName } from "./meta-log.ts";
import type { Peers } from "./peers.ts";
import { streamExists, streamNotFound } from "./refusals.ts";
import { RoutedStreams } from "./routed-streams.ts";
import { builtInSettings } from "./settings.ts";
import { homeOf, ScriptedGroup } from "./testdata/scripted-route.ts";

/** Streams of a node that hears of the stream "a" only by asking who leads the catalogue. */
async function lateStreams(peers: Partial<Peers>): Promise<RoutedStreams> {
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
    },
  };
  return new RoutedStreams({
    ...homeOf({ confirm: async () => 9, ...peers }, ["leader"]),
    local,
    createOnAppend: true,
  });
}

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
      delete: async (node, name, id) => {
        asked.push(`${node} ${name} ${id}`);
        return 5;
      },
    });
    assert.equal(await streams.delete("a"), 5);
    assert.deepEqual(asked, ["leader a undefined"]);
    await assertRefused(streams.delete("b"), { reason: "stream_not_found" });
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

test("what was seen of a stream that is not here is forgotten with it, whoever deleted it", {
  ...unless(process.versions["bun"] !== undefined, "collecting on demand is Bun's"),
}, async () => {
  const local = await streamsOf(new MemoryFolder());
  const all = { ...methodsOf(local), caughtUp: async () => {} };
  const streams = new RoutedStreams({ ...homeOf({}, ["leader"]), local: all, createOnAppend: false });
  const seen: WeakRef<object>[] = [];
  for (let n = 0; n < 100; n++) {
    const { stream } = await local.create(`s${n}`, {});
    stream.log.lost();
    assert.equal(streams.get(`s${n}`).highWatermark, 0);
    seen.push(new WeakRef(stream.log));
    await local.delete(`s${n}`);
  }
  for (let round = 0; round < 4; round++) {
    Bun.gc(true);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const kept = seen.filter((one) => one.deref() !== undefined).length;
  // The collector takes whatever on the stack looks like a pointer for one: some stay.
  assert.ok(kept < seen.length / 2, `${kept} of ${seen.length} are kept`);
});

declare const Bun: { gc(force: boolean): void };
