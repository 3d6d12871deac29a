import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { anyState, gate, owner, ReplicaNode, records, second, until } from "../../test/support/replica-node.ts";
import { BatchKind } from "../base/batch.ts";
import { NoRoomError } from "../base/disk-errors.ts";
import { encodeFence } from "../wire/checkpoint.ts";
import { ClusterLog } from "./cluster-log.ts";
import { replicaOf } from "./core-batch.ts";
import type { LogOwner } from "./log-door.ts";

/** Notes what it is told of its log. */
class Told implements LogOwner {
  readonly fences: string[] = [];
  readonly steps: string[] = [];

  restored({ fence }: { fence: Uint8Array }): void {
    this.steps.push("restored");
    this.fences.push(new TextDecoder().decode(fence));
  }

  restoring(): void {
    this.steps.push("restoring");
  }

  produced({ index }: { index: number }): void {
    this.steps.push(`produced ${index}`);
  }

  checkpointPart() {
    return anyState;
  }
}

const producer = { id: new Uint8Array(16).fill(1), epoch: 0 };

describe("ClusterLog", () => {
  test("what a leader goes by is not taken back by who read before what was committed until then", async () => {
    const [reader, recall] = [gate(), gate()];
    let isOpen = false;
    let checkpoints = 0;
    const fence = { kind: BatchKind.fence, payload: encodeFence(new TextEncoder().encode("new")), recordCount: 0 };
    const node = await ReplicaNode.make(
      (log) => ({
        lastCheckpoint: async () => {
          checkpoints += 1;
          if (checkpoints === 1) await reader.passed;
          return await log.lastCheckpoint();
        },
        headers: async function* (index) {
          if (isOpen) await recall.passed;
          yield* log.headers(index);
        },
      }),
      {
        isAlone: true,
        before: async (log) => void (await log.append({ ...fence, begins: { term: 1, votedFor: replicaOf(second) } })),
      },
    );
    isOpen = true;
    const told = new Told();
    const door = new ClusterLog(node.replica, told);
    const read = door.ready();
    await until(() => checkpoints === 1);
    const appended = door.append(records("a"));
    await until(() => told.steps.includes("restoring"));
    reader.open();
    await read;
    recall.open();
    await appended;
    assert.equal(told.fences.at(-1), "new");
    node.driver.stop();
  });

  test("who led an earlier term tells nothing more of the past once it leads again", async () => {
    const first = gate();
    let readings = -1;
    const node = await ReplicaNode.make(
      (log) => ({
        headers: async function* (index) {
          readings += 1;
          if (readings === 1) await first.passed;
          yield* log.headers(index);
        },
      }),
      {
        before: async (log) => {
          const begins = { term: 1, votedFor: replicaOf(second) };
          await log.append({ ...records("x"), producer: { ...producer, sequence: 0 }, begins });
          await log.append({ ...records("y"), producer: { ...producer, sequence: 1 } });
        },
      },
    );
    const told = new Told();
    const door = new ClusterLog(node.replica, told);
    await node.wins();
    const early = door.append(records("a"));
    const refused = assert.rejects(early, { name: "NotLeaderError" });
    await until(() => readings === 1);
    await node.followsSecond(node.core.term + 1);
    await node.wins();
    const late = door.append(records("b"));
    late.catch(() => {});
    await until(() => node.log.durableEnd.term === node.core.term);
    first.open();
    await refused;
    await until(() => node.log.durableEnd.offset === 3);
    const once = ["restored", "restoring", "produced 1", "produced 2"];
    // Another began to lead in between, which is why all is forgotten.
    assert.deepEqual(told.steps, ["restored", "restoring", "restoring", ...once]);
    node.driver.stop();
  });

  test("what waits for a commit is told when the replica ends", async () => {
    const node = await ReplicaNode.make(() => ({}));
    const door = new ClusterLog(node.replica, owner);
    await node.wins();
    const appended = door.append(records("a"));
    const refused = assert.rejects(appended, { name: "FateUnknownError" });
    await until(() => node.log.durableEnd.offset === 1);
    const settled = assert.rejects(door.settled(node.log.durableEnd.index - 1), { name: "NotLeaderError" });
    node.driver.stop();
    await Promise.all([refused, settled]);
  });

  test("what could not be read for want of files is read again for the next append", async () => {
    let refusals = 0;
    const node = await ReplicaNode.make(
      (log) => ({
        headers: async function* (index) {
          if (refusals-- > 0) throw new NoRoomError("too many open files", "EMFILE");
          yield* log.headers(index);
        },
      }),
      { isAlone: true },
    );
    refusals = 1;
    const door = new ClusterLog(node.replica, new Told());
    await assert.rejects(door.append(records("a")), { name: "NoRoomError" });
    assert.equal((await door.append(records("a"))).baseOffset, 0);
    node.driver.stop();
  });
});
