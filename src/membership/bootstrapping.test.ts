import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { test } from "node:test";
import { pino } from "pino";
import { DyingDisk } from "../../test/cluster/support/dying-disk.ts";
import { systemClock } from "../host/clock.ts";
import { systemHash } from "../host/hash.ts";
import { nodeDisk } from "../host/node-disk.ts";
import type { BootstrapMessage } from "../raft/bootstrap.ts";
import { Bootstrapping } from "./bootstrapping.ts";
import { PromiseFile } from "./promise-file.ts";

test("whoever is killed while it keeps an agreement has said nothing of it, or is found to have it", async () => {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "tailrace-bootstrap-"));
  let kills = 0;
  for (let calls = 0; ; calls++) {
    const disk = new DyingDisk(calls);
    const data = `${folder}/${calls}`;
    await fs.mkdir(data);
    const said: BootstrapMessage[] = [];
    let hasSpoken: () => void = () => {};
    const spoken = new Promise<void>((resolve) => {
      hasSpoken = resolve;
    });
    const bootstrapping = new Bootstrapping({
      ...{ self: "b/disk/0", expect: 2, clusterId: undefined, clock: systemClock, logger: pino({ enabled: false }) },
      file: await PromiseFile.open(data, disk, systemHash),
      ...{ random: () => 0, newClusterId: () => "none", exists: () => {} },
      send: (_, message) => {
        said.push(message);
        hasSpoken();
      },
    });
    const proposal = { clusterId: "x", replicas: ["a/disk/0", "b/disk/0"] };
    bootstrapping.receive({ kind: "propose", from: "a/disk/0", proposal });
    await Promise.race([spoken, disk.died]);
    bootstrapping.stop();
    const { found } = await PromiseFile.open(data, nodeDisk(), systemHash);
    if (said.length > 0) {
      assert.deepEqual(said, [{ kind: "accepted", from: "b/disk/0", clusterId: "x" }]);
      assert.deepEqual(found.accepted, proposal, `after ${calls} calls`);
      break;
    }
    kills += 1;
  }
  assert.ok(kills >= 5, `it was killed at ${kills} steps`);
  await fs.rm(folder, { recursive: true });
});
