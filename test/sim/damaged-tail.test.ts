/** The tail of a damaged log is carried in some frames, wherever in a file of the ring those begin. */
import assert from "node:assert/strict";
import { FileNode } from "../../src/sim/file-node.ts";
import { append, appendAll, execution, journal, kibibyte, store, watch } from "./support/machine.ts";
import { flip } from "./support/planted.ts";

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

execution(
  "a batch in the ring that is not what it was is not carried on as if it were: the node ends, and says where",
  async (machine, bit) => {
    const first = await machine.open();
    await append(first.log, "a");
    await appendAll(first.log, ["b", "c"]);
    await first.folder.close();
    const { folder } = await machine.open();
    const node = machine.disk.find(journal(0));
    assert.ok(node instanceof FileNode);
    const bytes = new Uint8Array(node.size);
    node.read(bytes, 0);
    const payloadAt = Buffer.from(bytes).indexOf("b.bbbb");
    assert.ok(payloadAt > 0);
    await flip(machine, journal(0), payloadAt - 128 + bit);
    const busy = machine.logOf(folder, 2);
    const writing = watch(
      (async () => {
        for (;;) await append(busy, "more", 3500);
      })(),
    );
    const failure = await folder.failed;
    assert.match(failure.message, /^journal\/0 is damaged: batch 2 of group 1/);
    await machine.until("appends are refused", () => writing.outcome === failure);
    machine.kill();
    await assert.rejects(machine.open(), /The journal is damaged: .*journal\/0/);
  },
  { variants: [128 + 50, 40] },
);
