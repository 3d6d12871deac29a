/**
 * Clusters that come to be: directed executions, and random ones with lost messages, restarts and views that differ.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SimRandom } from "../sim/random.ts";
import {
  Bootstrap,
  type BootstrapEffect,
  type BootstrapInput,
  type BootstrapMessage,
  type BootstrapPromises,
  type Proposal,
} from "./bootstrap.ts";
import { nodeOf, type ReplicaId } from "./types.ts";

const nothing: BootstrapPromises = { accepted: undefined, refused: [] };

/** Nodes that talk by messages which a test delivers. */
class World {
  readonly random: SimRandom;
  nowMs = 0;
  readonly nodes = new Map<string, Node>();
  readonly messages: { readonly to: string; readonly message: BootstrapMessage }[] = [];
  readonly existing = new Map<string, Proposal>();
  /** Nodes that neither hear nor do anything. */
  readonly dead = new Set<string>();
  ids = 0;

  constructor(seed: number) {
    this.random = new SimRandom(seed);
  }

  add(name: string, options: { taken?: string; expect?: number } = {}): Node {
    const node = new Node(this, name, options);
    this.nodes.set(name, node);
    return node;
  }

  /** Delivers the message at a place in the queue. */
  deliver(at = 0): void {
    const [sent] = this.messages.splice(at, 1);
    if (sent && !this.dead.has(sent.to)) this.nodes.get(sent.to)?.take({ kind: "message", message: sent.message });
  }

  /** All that is on its way arrives, in order, and all that follows from it. */
  settle(): void {
    while (this.messages.length > 0) this.deliver();
  }

  pass(ms: number): void {
    this.nowMs += ms;
    for (const node of this.nodes.values()) if (!this.dead.has(node.name)) node.take({ kind: "tick" });
  }

  /** A cluster exists only if all its replicas accepted it durably, and none of them is in another. */
  check(): void {
    const members = new Map<ReplicaId, string>();
    for (const { clusterId, replicas } of this.existing.values()) {
      for (const replica of replicas) {
        const node = this.nodes.get(nodeOf(replica));
        assert.equal(node?.promises.accepted?.clusterId, clusterId, `${replica} is a voter of ${clusterId}`);
        assert.equal(members.get(replica) ?? clusterId, clusterId, `${replica} is in two clusters`);
        members.set(replica, clusterId);
      }
    }
  }
}

class Node {
  readonly #world: World;
  readonly name: string;
  readonly self: ReplicaId;
  readonly #options: { taken?: string; expect?: number };
  promises = nothing;
  #bootstrap: Bootstrap;
  #seen: readonly ReplicaId[] = [];
  readonly saves: BootstrapPromises[] = [];
  /** Saves wait until the test lets them be done. */
  holdsSaves = false;
  ended: string[] = [];

  constructor(world: World, name: string, options: { taken?: string; expect?: number }) {
    this.#world = world;
    this.name = name;
    this.self = `${name}/disk/0`;
    this.#options = options;
    this.#bootstrap = this.#start();
  }

