/**
 * Settings and retention on a real node, which is killed and started again: what was answered holds, what is old goes by
 * itself, and nothing else does. C001 and C019 are cases that other logs got wrong.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { after, before, describe, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { Reason } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import type { TailResponse } from "../../src/wire/gen/tailrace/v1/log_pb.ts";
import { assertBelow, RestartedNode, recordOf, refusal, valuesOf } from "../support/restarted-node.ts";
import { chooseSeed, seeded } from "../support/seeded.ts";
import { until } from "../support/until.ts";

const timeout = 90_000;

describe("settings and retention of a real node", () => {
  const node = new RestartedNode(["--retention-interval", "1s"]);
  before(() => node.start(), { timeout });
  after(() => node.stop("SIGTERM"));

  const settingsOf = async (name: string) => {
    const { stream } = await node.client.streams.getStream({ name });
    const { segmentMaxBytes, retentionBytes, retentionAgeS, recordMaxBytes } = stream?.settings ?? {};
    return [stream?.settingsVersion, segmentMaxBytes, retentionBytes, retentionAgeS, recordMaxBytes];
  };
  const emptied = (name: string, end: bigint) =>
    until(async () => {
      const [logStart] = await node.ends(name);
      return logStart === end;
    });

  test("settings outlive kills, in the journal and behind a checkpoint", { timeout }, async () => {
    await node.createLarge("set", 1);
    const update = async (settings: { retentionBytes?: bigint; recordMaxBytes?: bigint }, version: bigint) => {
      const { stream } = await node.client.streams.updateStream({ name: "set", settings });
      assert.equal(stream?.settingsVersion, version);
    };
    await update({ retentionBytes: 5n << 30n }, 2n);
    await node.restart("SIGKILL");
    assert.deepEqual(await settingsOf("set"), [2n, 1n << 20n, 5n << 30n, 0n, 0n]);
    await update({ recordMaxBytes: 310_000n }, 3n);
    for (let record = 1; record < 6; record++) await node.append("set", recordOf(record));
    await node.restart("SIGKILL");
    // The first call after the start is an append: it is held to them, too.
    const { code, detail } = await refusal(node.append("set", new Uint8Array(310_001)));
    assert.deepEqual(
      [code, detail?.reason, detail?.limit?.name, detail?.limit?.value],
      [Code.ResourceExhausted, Reason.LIMIT, "record_max_bytes", 310_000n],
    );
    assert.deepEqual(await settingsOf("set"), [3n, 1n << 20n, 5n << 30n, 0n, 310_000n]);
    const stale = await refusal(
      node.client.streams.updateStream({
        name: "set",
        settings: { retentionAgeS: 60n },
        expectedSettingsVersion: 2n,
      }),
    );
    assert.deepEqual(
      [stale.code, stale.detail?.reason, stale.detail?.settingsVersion, stale.detail?.settings?.recordMaxBytes],
      [Code.FailedPrecondition, Reason.SETTINGS_CHANGED, 3n, 310_000n],
    );
  });

  test("C001: a stream that retention emptied keeps its offsets over kills", { timeout }, async () => {
    const id = await node.createLarge("c001", 10, { retentionAgeS: 2n });
    await emptied("c001", 10n);
    // Its last segment went, too: what is left is control batches.
    await until(() => node.segments(id).length === 1);
    const { stream } = await node.client.streams.getStream({ name: "c001" });
    assert.ok(Number(stream?.storedBytes) < 10_000, `${stream?.storedBytes} bytes`);
    for (const signal of ["SIGKILL", "SIGTERM", "SIGKILL"] as const) {
      await node.restart(signal);
      assert.deepEqual(await node.ends("c001"), [10n, 10n]);
    }
    await node.client.streams.updateStream({ name: "c001", settings: { retentionAgeS: 0n } });
    assert.equal(await node.append("c001", recordOf(10)), 10n);
    assert.deepEqual(valuesOf(await node.read("c001", 10n)), [recordOf(10)]);
    await assertBelow(node.read("c001", 0n), 10n, 11n);
  });

  test("a stream that is only in the journal is emptied, too", { timeout }, async () => {
    await node.client.streams.createStream({ name: "small", settings: { retentionAgeS: 1n } });
    await node.append("small", new Uint8Array([1]), new Uint8Array([2]));
    await emptied("small", 2n);
    await node.restart("SIGKILL");
    assert.deepEqual(await node.ends("small"), [2n, 2n]);
    assert.equal(await node.append("small", new Uint8Array([3])), 2n);
  });

  test("killed at any moment of emptying streams, it loses no offset and gives nothing back", { timeout }, async () => {
    const random = seeded(chooseSeed("retention and kills"), 4);
    const names = Array.from({ length: 20 }, (_, number) => `emptied/${number}`);
    for (const name of names) await node.client.streams.createStream({ name, settings: { retentionAgeS: 1n } });
    const starts = new Map<string, bigint>();
    for (let life = 0; life < 8; life++) {
      const end = 2n * BigInt(life + 1);
      await Promise.all(names.map((name) => node.append(name, new Uint8Array([life]), new Uint8Array([life]))));
      if (life % 2 === 1) {
        // Others are emptied now.
        await until(async () => {
          const now = await Promise.all(names.map((name) => node.ends(name)));
          return now.some(([logStart], at) => logStart !== starts.get(names[at] ?? ""));
        });
      }
      await new Promise((resolve) =>
        setTimeout(resolve, life % 2 === 1 ? random.between(0, 50) : random.between(900, 2200)),
      );
      await node.restart("SIGKILL");
      for (const name of names) {
        const [logStart = 0n, highWatermark] = await node.ends(name);
        assert.equal(highWatermark, end, name);
        assert.ok(logStart >= (starts.get(name) ?? 0n) && logStart <= end, `${name}: ${logStart}`);
        starts.set(name, logStart);
      }
    }
    const moved = [...starts.values()].filter((logStart) => logStart > 0n).length;
    assert.ok(moved > 0, "none was emptied in any life");
    await until(async () => {
      const ends = await Promise.all(names.map((name) => node.ends(name)));
      return ends.every(([logStart, end]) => logStart === 16n && end === 16n);
    });
  });

  test("by bytes the oldest segments go as they fill, and what is kept is never less", { timeout }, async () => {
    const retentionBytes = 2n << 20n;
    const id = await node.createLarge("bytes", 0, { retentionBytes });
    let next = 0n;
    for (let round = 0; round < 3; round++) {
      for (let record = 0; record < 16; record++) {
        await node.append("bytes", recordOf(Number(next)));
        next += 1n;
      }
      await until(async () => node.segments(id).length <= 3);
      const { stream } = await node.client.streams.getStream({ name: "bytes" });
      assert.ok((stream?.storedBytes ?? 0n) >= retentionBytes, `${stream?.storedBytes} bytes`);
      assert.ok((stream?.logStart ?? 0n) > 0n);
      const first = stream?.logStart ?? 0n;
      const { code, detail } = await refusal(node.read("bytes", 0n));
      assert.deepEqual([code, detail?.reason, detail?.nextOffset], [Code.OutOfRange, Reason.BELOW_LOG_START, next]);
      const start = detail?.logStart ?? 0n;
      assert.ok(start >= first);
      assert.deepEqual(valuesOf(await node.read("bytes", next - 1n)), [recordOf(Number(next - 1n))]);
      await node.restart("SIGKILL");
      // A look may have come in between.
      const [again = 0n, end] = await node.ends("bytes");
      assert.ok(again >= first, `${again} after ${first}`);
      assert.equal(end, next);
    }
  });

  test("a tail that retention overtakes is told of the gap, or ends", { timeout }, async () => {
    const stream = "overtaken";
    await node.createLarge(stream, 100);
    let [waiting, isTrimmed] = [2, false];
    const follow = async (at: { case: "earliest"; value: boolean } | { case: "offset"; value: bigint }) => {
      const told: TailResponse["frame"][] = [];
      const streams = [{ stream, start: { at }, endOffset: 100n }];
      for await (const { frame } of node.client.log.tail({ streams, maxBytes: 1 })) {
        if (frame.case !== "heartbeat") told.push(frame);
        if (frame.case !== "batch" || told.length > 1) continue;
        // It takes nothing more meanwhile, so the node can send no more than what fits on the way.
        waiting -= 1;
        await until(() => isTrimmed);
      }
      return told;
    };
    const tails = Promise.allSettled([
      follow({ case: "earliest", value: true }),
      follow({ case: "offset", value: 0n }),
    ]);
    await until(() => waiting === 0);
    await node.client.streams.updateStream({ name: stream, settings: { retentionBytes: 1n << 20n } });
    await until(async () => ((await node.ends(stream))[0] ?? 0n) > 90n);
    const [logStart = 0n] = await node.ends(stream);
    isTrimmed = true;
    const [fromEarliest, fromOffset] = await tails;
    assert.ok(fromEarliest.status === "fulfilled");
    const gap = fromEarliest.value.find((frame) => frame.case === "gap");
    assert.equal(gap?.value?.nextOffset, logStart);
    assert.equal(fromEarliest.value.at(-1)?.case, "end");
    assert.ok(fromOffset.status === "rejected");
    await assertBelow(Promise.reject(fromOffset.reason), logStart, 100n);
  });

  test("C019: an index file that is spoiled makes nothing look old", { timeout }, async () => {
    const id = await node.createLarge("c019", 10);
    const before = node.segments(id);
    const index = (segment: string) => path.join(node.data, "groups", String(id), segment.replace(/\.log$/, ".index"));
    for (const zeros of [12, 4096]) {
      await node.stop("SIGTERM");
      const sealed = index(before[0] ?? "");
      assert.ok(fs.existsSync(sealed), sealed);
      fs.appendFileSync(sealed, new Uint8Array(zeros));
      await node.start();
      await node.client.streams.updateStream({ name: "c019", settings: { retentionAgeS: 3600n + BigInt(zeros) } });
      // A stream that has to go shows that a round was taken.
      await node.client.streams.createStream({ name: `round/${zeros}`, settings: { retentionAgeS: 1n } });
      await node.append(`round/${zeros}`, new Uint8Array(1));
      await emptied(`round/${zeros}`, 1n);
      assert.deepEqual(node.segments(id), before);
      assert.deepEqual(await node.ends("c019"), [0n, 10n]);
      for (let offset = 0n; offset < 10n; offset++) {
        const appendTime = (await node.read("c019", offset)).batches[0]?.appendTime;
        assert.ok(appendTime !== undefined);
        const at = { case: "appendTime" as const, value: appendTime };
        const found = await node.client.log.read({ stream: "c019", start: { at }, maxRecords: 1 });
        assert.equal(found.batches[0]?.startOffset, offset);
      }
    }
  });
});
