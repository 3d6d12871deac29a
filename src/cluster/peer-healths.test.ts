import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import type { ServerHealth } from "../server/api/cluster-view.ts";
import { PeerHealths } from "./peer-healths.ts";

const serving: ServerHealth = { kind: "serving" };
const full: ServerHealth = { kind: "degraded", why: "no room" };

/** Nodes that answer when the test says so. */
class World {
  readonly clock = new ManualClock();
  /** Those that were asked, in order. */
  readonly asked: string[] = [];
  readonly #open = new Map<string, (health: ServerHealth | undefined) => void>();
  readonly #healths = new PeerHealths((node) => {
    this.asked.push(node);
    return new Promise((resolve) => this.#open.set(node, resolve));
  }, this.clock);

  answers(node: string, health: ServerHealth | undefined): void {
    this.#open.get(node)?.(health);
  }

  async of(...nodes: string[]): Promise<[string, ServerHealth][]> {
    return [...(await this.#healths.of(nodes))];
  }
}

describe("PeerHealths", () => {
  test("asks all at once, and leaves out who gave no answer", async () => {
    const world = new World();
    const told = world.of("a", "b", "c");
    assert.deepEqual(world.asked, ["a", "b", "c"]);
    world.answers("c", serving);
    world.answers("b", undefined);
    world.answers("a", full);
    assert.deepEqual(await told, [
      ["a", full],
      ["c", serving],
    ]);
  });

  test("asks nobody again within a moment, however many look", async () => {
    const world = new World();
    const told = [world.of("a"), world.of("a")];
    world.answers("a", full);
    assert.deepEqual(await Promise.all(told), [[["a", full]], [["a", full]]]);
    world.clock.take(1_999);
    assert.deepEqual(await world.of("a"), [["a", full]]);
    assert.deepEqual(world.asked, ["a"]);
  });

  test("tells what was said last while it asks again, but not for long", async () => {
    const world = new World();
    const first = world.of("a");
    world.answers("a", full);
    await first;
    world.clock.take(2_000);
    assert.deepEqual(await world.of("a"), [["a", full]]);
    assert.deepEqual(world.asked, ["a", "a"]);
    world.answers("a", serving);
    await Promise.resolve();
    assert.deepEqual(await world.of("a"), [["a", serving]]);
    world.clock.take(6_000);
    const late = world.of("a");
    world.answers("a", undefined);
    assert.deepEqual(await late, []);
  });

  test("forgets who is asked for no more", async () => {
    const world = new World();
    const first = world.of("a", "b");
    world.answers("a", full);
    world.answers("b", full);
    await first;
    await world.of("b");
    void world.of("a", "b");
    assert.deepEqual(world.asked, ["a", "b", "a"]);
  });
});
