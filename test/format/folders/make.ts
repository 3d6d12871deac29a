/**
 * Makes the data folder that is kept of a released format, and what it holds: `bun test/format/folders/make.ts TO`. It is run
 * once for a format, by its last version; from then on the newest code must read what it made.
 */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { type Clock, systemClock } from "../../../src/host/clock.ts";
import { systemHash } from "../../../src/host/hash.ts";
import { nodeDisk } from "../../../src/host/node-disk.ts";
import { systemRandom } from "../../../src/host/random.ts";
import { openDataFolder } from "../../../src/log/data-folder.ts";
import type { DataFolder } from "../../../src/log/types.ts";
import type { Stream, Streams } from "../../../src/stream/types.ts";
import { payloadOf, streamsOf } from "../../support/streams.ts";
import { whatLogsSay } from "../folder.ts";
import { describeStreams, type Kept } from "./kept.ts";

const [to = ""] = process.argv.slice(2);
const work = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-kept-"));
const data = path.join(work, "data");
let micros = 1_700_000_000_000_000;
const clock: Clock = { ...systemClock, nowMicros: () => micros };

const first = await open();
await fill(await streamsOf(first, { clock }));
await first.close();
// A second life, so that a clean stop, a new term and a new incarnation are in it; it ends without a word.
const folder = await open();
const streams = await streamsOf(folder, { clock });
await goOn(streams);
const kept: Kept = { streams: await describeStreams(streams), batches: await whatLogsSay(folder) };
fs.mkdirSync(to, { recursive: true });
const packing = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--exclude=lock"];
execFileSync("tar", [...packing, "-C", work, "-czf", path.join(to, "data.tar.gz"), "data"]);
fs.writeFileSync(path.join(to, "holds.json"), `${JSON.stringify(kept, undefined, 1)}\n`);
await folder.close();
fs.rmSync(work, { recursive: true });

function open(): Promise<DataFolder> {
  return openDataFolder({
    ...{ path: data, disk: nodeDisk(), clock, hash: systemHash, random: systemRandom },
    settings: { journalFileBytes: 1 << 20, journalFiles: 2, arenaBytes: 1 << 20 },
  });
}

async function fill(streams: Streams): Promise<void> {
  const small = { segmentMaxBytes: 1 << 20, segmentMaxAgeS: 60 };
  const { stream: produced } = await streams.create("produced/by-two", small);
  await produced.fence(new TextEncoder().encode("the first"));
  for (let sequence = 0; sequence < 9; sequence++) {
    for (const writer of [1, 2]) await produce(produced, writer, sequence);
    // A segment ends at its age.
    micros += 25_000_000;
  }
  const { stream: trimmed } = await streams.create("trimmed", { ...small, retentionAgeS: 86_400 });
  for (let at = 0; at < 8; at++) {
    // Large enough to go to its segment at once.
    await trimmed.append(payloadOf(`${at} `.repeat(40_000), "beside it"));
    micros += 25_000_000;
  }
  await trimmed.trim(9);
  await trimmed.update({ retentionBytes: 1 << 30, recordMaxBytes: 100_000 });
  const { stream: gone } = await streams.create("gone", {});
  await gone.append(payloadOf("nobody sees this"));
  await streams.delete("gone");
  await streams.create("empty", {});
}

async function goOn(streams: Streams): Promise<void> {
  const produced = streams.get("produced/by-two");
  await produce(produced, 1, 9);
  await produced.fence(new TextEncoder().encode("the second"));
  const fence = new TextEncoder().encode("the second");
  const id = new Uint8Array(16).fill(2);
  await produced.append(payloadOf("a new epoch"), { fence, producer: { id, epoch: 1, sequence: 0 } });
  await streams.get("trimmed").append(payloadOf("after a start"));
  await (await streams.getForAppend("only-in-the-journal")).append(payloadOf("", "two", "three"));
}

async function produce(stream: Stream, writer: number, sequence: number): Promise<void> {
  const producer = { id: new Uint8Array(16).fill(writer), epoch: 0, sequence };
  await stream.append(payloadOf(`${writer}.${sequence}`), { producer, fence: new TextEncoder().encode("the first") });
}
