import assert from "node:assert/strict";
import { test } from "node:test";
import { openFolder, temporaryFolder } from "../../test/support/data-folder.ts";
import { present } from "../base/assert.ts";
import { BatchKind } from "../base/batch.ts";
import { systemHash } from "../host/hash.ts";
import { builtInSettings } from "../stream/settings.ts";
import { encodeCheckpoint, encodeTrim, encodeVoters } from "../wire/checkpoint.ts";
import { joinBytes, replicaOf, unverifiedBatch } from "./core-batch.ts";
import { emptyPart } from "./log-door.ts";

const group = 1;
const voters = [replicaOf(`1/${"11".repeat(16)}/0`)];

/** A whole batch as a log stores it. */
async function stored(kind: BatchKind, payload: Uint8Array): Promise<Uint8Array> {
  const folder = await openFolder(temporaryFolder());
  const settings = { version: 1, ...builtInSettings };
  const checkpointState = encodeCheckpoint({ name: "s", settings, ...emptyPart, termStarts: [], voters });
  const { log } = folder.create({
    group,
    checkpointState,
    startOffset: 0,
    appendTimeMicros: 1,
    note: encodeVoters(voters),
  });
  await log.append({ kind, payload, recordCount: 0 });
  const [batch] = await log.read({ from: { index: 1 }, belowIndex: 2, maxBytes: 1 });
  const { header, payload: inLog } = present(batch, "it was appended");
  return joinBytes([header, inLog]);
}

const noMessage = new Uint8Array([255]);

test("a batch that does not say what replication goes by is none", async () => {
  for (const { kind, payload, isOne } of [
    { kind: BatchKind.trim, payload: encodeTrim({ logStart: 1, baseIndex: 0 }), isOne: true },
    { kind: BatchKind.trim, payload: noMessage, isOne: false },
    { kind: BatchKind.voters, payload: encodeVoters(voters), isOne: true },
    { kind: BatchKind.voters, payload: noMessage, isOne: false },
    { kind: BatchKind.records, payload: noMessage, isOne: true },
  ]) {
    const bytes = await stored(kind, payload);
    assert.equal(unverifiedBatch(bytes, group, systemHash) !== undefined, isOne, `${kind} of ${payload.length} bytes`);
  }
});
