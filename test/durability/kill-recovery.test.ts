/**
 * A process is killed while it starts, again and again, 20 times in all after a life that was killed too: with flushes under way,
 * cuts half done, logs begun anew, trimmed and deleted. Then it starts for good, with all that was acknowledged.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { temporaryFolder } from "../support/data-folder.ts";
import { Life } from "./support/kill-cycles.ts";
import type { Change, LoadOrders } from "./support/said.ts";

const lives = 10;
/** A life is killed after so many appends, at most. */
const appendsMax = 600;
/** So often its recovery is, at most. */
const killsMax = 5;
/** A recovery is killed within so many microseconds: about what it takes here. */
const withinMicros = 60_000;
const metAtLeast = 10;

/** Cuts are made to what is not committed, the others to what is: so a folder has one or the other. */
const changes: readonly { name: string; changes: readonly Change[] }[] = [
  { name: "cuts, deletions and new beginnings", changes: ["cut", "cut", "install", "remove"] },
  { name: "trims and new beginnings", changes: ["trim", "install"] },
];

for (const { name, changes: made } of changes) {
  test(`kill -9 of the recovery, after ${lives} lives with ${name}`, { timeout: 180_000 }, async () => {
    const load: LoadOrders = {
      ...{ groups: 60, busyGroups: 30, inFlight: 40, payloadBytes: { from: 20, to: 3_000 }, largeOneIn: 40 },
      ...{ segmentMaxBytes: 80_000, tailMaxBytes: 40_000, changes: made },
      // So many changes may use up what the ring holds back for them, once in a while: then one is refused, and tried again.
      changesAfterRefusals: 0,
    };
    const life = new Life("recovery", temporaryFolder());
    const { random } = life;
    let [kills, met] = [0, 0];
    for (let number = 0; number < lives; number++) {
      const appends = random.between(1, appendsMax);
      let acked = 0;
      const { how } = await life.run(load, (said) => {
        if (said[0] === "acked") acked += 1;
        return acked === appends ? 0 : undefined;
      });
      assert.equal(how, "SIGKILL");
      for (let again = random.between(1, killsMax); again > 0; again--) {
        const after = random.between(0, withinMicros);
        const { underWay } = await life.run(undefined, (said) => (said[0] === "opening" ? after : undefined));
        kills++;
        if (underWay.has("opening")) met++;
      }
    }
    await life.end();
    console.log(`recovery: ${life.ledger.acknowledged} batches acknowledged; ${met} of ${kills} kills met a recovery`);
    assert.ok(met >= metAtLeast, `only ${met} of ${kills} kills met a recovery`);
  });
}
