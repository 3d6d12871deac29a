/**
 * Three replicas of a group on real disks, with real sockets between them, in one process.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import { afterEach, beforeEach, describe, test } from "node:test";
import { present } from "../../src/base/assert.ts";
import { BatchKind } from "../../src/base/batch.ts";
import { replicaOf } from "../../src/replica/core-batch.ts";
import { builtInSettings } from "../../src/stream/settings.ts";
import { encodeCheckpoint, encodeVoters } from "../../src/wire/checkpoint.ts";
import { until } from "../support/until.ts";
import { TestNode, temporaryFolder } from "./support/node.ts";

const group = 7;
const timeout = 60_000;

describe("three replicas on sockets and disks", () => {
  let folder = "";
  let nodes: TestNode[] = [];
  const addresses = new Map<string, string>();

  beforeEach(async () => {
    folder = await temporaryFolder();
    nodes = [];
    for (const id of ["a", "b", "c"]) nodes.push(await TestNode.start(id, `${folder}/${id}`, addresses, 1));
    const voters = nodes.map(({ replica }) => replicaOf(replica));
    const state = { ...{ name: "s", voters, termStarts: [], producers: [], logStart: 0, fence: new Uint8Array(0) } };
    const checkpointState = encodeCheckpoint({ ...state, settings: { ...builtInSettings, version: 1 } });
    for (const node of nodes) {
      const create = { group, checkpointState, startOffset: 0, appendTimeMicros: 1, note: encodeVoters(voters) };
      await node.folder.create(create).made;
      await node.driver.open(node.driver.add(present(node.folder.log(group), "it was made"), node.replica));
    }
  });

  afterEach(async () => {
    for (const node of nodes) await node.kill();
    await fs.rm(folder, { recursive: true });
  });

  const leaderOf = () => nodes.find(({ driver }) => driver.core.group(group)?.role.kind === "leader");
  const append = async (node: TestNode, text: string) => {
    const payload = new TextEncoder().encode(text);
    return await node.driver.group(group)?.append({ kind: BatchKind.records, payload, recordCount: 1 });
  };
  const digests = () => new Set(nodes.map(({ folder }) => folder.log(group)?.durableEnd.digest.join()));

  test("one leads, appends are on all of them byte for byte", { timeout }, async () => {
    await until(() => leaderOf() !== undefined);
    const leader = leaderOf();
    assert.ok(leader);
    for (let i = 0; i < 100; i++) await append(leader, `value ${i}`);
    await until(() => digests().size === 1);
    assert.ok((leader.folder.log(group)?.commit.index ?? 0) >= 102);
  });

  test("when the leader dies another leads, and nothing acknowledged is missing", { timeout }, async () => {
    await until(() => leaderOf() !== undefined);
    const first = leaderOf();
    assert.ok(first);
    for (let i = 0; i < 20; i++) await append(first, `value ${i}`);
    nodes = nodes.filter((node) => node !== first);
    const since = performance.now();
    await first.kill();
    await until(() => leaderOf() !== undefined);
    const second = leaderOf();
    assert.ok(second);
    await append(second, "after");
    console.log(`another leader took an append after ${(performance.now() - since).toFixed(0)} ms`);
    await until(() => digests().size === 1);
    assert.ok((second.folder.log(group)?.commit.index ?? 0) >= 24);
  });
});
