/** What holds as long as nothing goes wrong: the rules of the log can be undone one by one, and this does not notice. */
import assert from "node:assert/strict";
import { append, appendAll, execution, labels, large } from "./support/machine.ts";

execution(
  "without trouble every rule could be broken",
  async (machine) => {
    machine.segmentMaxBytes = 20_000;
    const { folder, log } = await machine.open();
    const other = machine.logOf(folder, 2);
    await appendAll(log, ["a", "b"]);
    await append(log, "c", large);
    await appendAll(other, ["p", "q"]);
    await log.cut(3);
    await append(log, "C");
    await folder.remove(2);
    assert.deepEqual(await labels(log), ["a", "b", "C"]);
    await folder.close();
    const again = await machine.open();
    assert.deepEqual(await labels(again.log), ["a", "b", "C"]);
    assert.equal(again.folder.log(2), undefined);
  },
  { settings: { markDelayMs: 10 } },
);
