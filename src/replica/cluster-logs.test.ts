import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openFolder, temporaryFolder } from "../../test/support/data-folder.ts";
import { until } from "../../test/support/until.ts";
import { present } from "../base/assert.ts";
import { foundersMax } from "../base/cluster-options.ts";
import { NoRoomError } from "../base/disk-errors.ts";
import { TailraceError } from "../base/errors.ts";
import { systemClock } from "../host/clock.ts";
import { systemHash } from "../host/hash.ts";
import { noteMaxBytes } from "../log/format.ts";
import type { DataFolder } from "../log/types.ts";
import { lanSettings, replicaId } from "../raft/types.ts";
import { builtInSettings } from "../stream/settings.ts";
import { encodeVoters, type StoredReplica } from "../wire/checkpoint.ts";
import { ClusterLogs, newGroup } from "./cluster-logs.ts";
import { hexOf, replicaOf } from "./core-batch.ts";
import { emptyPart, type LogOwner } from "./log-door.ts";
import { creationOf } from "./log-past.ts";
import type { PeerNet } from "./peer-net.ts";
import { RaftDriver } from "./raft-driver.ts";

const group = 1;
const part = { name: "s", settings: { version: 1, ...builtInSettings }, ...emptyPart };
const owner: LogOwner = { restored() {}, restoring() {}, produced() {}, checkpointPart: () => part };
const silent: PeerNet = {
  ...{ open() {}, closeSession() {}, end() {}, toLeader() {}, toFollower() {}, call() {} },
  range: async () => ({ batches: new Uint8Array(0), baseIndex: 0 }),
};

const second = replicaOf(replicaId("2", "22".repeat(16), 0));

/** The logs of a node that has one stream, with other methods of its folder here and there. */
async function logsOf(
  instead: (folder: DataFolder) => Partial<DataFolder>,
  others: readonly StoredReplica[] = [second],
) {
  const own = await openFolder(temporaryFolder());
  const creation = creationOf(part, 0, [replicaOf(replicaId("1", hexOf(own.diskId), 0)), ...others]);
  await own.create(newGroup({ group, creation, appendTimeMicros: 1 })).made;
  const folder = replaced(own, instead(own));
  const broken: unknown[] = [];
  const driver = new RaftDriver({
    ...{ node: "1", disk: hexOf(own.diskId), incarnation: 1, folder, net: silent, clock: systemClock },
    ...{ hash: systemHash, random: () => 0.5, settings: lanSettings, broken: (error) => broken.push(error) },
  });
  const never = () => Promise.reject(new Error("no test asks for it"));
  const told = { place: () => [], endLog: never, renewed: () => {}, left: () => {} };
  const logs = new ClusterLogs({ driver, folder, isObserver: false, ...told });
  const stream = { id: group, createdMicros: 1, creation, nodes: ["1", "2"], isDeleting: false };
  return { logs, driver, stream, broken };
}

/** The same thing, with other properties here and there. */
function replaced<T extends object>(target: T, instead: Partial<NoInfer<T>>): T {
  return new Proxy(target, {
    get(_, name) {
      if (name in instead) return Reflect.get(instead, name);
      const own: unknown = Reflect.get(target, name, target);
      return typeof own === "function" ? own.bind(target) : own;
    },
  });
}

test("a replica keeps the longest names of all voters that a stream may have, and of one that takes another's place", () => {
  const voters = Array.from({ length: 8 }, (_, at) => ({
    ...replicaOf(replicaId(`${at}`.repeat(63), "ff".repeat(16), 0)),
    life: 2 ** 32 - 1,
  }));
  assert.ok(encodeVoters(voters).length <= noteMaxBytes);
});

test("a replica keeps the longest names of all that may begin a cluster", () => {
  const voters = Array.from({ length: foundersMax }, () => replicaOf(replicaId("n".repeat(63), "ff".repeat(16), 0)));
  assert.ok(encodeVoters(voters).length <= noteMaxBytes);
});

describe("logs of a node that is one of a cluster", () => {
  test("take part although there were too many open files to read them at first", async () => {
    let refusals = 2;
    const { logs, driver, stream, broken } = await logsOf((folder) => ({
      log: (id) => {
        const log = present(folder.log(id), "it was made");
        return replaced(log, {
          async *controlBatches(index) {
            if (refusals-- > 0) throw new NoRoomError("too many open files", "EMFILE");
            yield* log.controlBatches(index);
          },
        });
      },
    }));
    assert.ok(logs.open(stream, owner));
    await until(() => driver.core.group(group) !== undefined || broken.length > 0);
    assert.deepEqual(broken, []);
    driver.stop();
  });

  test("that are damaged where a start reads them begin anew, if others have them, and take no part as they are", async () => {
    for (const { nodes, others, lost } of [
      { nodes: ["1", "2"], others: [second], lost: 1 },
      { nodes: ["1"], others: [], lost: 0 },
      // It was placed on another node too, which has had nothing of it yet.
      { nodes: ["1", "2"], others: [], lost: 0 },
    ]) {
      let damage: string | undefined;
      const renewed: number[] = [];
      const { logs, stream, broken } = await logsOf(
        (folder) => ({
          log: (id) => {
            const log = present(folder.log(id), "it was made");
            return replaced(log, {
              get damage() {
                return damage;
              },
              async *controlBatches(index) {
                yield* log.controlBatches(index);
                damage = "a byte is another";
                throw new TailraceError("damaged", { what: "Cannot read", why: damage, todo: "Wait" });
              },
            });
          },
          renew: async (made) => {
            renewed.push(made.group);
            return present(folder.log(made.group), "it was made");
          },
        }),
        others,
      );
      let losses = 0;
      logs.open({ ...stream, nodes }, { ...owner, lost: () => (losses += 1) });
      await until(() => damage !== undefined);
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual([losses, logs.door(group) === undefined, broken], [lost, lost > 0, []]);
      await logs.prepare([{ ...stream, nodes }]);
      assert.equal(renewed.length, lost);
    }
  });

  test("that begin anew are removed when they have, not meanwhile", async () => {
    const steps: string[] = [];
    let begun = () => {};
    const { logs, driver, stream } = await logsOf((folder) => ({
      log: (id) => replaced(present(folder.log(id), "it was made"), { damage: "a byte is another" }),
      renew: async (made) => {
        steps.push("renewing");
        await new Promise<void>((resolve) => {
          begun = resolve;
        });
        steps.push("renewed");
        return present(folder.log(made.group), "it was made");
      },
      remove: async () => void steps.push("removed"),
    }));
    const prepared = logs.prepare([stream]);
    const removed = logs.remove(group);
    await new Promise((resolve) => setImmediate(resolve));
    begun();
    await Promise.all([prepared, removed]);
    assert.deepEqual(steps, ["renewing", "renewed", "removed"]);
    driver.stop();
  });

  test("that were to begin anew, and are removed before, keep no others from being known to be gone", async () => {
    const { logs, driver, stream } = await logsOf((folder) => ({
      log: (id) => replaced(present(folder.log(id), "it was made"), { damage: "a byte is another" }),
      remove: async () => {},
    }));
    assert.equal(logs.open(stream, owner), undefined);
    logs.known(group + 5);
    assert.equal(driver.core.isGone(group), false);
    await logs.remove(group);
    assert.deepEqual([driver.core.isGone(group), driver.core.isGone(group + 4)], [true, true]);
    driver.stop();
  });
});
