import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MemoryFolder } from "../../test/support/memory-folder.ts";
import { BatchKind } from "../base/batch.ts";
import { NoRoomError } from "../base/disk-errors.ts";
import { TailraceError } from "../base/errors.ts";
import { defaultLimits } from "../base/limits.ts";
import { builtInSettings } from "../stream/settings.ts";
import { checkpointPrefixBytes, decodeCheckpoint, encodeCheckpoint } from "../wire/checkpoint.ts";
import { emptyPart, type LogDoor, type LogOwner, type StreamPart } from "./log-door.ts";
import { loneLogs } from "./lone.ts";

const part: StreamPart = {
  name: "orders",
  settings: { version: 1, ...builtInSettings, segmentMaxBytes: 1000, segmentMaxAgeS: 60 },
  ...emptyPart,
};
const owner: LogOwner = {
  checkpointPart: () => part,
  restored: () => {},
  restoring: () => {},
  produced: () => {},
};
const records = (bytes = 10) => ({ kind: BatchKind.records, payload: new Uint8Array(bytes), recordCount: 1 });

function make(folder: MemoryFolder, group = 1): { door: LogDoor; made: Promise<void> } {
  const logs = loneLogs(folder, defaultLimits);
  return logs.create({ group, ...logs.describeNew(part, 0), appendTimeMicros: 1_000_000 }, owner);
}

function open(folder: MemoryFolder, group = 1): LogDoor {
  const door = loneLogs(folder, defaultLimits).open({ id: group, nodes: [] }, owner);
  assert.ok(door);
  return door;
}

async function madeFolder(): Promise<MemoryFolder> {
  const folder = new MemoryFolder();
  await make(folder).made;
  return folder.reopen();
}

