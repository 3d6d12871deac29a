/**
 * Thousands of groups without a leader, as after a power cut of all nodes, on machines that take a while for each message.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { present } from "../base/assert.ts";
import { SimRandom } from "../sim/random.ts";
import { Timeline } from "../sim/timeline.ts";
import type { Hello, Input } from "./inputs.ts";
import { RaftNode } from "./node.ts";
import type { Effect } from "./turn.ts";
import { lanSettings, type NodeId, replicaId } from "./types.ts";

const groups = 1_000;
const nodeIds = ["a", "b", "c"];
/** What a node takes for one message: for those of one round of asking in all groups some seconds. */
const messageMs = 0.5;
/** Groups begin within what recovery takes. */
const openMaxMs = 500;
const digest = new Uint8Array(32);

/** Three nodes, each of which takes one message after the other. */
class World {
  readonly timeline = new Timeline();
  readonly #random = new SimRandom(1);
  readonly #nodes = new Map<NodeId, RaftNode>();
  readonly #busyUntilMs = new Map<NodeId, number>();
  readonly #wakeAtMs = new Map<NodeId, number>();

  constructor(askingMaxGroups: number) {
    const settings = { ...lanSettings, askingMaxGroups };
    for (const id of nodeIds) {
      this.#nodes.set(id, new RaftNode({ settings, random: () => this.#random.fraction() }));
      for (let group = 1; group <= groups; group++) {
        this.timeline.after(this.#random.fraction() * openMaxMs, () => this.#open(id, group));
      }
    }
  }

  /** Groups that a node leads, which others follow. */
  get led(): number {
    let led = 0;
    for (let group = 1; group <= groups; group++) {
      const replicas = [...this.#nodes.values()].map((node) => present(node.group(group), "it is open"));
      if (replicas.some(({ role, feeds }) => role.kind === "leader" && feeds.size > 0)) led += 1;
    }
    return led;
  }

  runUntil(atMs: number): void {
    while (this.timeline.nowMs < atMs && this.timeline.step());
  }

  #open(id: NodeId, group: number): void {
    const log = {
      base: { index: 0, before: { term: 0, digest } },
      ...{ terms: [{ term: 0, index: 0 }], end: 1, digests: [digest], commit: 1 },
      voterSets: [{ index: 0, voters: nodeIds.map((node) => replicaId(node, "d", 0)) }],
    };
    const promises = { term: 0, votedFor: null };
    const self = replicaId(id, "d", 0);
    this.#step(id, { kind: "open", opened: { group, self, promises, floor: { term: 0, index: 0 }, log } });
  }

  #step(id: NodeId, input: Input): void {
    const node = present(this.#nodes.get(id), "it is one of the three");
    for (const effect of node.step(input, this.timeline.nowMs)) this.#do(id, effect);
  }

  /** It is looked at when all that came before has been. */
  #deliver(to: NodeId, messages: number, input: Input): void {
    const { nowMs } = this.timeline;
    const atMs = Math.max(nowMs, this.#busyUntilMs.get(to) ?? 0) + messages * messageMs;
    this.#busyUntilMs.set(to, atMs);
    this.timeline.at(atMs, () => this.#step(to, input));
  }

  #do(id: NodeId, effect: Effect): void {
    const hello = (number: number): Hello => ({ from: id, disk: "d", incarnation: 1, number });
    switch (effect.kind) {
      case "save":
        this.#deliver(id, 0, { kind: "group", group: effect.group, input: { kind: "saved" } });
        return;
      case "call":
        this.#deliver(effect.to, effect.calls.length, { kind: "called", from: id, calls: effect.calls });
        return;
      case "openSession":
        this.#deliver(effect.to, 1, { kind: "accepted", hello: hello(effect.number) });
        this.#deliver(id, 1, { kind: "sessionOpened", to: effect.to, number: effect.number });
        return;
      case "toLeader":
        this.#deliver(effect.to, effect.messages.length, {
          ...{ kind: "fromFollower", hello: hello(effect.number), messages: effect.messages },
        });
        return;
      case "toFollower":
        this.#deliver(effect.hello.from, effect.messages.length, {
          ...{ kind: "fromLeader", node: id, number: effect.hello.number, messages: effect.messages },
        });
        return;
      case "wake":
        this.#wake(id, effect.atMs);
        return;
      default:
        // Nothing is appended, and no session ends while nobody is silent for so long.
        assert.ok(effect.kind === "event" || effect.kind === "closeSession", effect.kind);
    }
  }

  #wake(id: NodeId, atMs: number): void {
    this.#wakeAtMs.set(id, atMs);
    if (atMs === Number.POSITIVE_INFINITY) return;
    const look = () => {
      if (this.#wakeAtMs.get(id) !== atMs) return;
      // A timer, too, waits until the node has time for it.
      const busyUntilMs = this.#busyUntilMs.get(id) ?? 0;
      if (busyUntilMs > this.timeline.nowMs) this.timeline.at(busyUntilMs, look);
      else this.#step(id, { kind: "tick" });
    };
    this.timeline.at(Math.max(atMs, this.timeline.nowMs), look);
  }
}

test("all come to be led though each message takes its time, since only so many ask at once", {
  timeout: 60_000,
}, () => {
  const world = new World(lanSettings.askingMaxGroups);
  world.runUntil(15_000);
  assert.equal(world.led, groups);
});

test("where all ask at once, all ask again before they are answered, and few are led", { timeout: 60_000 }, () => {
  const world = new World(Number.POSITIVE_INFINITY);
  world.runUntil(15_000);
  assert.ok(world.led < groups / 2, `${world.led} of ${groups} are led`);
});
