/** The executions of batches that fit nothing: what a broken disk or a developer's mistake leaves behind the batches of a log. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { append, appendAll, execution, labels, large, nothingSurvives, readAll } from "./support/machine.ts";
import { plantBatch, plantInSegment } from "./support/planted.ts";

describe("batches that fit nothing", () => {
  execution(
    "journal-why 6: a journaled batch of another history is dropped, though its index fits",
    async (machine) => {
      const { log } = await machine.open();
      await appendAll(log, ["a", "b"]);
      const [, , old] = await readAll(log);
      await log.cut(1);
      await append(log, "A");
      machine.kill();
      assert.ok(old);
      await plantBatch(machine, 1, old);
      const again = await machine.open();
      assert.equal(again.folder.report.droppedBatches, 1);
      assert.deepEqual(await labels(again.log), ["A"]);
      await append(again.log, "B");
      machine.powerCut(nothingSurvives);
      assert.deepEqual(await labels((await machine.open()).log), ["A", "B"]);
    },
  );

  execution(
    "journal-why 6: a journaled batch behind one that is missing is dropped, and said to be",
    async (machine) => {
      const { log } = await machine.open();
      await appendAll(log, ["a", "b", "c"]);
      const [, , , old] = await readAll(log);
      await log.cut(2);
      machine.kill();
      assert.ok(old);
      await plantBatch(machine, 1, old);
      const again = await machine.open();
      assert.equal(again.folder.report.droppedBatches, 1);
      await append(again.log, "B");
      machine.powerCut(nothingSurvives);
      const third = await machine.open();
      assert.equal(third.folder.report.droppedBatches, 0);
      assert.deepEqual(await labels(third.log), ["a", "B"]);
    },
  );

  execution(
    "journal-why 9: above the mark a batch in a segment counts by its digest, not by its index",
    async (machine) => {
      const { log } = await machine.open();
      await append(log, "z", large);
      await append(log, "b", large);
      const [, , old] = await readAll(log);
      await log.cut(1);
      await append(log, "y", large);
      machine.kill();
      // A developer's mistake, or a disk's: behind the new batch stands an old one, whole.
      await plantInSegment(machine, old);
      assert.deepEqual(await labels((await machine.open()).log), ["y"]);
    },
  );

  execution("journal-why 9: what is journaled outranks what a segment has above the mark", async (machine) => {
    const { log } = await machine.open();
    await append(log, "z", large);
    await append(log, "b", large);
    const [, , old] = await readAll(log);
    await log.cut(2);
    await append(log, "B");
    machine.kill();
    // It follows the batch before the mark as well as the acknowledged one does.
    await plantInSegment(machine, old);
    assert.deepEqual(await labels((await machine.open()).log), ["z", "B"]);
  });

  execution("journal-why 22: a checkpoint behind other batches of a segment is none of it", async (machine) => {
    machine.segmentMaxBytes = 3000;
    const { log } = await machine.open();
    await appendAll(log, ["a", "b"], large);
    const [, , checkpoint] = await readAll(log);
    machine.kill();
    await plantInSegment(machine, checkpoint);
    assert.deepEqual(await labels((await machine.open()).log), ["a", "b"]);
  });
});
