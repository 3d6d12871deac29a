/**
 * Three nodes of many groups for figures: all that is sent arrives at once, and disks sync at once. Nothing is checked, and of
 * each log only the newest batches are kept.
 * @module
 */
import { present } from "../../base/assert.ts";
import { BatchKind } from "../../base/batch.ts";
import type { OpenedGroup } from "../group.ts";
import type { Hello, Input } from "../inputs.ts";
import { RaftNode } from "../node.ts";
import type { Effect } from "../turn.ts";
import { type Batch, lanSettings, type NodeId, type ReplicaId, replicaId } from "../types.ts";

const nodes = ["1", "2", "3"];
const voters: readonly ReplicaId[] = nodes.map((node) => replicaId(node, "a", 0));
/** More than are ever on their way. */
const keptBatches = 64;
const bytes = new Uint8Array(300);

/** A group's log on one node: where it ends, and its newest batches. */
interface QuickLog {
  end: number;
  readonly newest: Batch[];
}

/** A cluster; node 1 leads all groups. */
export class QuickCluster {
  readonly #nodes = new Map<NodeId, RaftNode>();
  readonly #logs = new Map<string, QuickLog>();
  readonly #queue: { node: NodeId; input: Input }[] = [];
  #nowMs = 0;
  /** Steps that nodes took. */
  steps = 0;

  constructor() {
    for (const node of nodes) {
      const random = () => (node === "1" ? 0 : 0.99);
      this.#nodes.set(node, new RaftNode({ settings: lanSettings, random }));
    }
  }

  /** Opens groups on all nodes; none has a leader yet. */
  open(from: number, count: number): void {
    for (let group = from; group < from + count; group++) {
      for (const node of nodes) this.#feed(node, { kind: "open", opened: opened(group, node) });
    }
    this.#drain();
  }

  /** Node 1 comes to lead all groups; the others' fetches stand there. */
  lead(): void {
    this.#nowMs += lanSettings.electionMinMs;
    this.#feed("1", { kind: "tick" });
    this.#drain();
  }

  /** A batch goes through: stamped, sent, synced by all, committed, told. */
  append(group: number): void {
    this.#feed("1", { kind: "group", group, input: { kind: "wanted" } });
    this.#drain();
    this.#stamp("1", group, BatchKind.records);
    this.#drain();
  }

  /** What all replicas of a group know to be committed. */
  committed(group: number): number {
    return Math.min(...[...this.#nodes.values()].map((node) => node.group(group)?.log.commit ?? 0));
  }

  #feed(node: NodeId, input: Input): void {
    this.#queue.push({ node, input });
  }

  #drain(): void {
    for (let at = 0; at < this.#queue.length; at++) {
      const { node, input } = present(this.#queue[at], "the queue is that long");
      this.steps += 1;
      const effects = present(this.#nodes.get(node), "the node is there").step(input, this.#nowMs);
      for (const effect of effects) this.#run(node, effect);
    }
    this.#queue.length = 0;
  }

  #run(node: NodeId, effect: Effect): void {
    switch (effect.kind) {
      case "save":
        this.#feed(node, { kind: "group", group: effect.group, input: { kind: "saved" } });
        return;
      case "append":
        this.#stamp(node, effect.group, BatchKind.leaderChange);
        return;
      case "write":
        for (const batch of effect.batches) this.#write(node, effect.group, batch);
        this.#synced(node, effect.group, effect.generation);
        return;
      case "read": {
        const { group, to, id, generation, from, below } = effect;
        const batches = this.#log(node, group).newest.filter(({ index }) => index >= from && index < below);
        this.#feed(node, { kind: "group", group, input: { kind: "read", to, id, generation, batches } });
        return;
      }
      case "openSession":
        this.#feed(effect.to, { kind: "accepted", hello: helloOf(node, effect.number) });
        this.#feed(node, { kind: "sessionOpened", to: effect.to, number: effect.number });
        return;
      case "toLeader": {
        const { to, number, messages } = effect;
        this.#feed(to, { kind: "fromFollower", hello: helloOf(node, number), messages });
        return;
      }
      case "toFollower": {
        const { hello, messages } = effect;
        this.#feed(hello.from, { kind: "fromLeader", node, number: hello.number, messages });
        return;
      }
      case "call":
        this.#feed(effect.to, { kind: "called", from: node, calls: effect.calls });
        return;
      default:
        return;
    }
  }

  #stamp(node: NodeId, group: number, kind: Batch["kind"]): void {
    const { term = 0, log } = this.#nodes.get(node)?.group(group) ?? {};
    const batch: Batch = { index: this.#log(node, group).end, term, digest: new Uint8Array(32), kind, bytes };
    this.#write(node, group, batch);
    this.#feed(node, { kind: "group", group, input: { kind: "appended", batch } });
    this.#synced(node, group, log?.generation ?? 0);
  }

  #write(node: NodeId, group: number, batch: Batch): void {
    const log = this.#log(node, group);
    log.end = batch.index + 1;
    log.newest.push(batch);
    if (log.newest.length > keptBatches) log.newest.splice(0, keptBatches / 2);
  }

  #synced(node: NodeId, group: number, generation: number): void {
    const { end } = this.#log(node, group);
    this.#feed(node, { kind: "group", group, input: { kind: "synced", generation, end } });
  }

  #log(node: NodeId, group: number): QuickLog {
    const key = `${node} ${group}`;
    const known = this.#logs.get(key);
    if (known) return known;
    const log: QuickLog = { end: 1, newest: [] };
    this.#logs.set(key, log);
    return log;
  }
}

function helloOf(from: NodeId, number: number): Hello {
  return { from, disk: "a", incarnation: 1, number };
}

/** A group with its first batch, as a driver that read it from the disk gives it: nothing of it is another's. */
function opened(group: number, node: NodeId): OpenedGroup {
  const digest = () => new Uint8Array(32);
  return {
    ...{ group, self: replicaId(node, "a", 0), promises: { term: 0, votedFor: null }, floor: { term: 0, index: 0 } },
    log: {
      base: { index: 0, before: { term: 0, digest: digest() } },
      ...{ terms: [{ term: 0, index: 0 }], end: 1, digests: [digest()], commit: 1 },
      voterSets: [{ index: 0, voters: voters.map((voter) => replicaId(...parts(voter))) }],
    },
  };
}

function parts(replica: ReplicaId): [NodeId, string, number] {
  const [node = "", disk = "", life = ""] = replica.split("/");
  return [node, disk, Number(life)];
}
