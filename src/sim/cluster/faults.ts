/**
 * What goes wrong in a cluster, when and where, and how it heals: processes, links and disks.
 * Elsewhere: changes of members, and groups that come and go (`changes.ts`); old copies of disks (`old-disks.ts`).
 * @module
 */
import { SimRandom } from "../random.ts";
import { flipBit } from "./bit-flips.ts";
import type { Changes } from "./changes.ts";
import { type SimNode, volumeBytes } from "./node.ts";
import { mayWipe, putBackLater } from "./old-disks.ts";
import type { Fault } from "./plan.ts";
import { count, type World } from "./world.ts";

/** How long something lasts at most, and mostly much less: milliseconds. */
const lastsMaxMs = 4000;

/** Does what is planned, and heals it after a while. */
export class Faults {
  readonly #world: World;
  readonly #nodes: readonly SimNode[];
  readonly #changes: Changes;
  /** What is broken now: healing it, all at the end at the latest. */
  readonly #heals = new Set<() => void>();
  #isHealed = false;

  constructor(world: World, nodes: readonly SimNode[], changes: Changes) {
    this.#world = world;
    this.#nodes = nodes;
    this.#changes = changes;
  }

  /** Plans them all. */
  plan(faults: readonly Fault[]): void {
    const { timeline } = this.#world;
    for (const fault of faults) timeline.after(fault.atMs, () => this.#happen(fault));
  }

  /** Everything works again. */
  healAll(): void {
    this.#isHealed = true;
    for (const heal of [...this.#heals]) heal();
    this.#world.network.healAll();
    for (const node of this.#nodes) {
      node.disk.faults = { ...node.disk.faults, syncFails: 0 };
      node.start();
    }
  }

  #happen(fault: Fault): void {
    const random = SimRandom.of(this.#world.seed, 5, fault.number);
    const leader = random.chance(0.4) ? this.#anyLeader(random) : undefined;
    const node = leader ?? this.#pick(random);
    const other = this.#pick(random, node);
    count(this.#world, `fault: ${fault.kind}`);
    if (leader) count(this.#world, "fault that meets a leader");
    this.#world.trace?.(`--- fault ${fault.number}, ${fault.kind}: ${node.id}`);
    const forMs = random.skewed(20, lastsMaxMs);
    switch (fault.kind) {
      case "kill":
        node.kill();
        this.#later(forMs, () => node.start());
        return;
      case "crash loop":
        this.#crash(node, random, random.between(1, 5));
        return;
      case "clean stop":
        void node.stop();
        this.#later(forMs, () => node.start());
        return;
      case "power cut":
        node.powerCut();
        this.#later(forMs, () => node.start());
        return;
      case "power cut of all":
        for (const one of this.#nodes) one.powerCut();
        for (const one of this.#nodes) this.#later(random.skewed(20, 2000), () => one.start());
        return;
      case "pause": {
        const { clock } = node;
        clock?.pause();
        this.#later(forMs, () => clock?.goOn());
        return;
      }
      case "clock jump":
        node.clock?.jump(random.between(-3_600_000, 3_600_000));
        return;
      case "cut off":
        for (const one of this.#nodes) if (one !== node) this.#cut(node, one, "both", forMs);
        return;
      case "cut one way": {
        // All that it says, all that it hears, or some of each.
        const way = random.pick(["from", "to", "some"]);
        for (const one of this.#nodes) {
          if (one === node) continue;
          const isFrom = way === "some" ? random.chance(0.5) : way === "from";
          if (isFrom) this.#cut(node, one, "one", forMs);
          else this.#cut(one, node, "one", forMs);
        }
        return;
      }
      case "cut a link":
        this.#cut(node, other, random.chance(0.5) ? "both" : "one", forMs);
        return;
      case "flapping link":
        this.#flap(node, other, random, random.between(3, 10));
        return;
      case "break sessions":
        for (let i = random.between(1, 4); i > 0; i--) this.#world.network.breakSession();
        return;
      case "wipe":
        // More than a minority of disks lost is lost data, whatever one does.
        if (!mayWipe(this.#world, this.#nodes, node)) return;
        count(this.#world, "a disk was lost");
        node.wipe();
        this.#later(forMs, () => node.start());
        return;
      case "put back":
        putBackLater(this.#world, this.#nodes, node, {
          after: (ms, work) => this.#after(random.skewed(1, ms), work),
          heal: (ms, work) => this.#later(ms, work),
        });
        return;
      case "slow disk": {
        const { disk } = node;
        disk.slowness = random.pick([10, 100]);
        this.#later(forMs, () => {
          disk.slowness = 1;
        });
        return;
      }
      case "full disk": {
        const { disk } = node;
        disk.totalBytes -= disk.space.freeBytes;
        this.#later(forMs, () => {
          disk.totalBytes = volumeBytes;
        });
        return;
      }
      case "bit flip":
        flipBit(this.#world, this.#nodes, random);
        return;
      case "change voters":
        void this.#changes.changeVoters(random);
        return;
      case "transfer":
        void this.#changes.transfer(random);
        return;
      case "create":
        this.#changes.create();
        return;
      case "delete":
        void this.#changes.remove(random);
        return;
    }
  }

  /** Ends it, and its next starts too, while they look at the disk. */
  #crash(node: SimNode, random: SimRandom, times: number): void {
    if (node.isUp && !node.process) count(this.#world, "death in a start");
    if (random.chance(0.5)) node.kill();
    else node.powerCut();
    this.#later(random.skewed(5, 300), () => {
      node.start();
      if (times > 1) this.#after(random.skewed(1, 150), () => this.#crash(node, random, times - 1));
    });
  }

  #flap(node: SimNode, other: SimNode, random: SimRandom, times: number): void {
    const forMs = random.skewed(5, 400);
    this.#cut(node, other, random.chance(0.5) ? "both" : "one", forMs);
    if (times > 1) this.#after(forMs + random.skewed(5, 400), () => this.#flap(node, other, random, times - 1));
  }

  #cut(from: SimNode, to: SimNode, ways: "one" | "both", forMs: number): void {
    const { network } = this.#world;
    network.cut(from.id, to.id);
    if (ways === "both") network.cut(to.id, from.id);
    this.#later(forMs, () => {
      network.heal(from.id, to.id);
      if (ways === "both") network.heal(to.id, from.id);
    });
  }

  /** Heals something after a while, or when all heals. */
  #later(ms: number, heal: () => void): void {
    const once = () => {
      if (this.#heals.delete(once)) heal();
    };
    this.#heals.add(once);
    this.#world.timeline.after(ms, once);
  }

  /** Does more of a fault after a while, unless all has healed. */
  #after(ms: number, work: () => void): void {
    this.#world.timeline.after(ms, () => {
      if (!this.#isHealed) work();
    });
  }

  #anyLeader(random: SimRandom): SimNode | undefined {
    const leaders = [...this.#world.groups.keys()].flatMap((group) => this.#changes.leaderOf(group) ?? []);
    return leaders[random.between(0, Math.max(leaders.length - 1, 0))];
  }

  #pick(random: SimRandom, but?: SimNode): SimNode {
    const [first, ...rest] = this.#nodes.filter((node) => node !== but);
    if (!first) throw new Error("a cluster has nodes");
    return random.pick([first, ...rest]);
  }
}
