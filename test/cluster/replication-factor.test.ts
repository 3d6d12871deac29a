/**
 * On how many nodes a stream is kept follows its setting as it is now, whoever leads it, and whoever leads the catalogue.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connectTo } from "../../src/cli/connection.ts";
import { withCluster } from "./support/cluster.ts";
import { lead, serversAt } from "./support/servers.ts";

const timeout = 180_000;
const waitMaxMs = 40_000;
/** So long a leader of the catalogue has had rounds enough to do what it should not. */
const roundsMs = 3_000;

describe("the replication factor", () => {
  test("is in force after it was changed, and stays so with each leader of the catalogue", { timeout }, async () => {
    await withCluster({ nodes: 3 }, async ({ nodes }) => {
      const [first] = nodes;
      assert.ok(first);
      const { client, close } = connectTo(first.url);
      const held = async () => {
        const answer = await serversAt(first);
        return answer?.servers.reduce((sum, { holds }) => sum + Number(holds), 0) ?? 0;
      };
      const untilHeld = async (count: number) => {
        const begin = performance.now();
        while ((await held()) !== count) {
          if (performance.now() - begin > waitMaxMs) throw new Error(`${await held()} replicas, and not ${count}`);
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
      };
      const names = nodes.map(({ id }) => `of/${id}`);
      for (const name of names) await client.streams.createStream({ name, settings: { replicationFactor: 1n } });
      for (const replicationFactor of [2n, 3n, 1n]) {
        for (const name of names) await client.streams.updateStream({ name, settings: { replicationFactor } });
        for (const node of nodes) {
          await untilHeld(Number(replicationFactor) * names.length);
          await lead(node, "_meta");
          await new Promise((resolve) => setTimeout(resolve, roundsMs));
        }
        assert.equal(await held(), Number(replicationFactor) * names.length);
      }
      close();
    });
  });
});
