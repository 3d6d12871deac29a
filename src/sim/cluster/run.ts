/**
 * One run of a simulated cluster: from a seed alone.
 * @module
 */
import { systemHash } from "../../host/hash.ts";
import { nodeOf } from "../../raft/types.ts";
import type { SimDisk, Tally } from "../disk.ts";
import { checkHistory } from "../history/check.ts";
import type { LogBatch } from "../history/history.ts";
import { Broken, must } from "../must.ts";
import { SimRandom } from "../random.ts";
import { passTime, Timeline } from "../timeline.ts";
import { Archive } from "./archive.ts";
import { audit } from "./audit.ts";
import { lookAtSpoiled } from "./bit-flips.ts";
import { Changes } from "./changes.ts";
import { checkCheckpoints } from "./checkpoints.ts";
import { Histories, SimClient } from "./clients.ts";
import { Faults } from "./faults.ts";
import { Invariants } from "./invariants.ts";
import { SimNetwork } from "./network.ts";
import { SimNode } from "./node.ts";
import { type ClusterPlan, type PlanOptions, planOf } from "./plan.ts";
import { type RunScript, scripted, scriptOf } from "./run-word.ts";
import { count, type World } from "./world.ts";

/** A cluster in the middle of a run, for who directs it. */
export interface Stage {
  readonly world: World;
  readonly nodes: readonly SimNode[];
  /** Where clients of the director write down what they saw. */
  readonly histories: Histories;
}

/** How a run is run. */
export interface ClusterRunOptions extends PlanOptions {
  /** In place of what the seed gives. */
  readonly plan?: ClusterPlan;
  /** Only this of the plan. */
  readonly script?: RunScript;
  /** Does what no plan says: an execution that chance would meet too seldom. Called once groups are made, and awaited. */
  readonly direct?: ((stage: Stage) => Promise<void>) | undefined;
  readonly trace?: (line: string) => void;
  /** Breaks more of a node's disk than any disk may. */
  readonly spoilDisk?: (disk: SimDisk) => void;
}

/** What came of it. */
export interface ClusterReport {
  readonly seed: number;
  readonly script: RunScript;
  readonly failure: Error | undefined;
  readonly tally: Tally;
  readonly virtualMs: number;
  readonly operations: number;
  /** Stands for all that is on all disks at the end. */
  readonly fingerprint: () => string;
}

/** Runs a seed. */
export async function runCluster(seed: number, options: ClusterRunOptions = {}): Promise<ClusterReport> {
  const whole = options.plan ?? planOf(seed, options);
  const script = options.script ?? scriptOf(whole);
  const plan = scripted(whole, script);
  const timeline = new Timeline();
  const tally: Tally = new Map();
  const { trace, spoilDisk } = options;
  const told = trace && ((line: string) => trace(`${timeline.nowMs.toFixed(2).padStart(10)} ${line}`));
  let fail: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  const counted = (what: string) => count({ tally }, what);
  const links = { timeline, random: SimRandom.of(seed, 3), plan: plan.network, trace: told, count: counted };
  const world: World = {
    ...{
      seed,
      plan,
      timeline,
      network: new SimNetwork(links),
      invariants: new Invariants(plan.raft, timeline),
      hash: systemHash,
    },
    ...{ groups: new Map(), spoiled: new Map(), tally, trace: told, fail, archive: new Archive(), spoilDisk },
  };
  const cluster = new Cluster(world, options.direct);
  let failure: Error | undefined;
  // What throws where nobody waits for it ends a process; here it ends the run.
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  try {
    await passTime(timeline, Promise.race([cluster.run(), failed]));
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    told?.(`failed: ${failure.message}`);
  } finally {
    process.off("uncaughtException", fail);
    process.off("unhandledRejection", fail);
  }
  cluster.end();
  const { operations } = cluster.histories;
  const fingerprint = () => cluster.fingerprint();
  return { seed, script, failure, tally, virtualMs: timeline.nowMs, operations: operations.length, fingerprint };
}

class Cluster {
  readonly histories: Histories;
  readonly #world: World;
  readonly #nodes: readonly SimNode[];
  readonly #direct: ClusterRunOptions["direct"];

  constructor(world: World, direct: ClusterRunOptions["direct"]) {
    this.#world = world;
    this.#direct = direct;
    this.histories = new Histories(world);
    this.#nodes = Array.from({ length: world.plan.nodes }, (_, i) => new SimNode(`n${i + 1}`, world));
  }

