/** The tail of a damaged log is carried in some frames, wherever in a file of the ring those begin. */
import assert from "node:assert/strict";
import { append, appendAll, execution, kibibyte, store } from "./support/machine.ts";

/** Twelve batches, more than two frames take. */
const tailLabels = Array.from({ length: 12 }, (_, batch) => `tail ${batch}`);
const tailBytes = 2500;

execution(
  "the copies of a damaged log's tail may stand in two files of the ring, with a snapshot between them",
  async (machine, others) => {
    const first = await machine.open();
    await append(first.log, "flushed", 9000);
    await appendAll(first.log, tailLabels, tailBytes);
    assert.equal(first.folder.metrics.tailBytes, tailLabels.length * (128 + tailBytes));
    const end = first.log.durableEnd.index;
    await first.folder.close();
    const disk = machine.disk.attach();
    await disk.remove(store());
    disk.kill();

    for (let start = 0; start < 4; start++) {
      const { folder, log } = await machine.open();
      assert.match(log.damage ?? "", /is missing/);
      assert.equal(log.durableEnd.index, end);
      // What is flushed comes before what is carried: so this decides where in a file that begins.
      for (let group = 3; group < 3 + others; group++) await append(machine.logOf(folder, group), "pins", 4500);
      const busy = machine.logOf(folder, 2);
      while (folder.metrics.frameBytes < 200 * kibibyte + others * 5000) await append(busy, "more", 3500);
      const tail = await log.read({ from: { index: 2 }, belowIndex: end, maxBytes: 1 << 20 });
      const texts = tail.map(({ payload }) => new TextDecoder().decode(payload.subarray(0, 10)).split(".")[0]);
      assert.deepEqual(texts, tailLabels);
      machine.kill();
    }
  },
  { settings: { journalFiles: 4 }, variants: Array.from({ length: 20 }, (_, others) => others) },
);
