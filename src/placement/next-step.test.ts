/**
 * What a leader does next: each rule by hand, then random clusters whose nodes fail, are wiped and are moved, which must never
 * be put in need of a node that is down, and end in their placement.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { chooseSeed } from "../../test/support/seeded.ts";
import { type NodeId, nodeOf, type ReplicaId } from "../raft/types.ts";
import { SimRandom } from "../sim/random.ts";
import { type FollowerView, type GroupView, nextStep, type Step, settleMs } from "./next-step.ts";

/** `a` is the replica of node a on its first disk, `a2` the one on its second. */
const replica = (name: string): ReplicaId => `${name.slice(0, 1)}/disk${name.slice(1)}/0`;
const follows = (name: string, more: Partial<FollowerView> = {}): FollowerView => ({
  ...{ replica: replica(name), standing: true, caughtUp: true, steadyMs: settleMs },
  ...more,
});
const add = (name: string): Step => ({ kind: "add", replica: replica(name) });
const remove = (name: string): Step => ({ kind: "remove", replica: replica(name) });
const transfer = (name: string): Step => ({ kind: "transfer", to: replica(name) });

interface Case extends Partial<Omit<GroupView, "voters" | "followers">> {
  readonly name: string;
  /** Names of replicas. */
  readonly voters: readonly string[];
  /** Replicas that follow, or how each does. */
  readonly follow?: readonly (string | FollowerView)[];
  readonly step: Step | undefined;
}

const abc = ["a", "b", "c"];