  see(...names: string[]): void {
    this.#seen = names.map((name) => `${name}/disk/0`);
    this.take({ kind: "seen", replicas: this.#seen });
  }

  /** The process dies, with what was not saved, and another begins. */
  restart(): void {
    this.saves.length = 0;
    this.#bootstrap = this.#start();
    this.take({ kind: "seen", replicas: this.#seen });
  }

  save(): void {
    const saved = this.saves.shift();
    if (!saved) return;
    this.promises = saved;
    this.take({ kind: "saved" });
  }

  take(input: BootstrapInput): void {
    for (const effect of this.#bootstrap.step(input, this.#world.nowMs)) this.#do(effect);
    while (!this.holdsSaves && this.saves.length > 0) this.save();
    this.#world.check();
  }

  get waitsFor(): readonly ReplicaId[] {
    return this.#bootstrap.waitsFor;
  }

  #start(): Bootstrap {
    const { taken, expect = 3 } = this.#options;
    const { random, nowMs } = this.#world;
    const newClusterId = () => {
      this.#world.ids += 1;
      return `cluster ${this.#world.ids}`;
    };
    const options = { self: this.self, expect, taken, promises: this.promises, newClusterId };
    return new Bootstrap({ ...options, random: () => random.fraction() }, nowMs);
  }

  #do(effect: BootstrapEffect): void {
    switch (effect.kind) {
      case "save":
        this.saves.push(effect.promises);
        return;
      case "send":
        this.#world.messages.push({ to: effect.to, message: effect.message });
        return;
      case "exists":
        this.#world.existing.set(this.name, effect.proposal);
        return;
      case "ended":
        this.ended.push(`${effect.by}: ${effect.why}`);
        return;
      case "wake":
        return;
    }
  }
}

describe("a cluster begins", () => {
  test("when all that are expected have accepted: each of them knows, and they are one", () => {
    const world = new World(1);
    const nodes = ["a", "b", "c"].map((name) => world.add(name));
    for (const node of nodes) node.see("a", "b", "c");
    for (let i = 0; i < 5; i++) {
      world.settle();
      world.pass(600);
    }
    assert.deepEqual([...world.existing.keys()].sort(), ["a", "b", "c"]);
    assert.equal(new Set([...world.existing.values()].map(({ clusterId }) => clusterId)).size, 1);
  });

  test("24. not when two see different ones: one refusal ends a proposal for all, and those who accepted it are free", () => {
    const world = new World(2);
    const [a, b, c, d] = [world.add("a"), world.add("b"), world.add("c"), world.add("d")];
    a.see("a", "b", "c");
    // b does not see a, and takes itself for the lowest.
    b.see("b", "c", "d");
    for (let i = 0; i < 40 && world.existing.size < 3; i++) {
      world.settle();
      world.pass(600);
      for (const node of [a, b, c, d]) node.see("a", "b", "c", "d");
    }
    assert.equal(new Set([...world.existing.values()].map(({ clusterId }) => clusterId)).size, 1);
    assert.ok([...a.ended, ...b.ended, ...c.ended, ...d.ended].length > 0);
  });

  test("C066. not over one that is there: who has a cluster refuses, and what it says is told", () => {
    const world = new World(3);
    const [a, b] = [world.add("a"), world.add("b")];
    world.add("c", { taken: "it is a voter of cluster X" });
    a.see("a", "b", "c");
    b.see("a", "b", "c");
    for (let i = 0; i < 20; i++) {
      world.settle();
      world.pass(600);
    }
    assert.equal(world.existing.size, 0);
    assert.match(a.ended[0] ?? "", /^c\/disk\/0: it is a voter of cluster X$/);
  });

  test("though its proposer dies right after the others accepted: they ask each other, and it learns of it when it is back", () => {
    const world = new World(4);
    const [a, b, c] = [world.add("a"), world.add("b"), world.add("c")];
    for (const node of [a, b, c]) node.see("a", "b", "c");
    // Its proposals arrive; what comes back does not.
    world.deliver();
    world.deliver();
    world.messages.length = 0;
    world.dead.add("a");
    for (let i = 0; i < 4; i++) {
      world.pass(600);
      world.settle();
    }
    assert.deepEqual([...world.existing.keys()].sort(), ["b", "c"]);
    world.dead.clear();
    a.restart();
    world.settle();
    assert.equal(world.existing.size, 3);
  });

  test("nothing is said before it is durable", () => {
    const world = new World(5);
    const [a, b] = [world.add("a", { expect: 2 }), world.add("b", { expect: 2 })];
    b.holdsSaves = true;
    a.see("a", "b");
    b.see("a", "b");
    world.settle();
    assert.equal(world.messages.length, 0);
    b.restart();
    assert.equal(b.promises.accepted, undefined);
    world.pass(600);
    world.settle();
    b.save();
    world.settle();
    assert.equal(world.existing.size, 2);
  });

  test("and who slept meanwhile learns of it from any that is of it, whoever else has died", () => {
    const world = new World(6);
    const [a, b, c] = [world.add("a"), world.add("b"), world.add("c")];
    for (const node of [a, b, c]) node.see("a", "b", "c");
    world.deliver();
    world.deliver();
    world.messages.length = 0;
    for (const name of ["a", "b"]) world.dead.add(name);
    const clusterId = c.promises.accepted?.clusterId ?? "";
    c.take({ kind: "exists", clusterId: "another" });
    assert.equal(world.existing.size, 0);
    c.take({ kind: "exists", clusterId });
    assert.deepEqual([...world.existing.keys()], ["c"]);
    assert.deepEqual(c.waitsFor, []);
  });

  test("without who joins another one: it accepts nothing from then on, and says why", () => {
    const world = new World(7);
    const [a, b, c] = [world.add("a"), world.add("b"), world.add("c")];
    c.take({ kind: "taken", why: "it joins cluster X" });
    for (const node of [a, b, c]) node.see("a", "b", "c");
    world.settle();
    assert.equal(world.existing.size, 0);
    assert.deepEqual(c.promises.accepted, undefined);
    assert.deepEqual(a.ended, ["c/disk/0: it joins cluster X"]);
    assert.ok(b.promises.accepted === undefined || b.waitsFor.length > 0);
  });

  test("and who has refused as many as it can keep writes nothing more, however many come", () => {
    const node = new Bootstrap(
      {
        self: "a/disk/0",
        expect: 3,
        taken: undefined,
        promises: nothing,
        random: () => 0.5,
        newClusterId: () => "own",
      },
      0,
    );
    const from = "z/disk/0";
    const saves = Array.from({ length: 80 }, (_, at) => {
      const proposal = { clusterId: `${at}`, replicas: [from] };
      const effects = node.step({ kind: "message", message: { kind: "propose", from, proposal } }, at);
      const isSaved = effects.some(({ kind }) => kind === "save");
      const answers = isSaved ? node.step({ kind: "saved" }, at) : effects;
      assert.deepEqual(
        answers.flatMap((effect) => (effect.kind === "send" ? [effect.message.kind] : [])),
        ["refused"],
      );
      return isSaved;
    });
    assert.equal(saves.lastIndexOf(true), 63);
  });

  test("or never, but not two of one node: random views, losses, doubled messages and restarts", {
    timeout: 60_000,
  }, () => {
    let formed = 0;
    for (let seed = 1; seed <= 500; seed++) {
      try {
        formed += randomRun(seed) ? 1 : 0;
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
    assert.ok(formed > 450, `${formed} of 500 formed a cluster once all saw all`);
  });
});

function randomRun(seed: number): boolean {
  const world = new World(seed);
  const { random } = world;
  const names = ["a", "b", "c", "d", "e", "f"].slice(0, random.between(3, 6));
  const nodes = names.map((name) => world.add(name));
  for (let step = 0; step < 150; step++) {
    const node = random.pick([nodes[0] ?? world.add("z"), ...nodes.slice(1)]);
    const what = random.fraction();
    if (what < 0.15) node.see(...names.filter((name) => name === node.name || random.chance(0.7)));
    else if (what < 0.2) node.restart();
    else if (what < 0.3) world.pass(random.between(1, 2_000));
    else if (what < 0.35) world.messages.splice(random.between(0, world.messages.length), 1);
    else if (what < 0.4 && world.messages[0]) world.messages.push(world.messages[0]);
    else if (what < 0.45) node.holdsSaves = !node.holdsSaves;
    else if (what < 0.5) node.save();
    else if (world.messages.length > 0) world.deliver(random.between(0, world.messages.length - 1));
  }
  for (const node of nodes) {
    node.holdsSaves = false;
    node.save();
  }
  for (let i = 0; i < 60; i++) {
    for (const node of nodes) node.see(...names);
    world.settle();
    world.pass(600);
  }
  return world.existing.size >= 3;
}
