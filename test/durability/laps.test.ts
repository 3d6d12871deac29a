/**
 * What it costs to go round the ring: after three laps with 500 busy streams flushes were large, though most batches were
 * small. A flush for each stream whenever a file is needed again, or for each batch, would show here.
 */
import assert from "node:assert/strict";
import * as path from "node:path";
import { test } from "node:test";
import { BatchKind } from "../../src/base/batch.ts";
import { systemClock } from "../../src/host/clock.ts";
import { systemHash } from "../../src/host/hash.ts";
import { nodeDisk } from "../../src/host/node-disk.ts";
import { systemRandom } from "../../src/host/random.ts";
import { openDataFolder } from "../../src/log/data-folder.ts";
import type { DataFolder, GroupLog } from "../../src/log/types.ts";
import { temporaryFolder } from "../support/data-folder.ts";
import { chooseSeed, seeded } from "../support/seeded.ts";

const streams = 500;
/** 64 KiB for each stream. */
const ring = { journalFiles: 4, journalFileBytes: 8 << 20 };
const laps = 3;
const inFlight = 100;
const smallMaxBytes = 1000;
/** One append in so many is a large round. */
const large = { oneIn: 2000, bytes: 600 << 10 };
const flushAtLeastBytes = 16 << 10;

test(`${laps} laps of the ring with ${streams} streams take a flush sync for 16 KiB, or a large round, at most`, {
  timeout: 120_000,
}, async () => {
  const random = seeded(chooseSeed("laps"), large.bytes);
  const folder = await openDataFolder({
    ...{ path: path.join(temporaryFolder(), "data"), disk: nodeDisk(), clock: systemClock, hash: systemHash },
    ...{ random: systemRandom, settings: ring },
  });
  const logs = Array.from({ length: streams }, (_, at) => make(folder, at + 1));
  const appended = logs.map(() => 0);
  let largeRounds = 0;
  const lapBytes = ring.journalFiles * ring.journalFileBytes;
  const begin = performance.now();
  const appendOn = async () => {
    while (folder.metrics.frameBytes < laps * lapBytes) {
      for (let i = 0; i < 20; i++) {
        const at = random.between(0, streams - 1);
        const isLarge = random.between(1, large.oneIn) === 1;
        if (isLarge) largeRounds++;
        const payload = random.bytes(isLarge ? large.bytes : random.between(1, smallMaxBytes));
        appended[at] = (appended[at] ?? 0) + 1;
        await logs[at]?.append({ kind: BatchKind.records, payload, recordCount: 1 });
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, appendOn));

  const { syncs, flushBytes, directBytes, frameBytes, appendedBatches, ringWaits } = folder.metrics;
  const smallBytes = flushBytes - directBytes;
  console.log(
    `laps: ${appendedBatches} appends in ${Math.round(performance.now() - begin)} ms, ${frameBytes >> 20} MiB of frames; ` +
      `${syncs.flush} flush syncs for ${smallBytes >> 20} MiB of small batches and ${largeRounds} large rounds: ` +
      `${Math.round(smallBytes / (syncs.flush - largeRounds) / 1024)} KiB each; ` +
      `beside them ${syncs.folder} of folders, ${syncs.seal} seals, ${syncs.journal} of the journal; ${ringWaits} waits`,
  );
  assert.ok(smallBytes > (laps - 1) * lapBytes * 0.7, `only ${smallBytes} bytes were flushed`);
  assert.ok(syncs.flush <= smallBytes / flushAtLeastBytes + largeRounds, `${syncs.flush} flush syncs`);
  logs.forEach((log, at) => {
    assert.equal(log.durableEnd.index, 1 + (appended[at] ?? 0));
  });
  await folder.close();
});

function make(folder: DataFolder, group: number): GroupLog {
  const { log } = folder.create({
    ...{ group, checkpointState: new Uint8Array(50), startOffset: 0, appendTimeMicros: systemClock.nowMicros() },
    note: new Uint8Array(20),
  });
  log.rollBy({ maxBytes: 1 << 30, maxAgeMicros: 1e16 }, () => new Uint8Array(50));
  return log;
}