describe("loneLogs()", () => {
  test("making, vote, leader change and first batch share one frame", async () => {
    const folder = new MemoryFolder();
    const { door, made } = make(folder);
    const appended = await door.append(records());
    await made;
    assert.deepEqual(folder.frames, [["made 1", "vote 1 term 1", "batch 1.1 leaderChange", "batch 1.2 records"]]);
    assert.equal(appended.index, 2);
    assert.equal(appended.baseOffset, 0);
    assert.equal(appended.term, 1);
  });

  test("what is durable is committed when its append resolves", async () => {
    const door = open(await madeFolder());
    const moved: number[] = [];
    const stop = door.onCommit(() => moved.push(door.commit.offset));
    const { nextOffset } = await door.append(records());
    assert.equal(door.commit.offset, nextOffset);
    stop();
    await door.append(records());
    assert.deepEqual(moved, [1]);
  });

  test("a start commits all that is there, and writes nothing", async () => {
    const before = await madeFolder();
    await open(before).append(records());
    const folder = before.reopen();
    const door = open(folder);
    assert.deepEqual([door.commit.index, door.commit.offset], [3, 1]);
    assert.equal(folder.log(1)?.commit.index, 3);
    assert.deepEqual(folder.frames, []);
  });

  test("the first append after a start takes a new term, the next ones do not", async () => {
    let folder = await madeFolder();
    for (const term of [1, 2, 3]) {
      const door = open(folder);
      const first = await door.append(records());
      const second = await door.append(records());
      assert.deepEqual([first.term, second.term], [term, term]);
      const [frame, next] = folder.frames.slice(-2);
      assert.equal(frame?.filter((line) => line.startsWith(`vote 1 term ${term}`)).length, 1);
      assert.deepEqual(next, [`batch 1.${second.index} records`]);
      folder = folder.reopen();
    }
  });

  test("appends made while the past is read keep their order", async () => {
    const folder = await madeFolder();
    const door = open(folder);
    const sent = Array.from({ length: 20 }, () => door.append(records()));
    const offsets = (await Promise.all(sent)).map(({ baseOffset }) => baseOffset);
    assert.deepEqual(
      offsets,
      Array.from({ length: 20 }, (_, at) => at),
    );
    assert.equal(folder.frames.length, 1);
  });

  test("appends made while the leader change is on its way wait for it", async () => {
    const folder = await madeFolder();
    const door = open(folder);
    folder.hold = true;
    const first = door.append(records());
    await turns(4);
    const second = door.append(records());
    await turns(4);
    folder.release();
    assert.equal((await first).baseOffset, 0);
    assert.equal((await second).baseOffset, 1);
    assert.deepEqual(folder.frames, [
      ["vote 1 term 1", "batch 1.1 leaderChange", "batch 1.2 records"],
      ["batch 1.3 records"],
    ]);
  });

  test("a refused leader change is tried again by the next append, those that waited included", async () => {
    const folder = await madeFolder();
    const door = open(folder);
    folder.hold = true;
    folder.refuse = 1;
    const first = door.append(records());
    await turns(4);
    const second = door.append(records());
    folder.release();
    await assert.rejects(first, NoRoomError);
    const appended = await second;
    assert.deepEqual([appended.index, appended.baseOffset, appended.term], [2, 0, 1]);
    folder.refuse = 1;
    await assert.rejects(door.append(records()), NoRoomError);
    assert.equal((await door.append(records())).index, 3);
  });

  test("a refused making and its appends leave nothing, and it can be made again", async () => {
    const folder = new MemoryFolder();
    folder.refuse = 1;
    const { door, made } = make(folder);
    const appended = door.append(records());
    await assert.rejects(made, NoRoomError);
    const behind = door.append(records());
    await assert.rejects(appended, NoRoomError);
    await assert.rejects(behind, NoRoomError);
    await assert.rejects(door.append(records()), NoRoomError);
    assert.equal(folder.log(1), undefined);
    assert.deepEqual(folder.frames, []);
    const again = make(folder);
    await again.made;
    assert.equal((await again.door.append(records())).index, 2);
  });

  test("checkpoints name the terms that began before them, across starts and refusals", async () => {
    let folder = await madeFolder();
    for (let start = 0; start < 4; start++) {
      const door = open(folder);
      if (start === 2) {
        folder.refuse = 1;
        await assert.rejects(door.append(records()), NoRoomError);
      }
      await door.append(records(600));
      await door.append(records(600));
      folder = folder.reopen();
    }
    const { batches } = folder.log(1) ?? { batches: [] };
    const checkpoints = batches.filter(({ kind }) => kind === BatchKind.checkpoint);
    assert.ok(checkpoints.length > 3);
    for (const checkpoint of checkpoints) {
      const said = decodeCheckpoint(checkpoint.payload.subarray(checkpointPrefixBytes));
      const began = batches
        .filter(({ kind, index }) => kind === BatchKind.leaderChange && index < checkpoint.index)
        .map(({ term, index }) => ({ term, index }));
      assert.deepEqual(said.termStarts, began);
      assert.deepEqual(said.voters, [{ diskId: folder.diskId, life: 0 }]);
      assert.deepEqual(said.settings, part.settings);
      assert.equal(said.name, "orders");
    }
  });

  test("a log with other voters is refused in words", async () => {
    const folder = new MemoryFolder();
    const voters = [{ diskId: new Uint8Array(16).fill(1), life: 0 }];
    const { made } = folder.create({
      group: 1,
      checkpointState: encodeCheckpoint({ ...part, voters, termStarts: [] }),
      startOffset: 0,
      appendTimeMicros: 0,
      note: new Uint8Array(),
    });
    await made;
    await assert.rejects(
      open(folder.reopen()).append(records()),
      (error) => error instanceof TailraceError && error.reason === "not_built" && /voters/.test(error.message),
    );
  });

  test("after a start few pasts are read at once, however many are asked for, and all of them are", async () => {
    const before = new MemoryFolder();
    for (let group = 1; group <= 20; group++) await make(before, group).made;
    const folder = before.reopen();
    let [reading, most] = [0, 0];
    for (const group of folder.groups()) {
      const log = folder.log(group);
      assert.ok(log);
      const lastCheckpoint = log.lastCheckpoint.bind(log);
      log.lastCheckpoint = async () => {
        most = Math.max(most, ++reading);
        await turns(2);
        reading -= 1;
        return lastCheckpoint();
      };
    }
    const logs = loneLogs(folder, defaultLimits);
    const doors = [...folder.groups()].map((group) => logs.open({ id: group, nodes: [] }, owner));
    await Promise.all(doors.map((door) => door?.ready()));
    assert.ok(most > 1 && most <= 4, `${most} at once`);
    assert.ok(doors.every((door) => door?.ready() === undefined));
    // Producers are read for the first append.
    most = 0;
    await Promise.all(doors.map((door) => door?.append(records())));
    assert.ok(most > 1 && most <= 4, `${most} at once`);
  });

  test("what waits for a leader change is bounded, and refused by the limit's name", async () => {
    const folder = await madeFolder();
    const door = loneLogs(folder, { ...defaultLimits, appendQueueMaxBytes: 100 }).open({ id: 1, nodes: [] }, owner);
    assert.ok(door);
    const first = door.append(records(80));
    await assert.rejects(
      door.append(records(30)),
      (error) => error instanceof TailraceError && error.facts.limit?.name === "append_queue_max_bytes",
    );
    await first;
    await door.append(records(90));
  });
});

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}
