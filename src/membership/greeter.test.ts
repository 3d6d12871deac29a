import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { Greeter } from "./greeter.ts";
import { Seeds } from "./seeds.ts";

/** A greeter of these seeds, whose greetings end when the test says so. */
class World {
  readonly clock = new ManualClock();
  /** Greetings on their way, by address. */
  readonly open = new Map<string, (isAnswered: boolean) => void>();
  readonly greeted: string[] = [];
  intervalMs = 1_000;
  names: readonly string[];
  readonly greeter: Greeter;

  constructor(...names: string[]) {
    this.names = names;
    const seeds = new Seeds(
      ["nodes:1"],
      async () => this.names,
      () => {},
    );
    this.greeter = new Greeter({
      ...{ seeds, clock: this.clock, intervalMs: () => this.intervalMs, onRound: () => {} },
      greet: (address) => {
        assert.ok(!this.open.has(address), `${address} is greeted once at a time`);
        this.greeted.push(address);
        return new Promise((resolve) => this.open.set(address, resolve));
      },
    });
  }

  async end(address: string, isAnswered: boolean): Promise<void> {
    this.open.get(address)?.(isAnswered);
    this.open.delete(address);
    await this.clock.pass(0);
    await new Promise((resolve) => setImmediate(resolve));
  }

  async start(): Promise<void> {
    this.greeter.start();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("a greeter", () => {
  test("has greeted its seeds when each had its say, however many rounds that takes", async () => {
    const world = new World("a", "b");
    await world.start();
    await world.end("a:1", true);
    assert.equal(world.greeter.hasGreetedSeeds, false);
    for (let round = 0; round < 3; round++) {
      await world.clock.pass(1_000);
      await world.end("a:1", true);
    }
    assert.deepEqual(world.greeted, ["a:1", "b:1", "a:1", "a:1", "a:1"]);
    assert.equal(world.greeter.hasGreetedSeeds, false);
    await world.end("b:1", false);
    assert.equal(world.greeter.hasGreetedSeeds, true);
  });

  test("greets as often as it is told to, whom the name stands for then", async () => {
    const world = new World("a");
    await world.start();
    await world.end("a:1", true);
    world.names = ["b"];
    world.intervalMs = 30_000;
    await world.clock.pass(1_000);
    await world.end("b:1", true);
    await world.clock.pass(29_000);
    assert.deepEqual(world.greeted, ["a:1", "b:1"]);
    await world.clock.pass(1_000);
    assert.deepEqual(world.greeted, ["a:1", "b:1", "b:1"]);
    world.greeter.stop();
    await world.clock.pass(60_000);
    assert.equal(world.greeted.length, 3);
  });

  test("greets whom others told of at once, and not any more when it never answers", async () => {
    const world = new World();
    await world.start();
    world.greeter.hint("x:1");
    assert.deepEqual(world.greeted, ["x:1"]);
    for (let round = 0; round < 20; round++) {
      await world.end("x:1", false);
      await world.clock.pass(1_000);
    }
    assert.equal(world.greeted.length, 10);
    for (let i = 0; i < 300; i++) world.greeter.hint(`y${i}:1`);
    assert.equal(world.greeted.length, 10 + 256);
  });
});
