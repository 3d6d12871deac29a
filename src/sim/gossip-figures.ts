/**
 * Figures of gossip in virtual time: how fast a cluster learns, what it costs, and whom it declares dead wrongly.
 * @module
 */
import { type GossipSettings, gossipSettings, type presets } from "../gossip/settings.ts";
import { GossipNet, type NetWeather, type Process } from "./gossip-net.ts";
import { must } from "./must.ts";
import { SimRandom } from "./random.ts";
import { Timeline } from "./timeline.ts";

/** What a cluster of one size does. Times in milliseconds. */
export interface SizeFigures {
  readonly members: number;
  /** From the start of the last one until all see all. */
  readonly formedMs: number;
  /** Sent by one member in a second, when nothing happens. */
  readonly messagesPerS: number;
  readonly bytesPerS: number;
  /** The largest message that was sent. */
  readonly largestBytes: number;
  /** For each member that was killed: until one suspects it, until one declares it dead, until all know. */
  readonly deaths: readonly { readonly suspectedMs: number; readonly declaredMs: number; readonly knownMs: number }[];
  /** For each that started: until all see it. */
  readonly joinsMs: readonly number[];
}

/** Whom a cluster wrongs. */
export interface FalsePositives {
  /** How often a member that was well was declared dead; until it refutes it that counts once. */
  readonly deaths: number;
  /** Of members that were killed afterwards, one after the other: how long it took until one declared it dead. */
  readonly declaredMs: readonly number[];
}

/** What networks do that the presets are made for. */
const weathers = {
  lan: { loss: 0, doubled: 0, delayMinMs: 0.2, delayMaxMs: 2 },
  wan: { loss: 0, doubled: 0, delayMinMs: 10, delayMaxMs: 150 },
} as const satisfies Record<keyof typeof presets, NetWeather>;

const lookEveryMs = 10;

/** How many real deaths follow where false ones were counted. */
const killedAfter = 5;

/** Forms a cluster on a network that loses nothing, lets it rest, kills members one after the other, and starts others. */
export function figuresOfSize(of: {
  members: number;
  deaths: number;
  preset: keyof typeof presets;
  seed: number;
}): SizeFigures {
  const { members, deaths, preset, seed } = of;
  const net = new GossipNet({ ...newWorld(seed), settings: gossipSettings(preset), weather: weathers[preset] });
  for (let i = 0; i < members; i++) {
    net.start(`n${i}`, `address-${i}:8401`, seedsOf(net));
    net.run(20);
  }
  const formedMs = waitFor(net, () => net.living.every(({ gossip }) => gossip.view.size === members - 1), 200);
  net.run(60_000);
  const before = sentBy(net.living);
  const restMs = 60_000;
  net.run(restMs);
  const after = sentBy(net.living);
  const perS = 1000 / restMs / members;
  const report = {
    ...{ members, formedMs },
    messagesPerS: (after.messages - before.messages) * perS,
    bytesPerS: (after.bytes - before.bytes) * perS,
  };
  const times: SizeFigures["deaths"][number][] = [];
  const joinsMs: number[] = [];
  for (let i = 0; i < deaths; i++) {
    times.push(killOne(net));
    joinsMs.push(startOne(net, `more-${i}`));
    net.run(10_000);
  }
  return { ...report, largestBytes: net.largestBytes, deaths: times, joinsMs };
}

/**
 * Lets some members stand still again and again, for 1 to 16 s with moments between, as in Lifeguard's experiments, on a
 * network that loses a part of all messages; then kills some that were well.
 */
export function falsePositives(of: {
  members: number;
  paused: number;
  loss: number;
  settings: GossipSettings;
  forMs: number;
  seed: number;
}): FalsePositives {
  const { members, paused, loss, settings, forMs, seed } = of;
  const random = SimRandom.of(seed, 1);
  const declared = new Set<string>();
  const net = new GossipNet({
    ...newWorld(seed),
    ...{ settings, weather: weathers.lan },
    onEvent: (_, { kind, member }) => {
      const subject = net.living.find(({ gossip }) => gossip.self.instance === member.instance);
      if (kind !== "fail" || !subject || sick.has(subject)) return;
      declared.add(`${member.id} ${subject.gossip.incarnation}`);
    },
  });
  for (let i = 0; i < members; i++) {
    net.start(`n${i}`, `address-${i}:8401`, seedsOf(net));
    net.run(20);
  }
  waitFor(net, () => net.living.every(({ gossip }) => gossip.view.size === members - 1), 200);
  net.weather = { ...weathers.lan, loss };
  const sick = new Set<Process>(net.living.slice(0, paused));
  for (const process of sick) standStillAgain(net, process, random);
  declared.clear();
  net.run(forMs);
  const deaths = declared.size;
  return { deaths, declaredMs: Array.from({ length: killedAfter }, () => killOne(net).declaredMs) };
}

function newWorld(seed: number): { timeline: Timeline; random: SimRandom } {
  return { timeline: new Timeline(), random: SimRandom.of(seed) };
}

function seedsOf(net: GossipNet): string[] {
  return net.living.slice(0, 3).map(({ address }) => address);
}

function standStillAgain(net: GossipNet, process: Process, random: SimRandom): void {
  const forMs = random.between(1_000, 16_000);
  net.standStill(process, forMs);
  net.timeline.after(forMs + random.between(10, 1_000), () => standStillAgain(net, process, random));
}

/** Kills the last one started that runs. */
function killOne(net: GossipNet): SizeFigures["deaths"][number] {
  const victim = net.living.findLast(({ state }) => state === "runs");
  must(victim !== undefined, "there is somebody to kill");
  const { id } = victim;
  const sinceMs = net.timeline.nowMs;
  net.kill(victim);
  const others = net.living;
  const isSuspected = () => others.some(({ gossip }) => gossip.view.suspects.has(id) || gossip.view.tombstones.has(id));
  waitFor(net, isSuspected, lookEveryMs);
  const suspectedMs = net.timeline.nowMs - sinceMs;
  waitFor(net, () => others.some(({ gossip }) => gossip.view.tombstones.has(id)), lookEveryMs);
  const declaredMs = net.timeline.nowMs - sinceMs;
  const running = () => others.filter(({ state }) => state === "runs");
  waitFor(net, () => running().every(({ gossip }) => !gossip.view.members.has(id)), lookEveryMs);
  return { suspectedMs, declaredMs, knownMs: net.timeline.nowMs - sinceMs };
}

function startOne(net: GossipNet, id: string): number {
  net.start(id, `address-${id}:8401`, seedsOf(net));
  return waitFor(
    net,
    () => net.living.every((other) => other.id === id || other.gossip.view.members.has(id)),
    lookEveryMs,
  );
}

function sentBy(processes: readonly Process[]): { messages: number; bytes: number } {
  const sum = { messages: 0, bytes: 0 };
  for (const { sent } of processes) {
    sum.messages += sent.messages;
    sum.bytes += sent.bytes;
  }
  return sum;
}

/** Lets time pass until it is so. How long it took. */
function waitFor(net: GossipNet, isSo: () => boolean, everyMs: number): number {
  const sinceMs = net.timeline.nowMs;
  while (!isSo()) {
    must(net.timeline.nowMs - sinceMs < 600_000, "it is so within ten minutes");
    net.run(everyMs);
  }
  return net.timeline.nowMs - sinceMs;
}
