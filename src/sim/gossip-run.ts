/**
 * One run of a gossiping cluster: it forms, meets trouble, and after each trouble all must come to one view in time.
 * The same seed gives the same run.
 * @module
 */
import { gossipSettings } from "../gossip/settings.ts";
import { troubles } from "./gossip-troubles.ts";
import { GossipWorld, resolveMs, type Tally } from "./gossip-world.ts";
import { Broken, must } from "./must.ts";
import { SimRandom } from "./random.ts";
import { Timeline } from "./timeline.ts";

/** How to run. */
export interface GossipRunOptions {
  /** How many nodes begin; drawn where it is not said. */
  readonly nodes?: number | undefined;
  /** Told of everything, line by line. */
  readonly trace?: ((line: string) => void) | undefined;
}

/** What became of a run. */
export interface GossipRunReport {
  readonly seed: number;
  /** Why it failed; `undefined`: all held. */
  readonly failure: Error | undefined;
  readonly tally: Tally;
  /** After a trouble, the longest time until all agreed. */
  readonly agreedMs: number;
  /** Stands for all that was said. */
  readonly history: string;
}

/** After a trouble all agree within this. */
export const agreeMaxMs = 150_000;

/** Then nothing happens for so long. */
const quietMs = 10_000;

const lookEveryMs = 200;

/** Runs one seed. */
export function runGossip(seed: number, { nodes, trace }: GossipRunOptions = {}): GossipRunReport {
  const random = SimRandom.of(seed);
  const count = nodes ?? random.skewed(2, 16);
  const loss = random.pick([0, 0, 0.02, 0.1]);
  const weather = { loss, doubled: random.pick([0, 0.05]), delayMinMs: 0.2, delayMaxMs: random.pick([2, 40, 150]) };
  const settings = gossipSettings("lan");
  const world = new GossipWorld({ timeline: new Timeline(), random, settings, weather, trace });
  trace?.(`seed ${seed}: ${count} nodes, ${JSON.stringify(weather)}`);
  // Where a tenth is lost, even a calm network kills now and then: no promise is made of who is well.
  if (loss > 0.02) world.markRough(Number.POSITIVE_INFINITY);
  const report = { seed, tally: world.tally };
  let agreedMs = 0;
  try {
    const apartMs = random.pick([0, 100, 3_000]);
    for (let i = 0; i < count; i++) {
      world.startNew();
      world.net.run(random.between(0, apartMs));
    }
    agreedMs = agree(world);
    for (let rounds = random.between(1, 4); rounds > 0; rounds--) {
      beTroubled(world);
      agreedMs = Math.max(agreedMs, agree(world));
      beQuiet(world);
    }
    return { ...report, agreedMs, failure: undefined, history: world.history.join("\n") };
  } catch (error) {
    const failure = error instanceof Error ? error : new Broken(String(error));
    trace?.(`failed: ${failure.stack}`);
    return { ...report, agreedMs, failure, history: world.history.join("\n") };
  }
}

function beTroubled(world: GossipWorld): void {
  const { random, net } = world;
  let untilMs = world.nowMs;
  for (let times = random.between(1, 3); times > 0; times--) {
    const [name, trouble] = random.pick(namedTroubles);
    net.timeline.after(random.between(0, 5_000), () => {
      const forMs = trouble(world);
      if (forMs > 0) world.count(`trouble: ${name}`);
      untilMs = Math.max(untilMs, world.nowMs + forMs);
    });
  }
  net.run(5_001);
  while (world.nowMs < untilMs) net.run(untilMs - world.nowMs);
  net.isCut = () => false;
  net.weather = world.weather;
}

/** Waits until all views are what they should be. How long it took. */
function agree(world: GossipWorld): number {
  const sinceMs = world.nowMs;
  for (let why = world.disagreement(); why !== undefined; why = world.disagreement()) {
    must(world.nowMs - sinceMs < agreeMaxMs, `after ${agreeMaxMs} ms still ${why}`);
    world.net.run(lookEveryMs);
  }
  world.checkTwinsSaid();
  return world.nowMs - sinceMs;
}

function beQuiet(world: GossipWorld): void {
  // Seeds may name places where nodes were, until names are resolved again.
  world.net.run(resolveMs + 2 * world.net.settings.syncTimeoutMs);
  world.net.toNobody.clear();
  const said = world.history.length;
  world.net.run(quietMs);
  world.checkAddresses();
  if (world.weather.loss > 0.02) return;
  const more = world.history.slice(said);
  must(more.length === 0, `nothing happens, and yet: ${more[0]}`);
  if (world.weather.loss === 0) world.checkRumorsEnd();
}

const [first, ...others] = Object.entries(troubles);
must(first !== undefined, "there are troubles");
const namedTroubles = [first, ...others] as const;
