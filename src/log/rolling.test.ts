/** When segments end, on a real log: by limits that may change while it grows. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openFolder, temporaryFolder } from "../../test/support/data-folder.ts";
import { BatchKind } from "../base/batch.ts";
import type { GroupLog, SegmentLimits } from "./types.ts";

const state = () => new Uint8Array(20);
const wide: SegmentLimits = { maxBytes: 1 << 20, maxAgeMicros: 1e16 };

async function kindsOf(log: GroupLog): Promise<number[]> {
  const kinds: number[] = [];
  for await (const { kind } of log.headers(0)) kinds.push(kind);
  return kinds;
}

describe("limits of segments", () => {
  test("hold from the next append on when they are changed", async () => {
    const folder = await openFolder(temporaryFolder());
    const { log } = folder.create({
      ...{ group: 1, checkpointState: state(), startOffset: 0, appendTimeMicros: 1, note: new Uint8Array(0) },
    });
    const append = () => log.append({ kind: BatchKind.records, payload: new Uint8Array(100), recordCount: 1 });
    const { checkpoint, records } = BatchKind;
    log.rollBy(wide, state);
    for (let at = 0; at < 3; at++) await append();
    assert.deepEqual(await kindsOf(log), [checkpoint, records, records, records]);
    log.rollBy({ ...wide, maxBytes: 500 }, state);
    for (let at = 0; at < 3; at++) await append();
    assert.deepEqual((await kindsOf(log)).slice(4), [checkpoint, records, records, checkpoint, records]);
    log.rollBy(wide, state);
    for (let at = 0; at < 3; at++) await append();
    const kinds = await kindsOf(log);
    assert.deepEqual(kinds.slice(-3), [records, records, records]);
    await folder.close();
  });
});
