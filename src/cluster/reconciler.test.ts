import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pino } from "pino";
import { openFolder, temporaryFolder } from "../../test/support/data-folder.ts";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { AssertionError } from "../base/assert.ts";
import { systemHash } from "../host/hash.ts";
import { lanSettings } from "../raft/types.ts";
import type { PeerNet } from "../replica/peer-net.ts";
import { RaftDriver } from "../replica/raft-driver.ts";
import { NotLeaderError } from "../replica/replica-errors.ts";
import { Reconciler } from "./reconciler.ts";

const silent: PeerNet = {
  ...{ open() {}, closeSession() {}, end() {}, toLeader() {}, toFollower() {}, call() {} },
  range: async () => ({ batches: new Uint8Array(0), baseIndex: 0 }),
};

describe("Reconciler", () => {
  const fault = new AssertionError("an invariant does not hold");
  const cases = [
    { name: "a fault of ours in a round ends the node", error: fault, broken: [fault] },
    { name: "what is refused in a round is tried in the next", error: new NotLeaderError(1, null), broken: [] },
  ];
  for (const { name, error, broken } of cases) {
    test(name, async () => {
      const clock = new ManualClock();
      const told: unknown[] = [];
      const driver = new RaftDriver({
        ...{
          node: "1",
          disk: "11".repeat(16),
          incarnation: 1,
          folder: await openFolder(temporaryFolder()),
          net: silent,
        },
        ...{ clock, hash: systemHash, random: () => 0.5, settings: lanSettings, broken: (what) => told.push(what) },
      });
      let rounds = 0;
      const settle = () => {
        rounds += 1;
        return Promise.reject(error);
      };
      const never = () => Promise.reject(new Error("no test asks for it"));
      const reconciler = new Reconciler({
        ...{ driver, clock, logger: pino({ enabled: false }), isObserver: false, votersWanted: 3 },
        streams: {
          ...{ stored: () => [], settle, place: never, leave: never, delete: never },
          chosenVoters: { added: [], removed: [] },
        },
        membership: { members: () => [], onChange: () => () => {} },
        ...{ settingsOf: never, replaced: () => {} },
      });
      await clock.pass(600);
      assert.deepEqual(told, broken);
      await clock.pass(600);
      assert.equal(rounds, 2);
      reconciler.stop();
      driver.stop();
    });
  }
});
