/**
 * Clients that keep histories, and who judges them: a node that keeps its word passes, one that forgets does not.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { present } from "../../src/base/assert.ts";
import { chooseSeed, seeded } from "../support/seeded.ts";
import type { Hosts } from "./support/host.ts";
import { makeHosts } from "./support/hosts.ts";
import { judge } from "./support/judge.ts";
import { Load } from "./support/load.ts";
import { ClusterNode } from "./support/node-process.ts";
import { backMaxMs, passed } from "./support/under-load.ts";

const timeout = 60_000;
const stream = "judged";

describe("who judges histories", () => {
  let folder = "";
  let hosts: Hosts | undefined;
  let running: ClusterNode | undefined;

  beforeEach(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-judge-"));
    hosts = await makeHosts();
    running = new ClusterNode({ id: "a", host: await hosts.add("a"), data: path.join(folder, "data") });
    running.start();
    await running.ready();
  });

  afterEach(async () => {
    await running?.end("SIGKILL");
    await hosts?.close();
    fs.rmSync(folder, { recursive: true });
  });

  const node = () => present(running, "it was started");
  const startLoad = (name: string) => Load.start({ nodes: [node()], stream, random: seeded(chooseSeed(name), 16) });

  test("finds nothing wrong with a node that was killed", { timeout }, async () => {
    const load = await startLoad("killed");
    for (let kill = 0; kill < 3; kill++) {
      await load.nextAck(backMaxMs);
      await node().end("SIGKILL");
      node().start();
    }
    await load.nextAck(backMaxMs);
    await judge(load, [node()], stream);
    assert.ok(load.appended.some(({ tries }) => tries > 1));
  });

  test("finds what is missing on a node that came back with an old copy of its data", { timeout }, async () => {
    const load = await startLoad("old copy");
    await load.nextAck(backMaxMs);
    await node().end("SIGKILL");
    fs.cpSync(node().data, path.join(folder, "copy"), { recursive: true });
    node().start();
    await load.nextAck(backMaxMs);
    await passed(500);
    await node().end("SIGKILL");
    fs.rmSync(node().data, { recursive: true });
    fs.renameSync(path.join(folder, "copy"), node().data);
    node().start();
    await load.nextAck(backMaxMs);
    await assert.rejects(judge(load, [node()], stream), /invariant 6: append .* was acknowledged/);
  });
});
