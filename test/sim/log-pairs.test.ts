/**
 * A follower's log is the leader's: after any run of two replicas that are killed, lose power, have no room and change roles,
 * they end with one digest, the same batches, and the same bytes in each segment that both have sealed.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SimRandom } from "../../src/sim/random.ts";
import { passTime, Timeline } from "../../src/sim/timeline.ts";
import { follow, Side } from "./support/log-pair.ts";

const counts = new Map<string, number>();

function count(what: string, times = 1): void {
  counts.set(what, (counts.get(what) ?? 0) + times);
}

async function run(seed: number, timeline: Timeline): Promise<void> {
  const random = SimRandom.of(seed);
  const segmentMaxBytes = random.pick([1500, 20_000]);
  const faults = { syncFails: random.pick([0, 0, 0.003]), writeBackFails: 0, copyOnWrite: false };
  const fills = random.pick([0, 0.05]);
  let [leader, follower] = [
    new Side("one", timeline, SimRandom.of(seed, 1), segmentMaxBytes),
    new Side("other", timeline, SimRandom.of(seed, 2), segmentMaxBytes),
  ];
  await Promise.all([leader.open(), follower.open()]);
  let term = 0;
  const newTerm = () => ++term;
  for (let step = random.between(10, 60); step > 0; step--) {
    for (const side of [leader, follower]) {
      side.disk.faults = faults;
      if (side.hasFailed) {
        count("failed");
        await side.restart(random.chance(0.5));
      }
    }
    const what = random.fraction();
    if (what < 0.4) {
      const sizes = Array.from({ length: random.skewed(1, 8) }, () => random.skewed(1, random.pick([300, 9000])));
      await leader.append(sizes, newTerm);
    } else if (what < 0.8) {
      const how = { unsynced: random.chance(0.6), maxBytes: random.skewed(1, 30_000), waits: random.chance(0.4) };
      count(await follow(follower, leader, how));
    } else if (what < 0.87) {
      const withPower = random.chance(0.5);
      count(withPower ? "power cut" : "kill");
      await random.pick([leader, follower]).restart(withPower);
    } else if (what < 0.93) {
      [leader, follower] = [follower, leader];
      leader.mustBegin = true;
      count("roles changed");
    } else await new Promise<void>((resolve) => timeline.after(random.skewed(0, 30), resolve));
    if (fills > 0 && random.chance(fills)) {
      count("filled up");
      random.pick([leader, follower]).fill(random.chance(0.5) ? random.skewed(0, 20_000) : undefined);
    }
  }
  await endAsOne(leader, follower, newTerm);
}

/** With no more trouble the follower comes to have all, and each of them all that it has on its disk. */
async function endAsOne(leader: Side, follower: Side, newTerm: () => number): Promise<void> {
  for (const side of [leader, follower]) {
    side.disk.faults = { syncFails: 0, writeBackFails: 0, copyOnWrite: false };
    side.fill(undefined);
    if (side.hasFailed) await side.restart(true);
  }
  await leader.restart(true);
  await leader.append([10], newTerm);
  const how = { unsynced: false, maxBytes: 100_000, waits: true };
  for (let times = 0; times < 500; times++) {
    await follow(follower, leader, how);
    const isWhole = leader.log.end.index === leader.log.durableEnd.index;
    if (isWhole && follower.log.durableEnd.index === leader.log.durableEnd.index) break;
    await new Promise<void>((resolve) => leader.disk.timeline.after(1, resolve));
  }
  assert.deepEqual(follower.log.durableEnd, leader.log.durableEnd);
  const request = { from: { index: 0 }, belowIndex: leader.log.durableEnd.index, maxBytes: 1 << 30 };
  assert.deepEqual(await follower.log.read(request), await leader.log.read(request));
  assert.deepEqual([await follower.log.selfCheck(), await leader.log.selfCheck()], [undefined, undefined]);
  assert.deepEqual(await follower.log.termStarts(), await leader.log.termStarts());
  await Promise.all([leader.close(), follower.close()]);
  const [ours, theirs] = [follower.segments(), leader.segments()];
  const sealed = [...theirs.keys()].sort().slice(0, -1);
  for (const name of sealed) {
    if ([...ours.keys()].sort().indexOf(name) === ours.size - 1) continue;
    const both = [ours.get(name), theirs.get(name)];
    if (both[0] === undefined) continue;
    assert.deepEqual(both[0], both[1], name);
    count("sealed segments that are the same");
  }
}

const [from, seeds] = [1, 200];

test(`a follower's log is the leader's, in the random runs ${from} to ${from + seeds - 1}`, {
  timeout: 120_000,
}, async () => {
  for (let seed = from; seed < from + seeds; seed++) {
    const timeline = new Timeline();
    await passTime(timeline, run(seed, timeline)).catch((error: Error) => {
      throw new Error(`seed ${seed}: ${error.message}`, { cause: error });
    });
  }
  for (const [what, times] of [...counts].sort()) console.log(`${String(times).padStart(7)}  ${what}`);
  const mustHappen = ["cut", "failed", "fed", "filled up", "kill", "power cut", "roles changed"];
  assert.deepEqual(
    mustHappen.filter((what) => !counts.has(what)),
    [],
  );
  assert.ok((counts.get("sealed segments that are the same") ?? 0) > seeds);
});