  async run(): Promise<void> {
    const { plan, timeline, seed } = this.#world;
    for (const node of this.#nodes) node.start();
    await this.#until(() => this.#nodes.every(({ process }) => process !== undefined), 10_000, "a node does not start");
    const changes = new Changes(this.#world, this.#nodes);
    for (let i = 0; i < plan.groups; i++) changes.create();
    const faults = new Faults(this.#world, this.#nodes, changes);
    faults.plan(plan.faults);
    timeline.after(SimRandom.of(seed, 7).fraction() * plan.busyMs, () => {
      void audit(this.#world, this.#nodes).catch(this.#world.fail);
    });
    const endMs = timeline.nowMs + plan.busyMs;
    const isOver = () => timeline.nowMs >= endMs;
    const directed = this.#direct?.({ world: this.#world, nodes: this.#nodes, histories: this.histories }).then(() => {
      // A director that was late broke what had healed.
      if (isOver()) faults.healAll();
    });
    directed?.catch(this.#world.fail);
    const clients = Array.from(
      { length: plan.clients },
      (_, i) => new SimClient(this.#world, this.#nodes, this.histories, i),
    );
    const running = clients.map((client) => client.run(isOver));
    for (const client of running) client.catch((error: unknown) => this.#world.fail(error));
    await this.#until(isOver, plan.busyMs + 1000, "time does not pass");
    this.#world.trace?.("--- all heals");
    faults.healAll();
    lookAtSpoiled(this.#world, this.#nodes);
    await this.#healed(clients.length);
    await Promise.all([...running, directed]);
    await this.#agree();
    this.#checkHistory();
  }

  /** Kills what runs. */
  end(): void {
    for (const node of this.#nodes) node.kill();
  }

  /** Stands for all that is on all disks. */
  fingerprint(): string {
    return this.#nodes.map(({ disk }) => disk.fingerprint(this.#world.hash)).join();
  }

  /** Each group of which a majority of voters is whole takes an append within the time. */
  async #healed(clients: number): Promise<void> {
    const { timeline, plan, groups } = this.#world;
    const untilMs = timeline.nowMs + plan.progressMs;
    const client = new SimClient(this.#world, this.#nodes, this.histories, clients);
    for (const group of groups.keys()) {
      const isDone = await client.appendUntil(group, () => timeline.nowMs >= untilMs);
      must(
        isDone,
        `invariant 12: group ${group} takes no append within ${plan.progressMs} ms after all healed\n${this.#stateOf(group)}`,
      );
    }
  }

  /** All replicas end with equal logs. */
  async #agree(): Promise<void> {
    const { groups, plan } = this.#world;
    for (const { group, isDeleting } of groups.values()) {
      if (isDeleting) {
        const isGone = () => this.#nodes.every((node) => node.hasForgotten(group));
        await this.#until(
          isGone,
          plan.progressMs,
          () => `group ${group} is deleted, and not gone\n${this.#stateOf(group)}`,
        );
        continue;
      }
      const ends = () =>
        this.#nodes.map(({ process }) => {
          const g = process?.driver.core.group(group);
          if (!g || g.repairing || g.suspect || g.role.kind === "stopped") return undefined;
          const { end, durable, commit } = g.log;
          return durable === end && commit === end ? `${end}` : undefined;
        });
      const agree = () => {
        const [first, ...rest] = ends();
        return first !== undefined && rest.every((end) => end === first);
      };
      await this.#until(
        agree,
        plan.progressMs,
        () => `invariant 12: replicas of group ${group} do not come together\n${this.#stateOf(group)}`,
      );
      const digests = new Set(this.#nodes.map(({ process }) => process?.folder.log(group)?.durableEnd.digest.join()));
      must(digests.size === 1, `replicas of group ${group} end with different digests`);
      for (const { process } of this.#nodes) {
        const log = process?.folder.log(group);
        const bad = await log?.selfCheck();
        must(!bad, `batch ${bad?.index} of group ${group} is not what it was on ${process?.node}, and nobody said so`);
        if (!log) continue;
        await this.#world.archive.readAll(log);
        // Their bytes are the same.
        if (process === this.#nodes[0]?.process && (await checkCheckpoints(log)) > 0)
          count(this.#world, "what a later checkpoint says was rebuilt");
      }
    }
  }

  #checkHistory(): void {
    const { groups, invariants, archive } = this.#world;
    const finalLogs = new Map<string, LogBatch[]>();
    for (const group of groups.keys()) {
      const batches: LogBatch[] = [];
      for (let index = 0; index < invariants.committedEnd(group); index++) {
        const digest = invariants.committedAt(group, index);
        const batch = digest === undefined ? undefined : archive.find(group, digest);
        must(batch !== undefined, `batch ${index} of group ${group} was committed, and nobody read it`);
        batches.push(batch);
      }
      finalLogs.set(String(group), batches);
    }
    const [first] = checkHistory(this.histories.operations, finalLogs);
    if (first) throw new Broken(first.sentence);
  }

  #stateOf(group: number): string {
    return this.#nodes
      .map(({ id, process }) => {
        const g = process?.driver.core.group(group);
        if (!g) return `${id} is not there`;
        const { end, durable, commit, base, voters } = g.log;
        return `${id} ${g.role.kind} term ${g.term} end ${end} durable ${durable} commit ${commit} base ${base.index} voters ${voters.map(nodeOf).join()}`;
      })
      .join("\n");
  }

  async #until(holds: () => boolean, withinMs: number, otherwise: string | (() => string)): Promise<void> {
    const { timeline } = this.#world;
    const untilMs = timeline.nowMs + withinMs;
    while (!holds()) {
      must(timeline.nowMs < untilMs, typeof otherwise === "string" ? otherwise : otherwise());
      await new Promise<void>((resolve) => {
        timeline.after(10, resolve);
      });
    }
  }
}