describe("nextStep()", () => {
  const cases: readonly Case[] = [
    { name: "all is as it should be", voters: abc, follow: ["b", "c"], placement: abc, step: undefined },
    { name: "grows by one", voters: ["a"], follow: ["b", "c"], placement: abc, step: add("b") },
    { name: "then by another", voters: ["a", "b"], follow: ["b", "c"], placement: abc, step: add("c") },
    { name: "waits for who does not follow", voters: ["a", "b"], follow: ["b"], placement: abc, step: undefined },
    {
      name: "waits for who is behind",
      ...{ voters: ["a", "b"], placement: abc, step: undefined },
      follow: ["b", follows("c", { caughtUp: false })],
    },
    {
      name: "waits for who is not heard",
      ...{ voters: ["a", "b"], placement: abc, step: undefined },
      follow: ["b", follows("c", { standing: false })],
    },
    {
      name: "waits for who is dead, as gossip says",
      ...{ voters: ["a", "b"], follow: ["b", "c"], placement: abc, step: undefined },
      alive: (node) => node !== "c",
    },
    {
      name: "an observer is left alone",
      ...{ voters: abc, follow: ["b", "c", "o"], placement: abc, step: undefined },
    },
    { name: "changes one at a time", voters: ["a"], follow: ["b"], placement: abc, isChanging: true, step: undefined },
    { name: "lets go what is deleted", voters: ["a"], follow: ["b"], placement: abc, deleting: true, step: undefined },

    {
      name: "replacing adds first",
      ...{ voters: abc, follow: ["b", "c", "d"], placement: ["a", "b", "d"], step: add("d") },
    },
    {
      name: "then removes",
      ...{ voters: [...abc, "d"], follow: ["b", "c", "d"], placement: ["a", "b", "d"], step: remove("c") },
    },
    {
      name: "of two that are replaced, one goes before the next comes",
      ...{ voters: [...abc, "d"], follow: ["b", "c", "d", "e"], placement: ["a", "d", "e"], step: remove("b") },
    },
    { name: "who is down goes first", voters: abc, follow: ["b"], placement: ["a"], step: remove("c") },
    {
      name: "before one that might go too",
      ...{ voters: [...abc, "d"], follow: ["b", "c"], placement: ["a", "c"], step: remove("d") },
    },
    {
      name: "who is up stays while one that is needed is down",
      ...{ voters: [...abc, "d", "e"], follow: ["b", "d", "e"], placement: abc, step: undefined },
    },
    {
      name: "of an even number one that is up may go: as many may fail as before",
      ...{ voters: [...abc, "d"], follow: ["b", "d"], placement: abc, step: remove("d") },
    },
    {
      name: "nothing goes when the rest has no majority",
      ...{ voters: abc, follow: ["b"], placement: ["a", "c"], step: undefined },
    },
    { name: "nor when there is none now", voters: abc, placement: ["a", "b"], step: undefined },
    {
      name: "with too many voters and none that may go, the next one comes in any case",
      voters: ["a", "b", "x", "y", "z"],
      ...{ follow: ["c", "x", "y", "z"], placement: abc, step: add("c") },
    },

    {
      name: "a wiped node comes back as another replica, which is added",
      ...{ voters: abc, follow: ["b", "c2"], placement: abc, step: add("c2") },
    },
    {
      name: "and the one that it was is removed",
      ...{ voters: [...abc, "c2"], follow: ["b", "c2"], placement: abc, step: remove("c") },
    },
    {
      name: "the one that it was stays while the new one does not follow",
      ...{ voters: [...abc, "c2"], follow: ["b"], placement: abc, step: undefined },
    },

    {
      name: "leadership goes to the preferred leader",
      ...{ self: "b", voters: abc, follow: ["a", "c"], placement: abc, step: transfer("a") },
    },
    {
      name: "not before it has been caught up for some time",
      ...{ self: "b", voters: abc, placement: abc, step: undefined },
      follow: [follows("a", { steadyMs: settleMs - 1 }), "c"],
    },
    {
      name: "not before this one has led for some time",
      ...{ self: "b", voters: abc, follow: ["a", "c"], placement: abc, leadingForMs: settleMs - 1, step: undefined },
    },
    {
      name: "not to one that is dead, as gossip says",
      ...{ self: "b", voters: ["a", "b"], follow: ["a"], placement: ["a", "b"], step: undefined },
      alive: (node) => node !== "a",
    },
    {
      name: "voters change before leadership goes",
      ...{ self: "b", voters: ["b", "c"], follow: ["a", "c"], placement: ["c", "b", "a"], step: add("a") },
    },
    {
      name: "a leader that is not to hold it hands over, without waiting",
      ...{ voters: [...abc, "d"], follow: [follows("b", { steadyMs: 0 }), "c", "d"], leadingForMs: 0 },
      ...{ placement: ["b", "c", "d"], step: transfer("b") },
    },
    {
      name: "to another that stays, where the preferred one can't",
      ...{ voters: [...abc, "d"], follow: [follows("b", { caughtUp: false }), "c", "d"] },
      ...{ placement: ["b", "c", "d"], step: transfer("c") },
    },
    {
      name: "to nobody where nobody can",
      ...{ voters: ["a"], follow: [follows("b", { caughtUp: false })], placement: ["b"], step: undefined },
    },
  ];
  for (const { name, voters, follow = [], step, self = "a", ...rest } of cases) {
    test(name, () => {
      const view: GroupView = {
        ...{ group: 7, isChanging: false, placement: [], alive: () => true, leadingForMs: settleMs, deleting: false },
        ...rest,
        self: replica(self),
        voters: voters.map(replica),
        followers: follow.map((found) => (typeof found === "string" ? follows(found) : found)),
      };
      assert.deepEqual(nextStep(view), step);
    });
  }

  test("what a dead node led comes to be led by all that are left, and each group settles", () => {
    const placement = ["a", "b", "c", "d"];
    const alive = (node: NodeId) => node !== "a";
    const leads = new Map<NodeId, number>();
    for (let group = 2; group < 1002; group++) {
      const led = (leader: string): GroupView => ({
        ...{ group, self: replica(leader), voters: placement.map(replica), placement, alive, deleting: false },
        ...{ isChanging: false, leadingForMs: settleMs },
        followers: ["b", "c", "d"].filter((name) => name !== leader).map((name) => follows(name)),
      });
      const step = nextStep(led("b"));
      const leader = step?.kind === "transfer" ? nodeOf(step.to) : "b";
      assert.equal(nextStep(led(leader)), undefined, `group ${group} stays at ${leader}`);
      leads.set(leader, (leads.get(leader) ?? 0) + 1);
    }
    for (const node of ["b", "c", "d"]) {
      const share = leads.get(node) ?? 0;
      assert.ok(share > 250 && share < 420, `${node} leads ${share} of 1000`);
    }
  });

  test("random clusters end in their placement, and no step makes a group need who is down", {
    timeout: 60_000,
  }, () => {
    const seed = chooseSeed("next steps");
    const seen = new Map<string, number>();
    for (let run = 0; run < 2000; run++) {
      const world = new World(SimRandom.of(seed, run), `seed ${seed}, run ${run}`);
      for (let round = 0; round < 40; round++) {
        world.change();
        world.lead(seen);
      }
      world.heal();
      for (let round = 0; world.lead(seen); round++) assert.ok(round < 50, `${world.name}: it comes to an end`);
      world.checkEnd();
    }
    for (const kind of ["add", "remove", "transfer"]) assert.ok((seen.get(kind) ?? 0) > 2000, `${kind} is seen often`);
  });
});

/** A group on nodes that fail, are wiped, and are told to hold it or not. */
class World {
  readonly name: string;
  readonly #random: SimRandom;
  readonly #nodes: readonly NodeId[];
  readonly #disks = new Map<NodeId, number>();
  readonly #down = new Set<NodeId>();
  /** Up, but not caught up yet. */
  readonly #behind = new Set<NodeId>();
  #placement: readonly NodeId[] = [];
  #voters: readonly ReplicaId[];
  #leader: ReplicaId;

