import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Hello } from "../raft/inputs.ts";
import type { Effect, RaftEvent } from "../raft/turn.ts";
import type { FollowerMessage, LeaderMessage } from "../raft/types.ts";
import { ReplicationWatch } from "./replication-watch.ts";

const hello = (from: string): Hello => ({ from, disk: "d", incarnation: 1, number: 1 });
const tick = { kind: "tick" } as const;

/** A watch, and what it is told. */
class World {
  nowMs = 0;
  readonly trips: [string, number][] = [];
  changes = 0;
  readonly watch = new ReplicationWatch({
    missedAfterMs: 200,
    nowMs: () => this.nowMs,
    roundTrip: (node, ms) => void this.trips.push([node, ms]),
  });

  says(to: string, ...messages: LeaderMessage[]): void {
    this.watch.stepped(tick, [{ kind: "toFollower", hello: hello(to), messages }]);
  }

  beats(to: string, n: number): void {
    this.says(to, { kind: "beat", n, echoed: 0 });
  }

  hears(from: string, ...messages: FollowerMessage[]): void {
    this.watch.stepped({ kind: "fromFollower", hello: hello(from), messages }, []);
  }

  echoes(from: string, n: number): void {
    this.hears(from, { kind: "echo", n });
  }

  happens(group: number, term: number, ...events: RaftEvent[]): void {
    this.watch.stepped(
      tick,
      events.map((event): Effect => ({ kind: "event", group, event, term })),
    );
  }
}

describe("ReplicationWatch", () => {
  test("measures from a beat to its echo, for each node", () => {
    const world = new World();
    world.beats("b", 1);
    world.beats("c", 1);
    world.nowMs = 3;
    world.echoes("c", 1);
    world.nowMs = 100;
    world.says("b", { kind: "commit", group: 1, term: 1, commit: 5 }, { kind: "beat", n: 2, echoed: 0 });
    world.nowMs = 104;
    world.hears("b", { kind: "ack", group: 1, term: 1, durable: 5, credit: 9 }, { kind: "echo", n: 2 });
    assert.deepEqual(world.trips, [
      ["c", 3],
      ["b", 4],
    ]);
    assert.deepEqual([...world.watch.missed], []);
  });

  test("a beat that an echo passed over is not missed, and is measured no more", () => {
    const world = new World();
    world.beats("b", 1);
    world.beats("b", 2);
    world.echoes("b", 2);
    world.echoes("b", 1);
    world.nowMs = 1000;
    world.beats("b", 3);
    assert.deepEqual(world.trips, [["b", 0]]);
    assert.deepEqual([...world.watch.missed], []);
  });

  test("a beat that does not come back in time is missed, once; one that comes late is not measured", () => {
    const world = new World();
    world.beats("b", 1);
    world.nowMs = 100;
    world.beats("b", 2);
    world.nowMs = 200;
    world.beats("b", 3);
    assert.deepEqual([...world.watch.missed], []);
    world.nowMs = 301;
    world.beats("b", 4);
    assert.deepEqual([...world.watch.missed], [["b", 2]]);
    world.nowMs = 310;
    world.echoes("b", 2);
    world.echoes("b", 4);
    assert.deepEqual(world.trips, [["b", 9]]);
    assert.deepEqual([...world.watch.missed], [["b", 2]]);
  });

  test("what a session did not bring back when it ended is not missed", () => {
    const world = new World();
    world.beats("b", 1);
    world.watch.stepped({ kind: "ended", hello: hello("b") }, []);
    world.nowMs = 1000;
    world.beats("b", 2);
    assert.deepEqual([...world.watch.missed], []);
  });

  test("beats that are waited for are not ever more", () => {
    const world = new World();
    for (let n = 1; n <= 1000; n++) world.beats("b", n);
    world.nowMs = 1000;
    world.beats("b", 1001);
    assert.deepEqual([...world.watch.missed], [["b", 256]]);
  });

  test("counts elections, leaders by term, and what became of replicas", () => {
    const world = new World();
    world.happens(1, 1, "stood for election", "became leader");
    world.happens(2, 1, "follows", "follows");
    world.happens(2, 1, "lost its leader", "follows");
    world.happens(2, 3, "stood for election");
    world.happens(2, 4, "follows", "repaired");
    world.happens(3, 1, "became leader without a batch", "restarted at a checkpoint", "committed");
    const { elections, electionsWon, leaders, repaired, restarted, renewed } = world.watch;
    assert.deepEqual(
      { elections, electionsWon, leaders, repaired, restarted, renewed },
      { elections: 2, electionsWon: 2, leaders: 4, repaired: 1, restarted: 1, renewed: 0 },
    );
  });

  test("a group that is gone is forgotten", () => {
    const world = new World();
    world.happens(1, 1, "follows");
    world.watch.stepped({ kind: "close", group: 1 }, []);
    world.happens(1, 1, "follows");
    assert.equal(world.watch.leaders, 2);
  });

  test("tells who listens when leaders or voters change, and of nothing else", () => {
    const world = new World();
    const stop = world.watch.onChange(() => {
      world.changes += 1;
    });
    const told: RaftEvent[] = [
      "became leader",
      "stepped down: no majority stands",
      "lost its leader",
      "changed voters",
    ];
    for (const event of told) world.happens(1, 1, event);
    world.happens(2, 1, "follows");
    world.happens(2, 1, "follows", "committed", "answered a read", "granted a vote");
    assert.equal(world.changes, 5);
    stop();
    world.happens(1, 2, "became leader");
    assert.equal(world.changes, 5);
  });
});
