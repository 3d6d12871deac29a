/**
 * What may happen to a cluster. Each trouble begins now and is over by itself after the time that it returns.
 * @module
 */
import type { NodeId } from "../gossip/types.ts";
import type { Process } from "./gossip-net.ts";
import type { GossipWorld } from "./gossip-world.ts";

/** Milliseconds until it is over; 0: it can't happen now. */
export type Trouble = (world: GossipWorld) => number;

/** All of them, by name. */
export const troubles: Readonly<Record<string, Trouble>> = {
  "cut in two": (world) => cut(world, "both ways"),
  "cut one way": (world) => cut(world, "one way"),
  "storm of losses": storm,
  "some stand still": someStandStill,
  "one killed": (world) => killSome(world, 1),
  "some killed": (world) => killSome(world, world.random.between(1, Math.max(1, world.net.living.length - 2))),
  "one restarts where it was": (world) => restart(world, 1, "same"),
  "one restarts elsewhere": (world) => restart(world, 1, "new"),
  "most restart elsewhere": (world) => restart(world, Math.ceil(world.net.living.length * 0.7), "new"),
  "all restart where they were": (world) => restart(world, world.net.living.length, "same"),
  "all restart elsewhere": (world) => restart(world, world.net.living.length, "new"),
  "one leaves": leaveOne,
  "one is new": (world) => {
    world.startNew();
    return 100;
  },
  "a name is taken twice": startTwin,
};

function cut(world: GossipWorld, ways: "both ways" | "one way"): number {
  const { random, net } = world;
  const side = new Set<NodeId>();
  for (const id of world.holders().keys()) if (random.chance(0.5)) side.add(id);
  const forMs = random.skewed(500, 120_000);
  net.isCut =
    ways === "both ways"
      ? (from, to) => side.has(from) !== side.has(to)
      : (from, to) => side.has(from) && !side.has(to);
  world.markRough(world.nowMs + forMs);
  net.timeline.after(forMs, () => {
    net.isCut = () => false;
  });
  return forMs;
}

function storm(world: GossipWorld): number {
  const { random, net } = world;
  const forMs = random.skewed(1_000, 60_000);
  const loss = random.between(10, 50) / 100;
  net.weather = { ...world.weather, loss, doubled: 0.1, delayMaxMs: random.pick([5, 100, 700]) };
  world.markRough(world.nowMs + forMs);
  net.timeline.after(forMs, () => {
    net.weather = world.weather;
  });
  return forMs;
}

function someStandStill(world: GossipWorld): number {
  const { random, net } = world;
  let longest = 0;
  for (const process of some(world, random.between(1, Math.ceil(net.living.length / 3)))) {
    const forMs = random.skewed(200, 60_000);
    world.standStill(process, forMs);
    longest = Math.max(longest, forMs);
  }
  return longest + 1;
}

function killSome(world: GossipWorld, count: number): number {
  if (world.net.living.length < count + 2) return 0;
  for (const process of some(world, count)) world.net.kill(process);
  return 1;
}

function restart(world: GossipWorld, count: number, where: "same" | "new"): number {
  const { random, net } = world;
  const withinMs = random.pick([100, 2_000, 20_000]);
  const awayMs = random.pick([10, 1_000, 40_000]);
  for (const process of some(world, count)) {
    net.timeline.after(random.between(0, withinMs), () => {
      if (process.state === "ended") return;
      net.kill(process);
      net.timeline.after(awayMs, () => world.start(process.id, where === "same" ? process.address : undefined));
    });
  }
  return withinMs + awayMs + 1;
}

function leaveOne(world: GossipWorld): number {
  if (world.net.living.length < 3) return 0;
  const [process] = some(world, 1);
  if (process?.state !== "runs") return 0;
  world.net.input(process, { kind: "leave", nowMs: world.nowMs });
  return world.net.settings.leaveMs + 1_000;
}

/** A second process of a name, for a while or until something else ends it. */
function startTwin(world: GossipWorld): number {
  const [process] = some(world, 1);
  if (!process || process.state === "ended") return 0;
  const forMs = world.random.pick([3_000, 400_000]);
  world.markUnwell(process.id, world.nowMs + forMs);
  const twin = world.start(process.id);
  world.net.timeline.after(forMs, () => {
    if (twin.state !== "ended") world.net.kill(twin);
    if (!world.net.living.some(({ id }) => id === process.id)) world.start(process.id);
  });
  return 3_001;
}

function some(world: GossipWorld, count: number): Process[] {
  const left = world.net.living;
  const chosen: Process[] = [];
  while (chosen.length < count && left.length > 0)
    chosen.push(...left.splice(world.random.between(0, left.length - 1), 1));
  return chosen;
}