  constructor(random: SimRandom, name: string) {
    this.name = name;
    this.#random = random;
    this.#nodes = [..."abcdefg"].slice(0, random.between(1, 7));
    this.#replace();
    this.#leader = this.#replicaOf(random.chance(0.5) ? (this.#placement[0] ?? "a") : "a");
    this.#voters = [this.#leader];
  }

  /** Something happens. */
  change(): void {
    const random = this.#random;
    const node = this.#nodes[random.between(0, this.#nodes.length - 1)] ?? "a";
    switch (random.between(0, 5)) {
      case 0:
        this.#down.add(node);
        return;
      case 1:
        this.#down.delete(node);
        return;
      case 2: {
        // A majority that forgets is lost, and with it the group: no rule helps there.
        const kept = this.#voters.filter((voter) => nodeOf(voter) !== node && voter === this.#replicaOf(nodeOf(voter)));
        if (2 * kept.length > this.#voters.length) this.#disks.set(node, (this.#disks.get(node) ?? 1) + 1);
        return;
      }
      case 3:
        if (random.chance(0.3)) this.#replace();
        return;
      case 4:
        this.#behind.add(node);
        return;
      default:
        this.#behind.delete(node);
    }
  }

  heal(): void {
    this.#down.clear();
    this.#behind.clear();
  }

  /** Who leads takes a step; false: there is none to take. */
  lead(seen: Map<string, number>): boolean {
    if (!this.#isUp(this.#leader)) this.#leader = this.#voters.find((voter) => this.#isUp(voter)) ?? this.#leader;
    const before = this.#tolerated(this.#voters);
    if (before < 0) return false;
    const step = nextStep(this.#view());
    if (step === undefined) return false;
    seen.set(step.kind, (seen.get(step.kind) ?? 0) + 1);
    switch (step.kind) {
      case "add":
        assert.ok(this.#isUp(step.replica) && !this.#voters.includes(step.replica), this.name);
        assert.ok(this.#placement.includes(nodeOf(step.replica)), this.name);
        this.#voters = [...this.#voters, step.replica];
        break;
      case "remove":
        assert.ok(step.replica !== this.#leader && this.#voters.includes(step.replica), this.name);
        this.#voters = this.#voters.filter((voter) => voter !== step.replica);
        break;
      case "transfer":
        assert.ok(this.#isUp(step.to) && this.#voters.includes(step.to), this.name);
        this.#leader = step.to;
    }
    const after = this.#tolerated(this.#voters);
    const allUp = this.#voters.every((voter) => this.#isUp(voter));
    assert.ok(after >= 0 && (after >= before || allUp), `${this.name}: ${step.kind} leaves ${after} to fail`);
    return true;
  }

  checkEnd(): void {
    const wanted = this.#placement.map((node) => this.#replicaOf(node));
    assert.deepEqual([...this.#voters].sort(), [...wanted].sort(), this.name);
    assert.equal(this.#leader, wanted[0], this.name);
  }

  /** How many voters that are up may fail, with a majority left; below 0: there is none. */
  #tolerated(voters: readonly ReplicaId[]): number {
    return voters.filter((voter) => this.#isUp(voter)).length - Math.floor(voters.length / 2) - 1;
  }

  #view(): GroupView {
    const others = this.#nodes.filter((node) => !this.#down.has(node) && node !== nodeOf(this.#leader));
    const followers = others.map((node) => {
      const caughtUp = !this.#behind.has(node);
      return { replica: this.#replicaOf(node), standing: true, caughtUp, steadyMs: caughtUp ? settleMs : 0 };
    });
    return {
      ...{ self: this.#leader, voters: this.#voters, placement: this.#placement, followers },
      ...{
        group: 7,
        isChanging: false,
        alive: (node) => !this.#down.has(node),
        leadingForMs: settleMs,
        deleting: false,
      },
    };
  }

  #replace(): void {
    const random = this.#random;
    const shuffled = this.#nodes.map((node) => ({ node, at: random.fraction() })).sort((a, b) => a.at - b.at);
    this.#placement = shuffled.slice(0, random.between(1, Math.min(5, shuffled.length))).map(({ node }) => node);
  }

  #replicaOf(node: NodeId): ReplicaId {
    return `${node}/disk${this.#disks.get(node) ?? 1}/0`;
  }

  #isUp(voter: ReplicaId): boolean {
    return !this.#down.has(nodeOf(voter)) && voter === this.#replicaOf(nodeOf(voter));
  }
}
