/**
 * Gossip in virtual time, in clusters of 3 to 1,000 members: times, load, and whom it declares dead wrongly. The tables of
 * docs/gossip.md are what this prints.
 * @module
 */
import { type GossipSettings, gossipSettings } from "../src/gossip/settings.ts";
import { falsePositives, figuresOfSize } from "../src/sim/gossip-figures.ts";

const sizes = [
  { preset: "lan", members: 3, deaths: 100 },
  { preset: "lan", members: 10, deaths: 100 },
  { preset: "lan", members: 30, deaths: 60 },
  { preset: "lan", members: 100, deaths: 40 },
  { preset: "lan", members: 300, deaths: 20 },
  { preset: "lan", members: 1_000, deaths: 10 },
  { preset: "wan", members: 3, deaths: 40 },
  { preset: "wan", members: 30, deaths: 40 },
] as const;

/** Lifeguard, or what is left of it. */
interface Variant {
  readonly name: string;
  readonly without: Partial<GossipSettings>;
}

const whole: Variant = { name: "all of it", without: {} };

const parts: readonly Variant[] = [
  { name: "without local health", without: { healthMax: 0 } },
  { name: "suspicions always of the shortest length", without: { suspicionMaxMult: 1 } },
  { name: "suspects are not told", without: { tellsSuspects: false } },
  { name: "pauses are not noticed", without: { pauseMs: Number.POSITIVE_INFINITY } },
];

const swim: Variant = {
  name: "none of it: SWIM",
  without: { healthMax: 0, suspicionMaxMult: 1, tellsSuspects: false, pauseMs: Number.POSITIVE_INFINITY },
};

const losses = [0, 0.05, 0.15];
const forMs = 180_000;

/** Prints tables as Markdown. */
export function benchGossip(): void {
  console.log("gossip: nothing is lost; times in s of virtual time: mean (longest)\n");
  printRow("", "members", "all see all", "one suspects", "one declares dead", "all know", "a newcomer is seen by all");
  printRow("---", ...Array.from({ length: 6 }, () => "---:"));
  const figures = sizes.map((size) => ({ ...size, ...figuresOfSize({ ...size, seed: 1 }) }));
  for (const { preset, members, formedMs, deaths, joinsMs } of figures) {
    const times = [
      deaths.map(({ suspectedMs }) => suspectedMs),
      deaths.map(({ declaredMs }) => declaredMs),
      deaths.map(({ knownMs }) => knownMs),
      joinsMs,
    ];
    printRow(preset, members, seconds(formedMs), ...times.map(meanAndMax));
  }
  console.log("\ngossip: what a member sends when nothing happens\n");
  printRow("", "members", "messages/s", "bytes/s", "largest message, at any time");
  printRow("---", "---:", "---:", "---:", "---:");
  for (const { preset, members, messagesPerS, bytesPerS, largestBytes } of figures) {
    printRow(preset, members, messagesPerS.toFixed(2), bytesPerS.toFixed(0), largestBytes);
  }
  printFalsePositives(0, [whole, swim]);
  printFalsePositives(10, [whole, ...parts, swim]);
}

function printFalsePositives(paused: number, variants: readonly Variant[]): void {
  const who = paused === 0 ? "none stands still" : `${paused} of them stand still again and again`;
  console.log(`\ngossip: 100 members, ${who}; in ${forMs / 60_000} minutes, deaths of members that were well\n`);
  const heads = losses.map((loss) => `${100 * loss} % lost`);
  printRow("", ...heads, ...heads.map((head) => `a real death is declared, ${head}`));
  printRow("---", ...[...losses, ...losses].map(() => "---:"));
  for (const { name, without } of variants) {
    const settings = gossipSettings("lan", without);
    const found = losses.map((loss) => falsePositives({ members: 100, paused, loss, settings, forMs, seed: 1 }));
    printRow(name, ...found.map(({ deaths }) => deaths), ...found.map(({ declaredMs }) => meanAndMax(declaredMs)));
  }
}

function printRow(...cells: readonly (string | number)[]): void {
  console.log(`| ${cells.join(" | ")} |`);
}

function meanAndMax(times: readonly number[]): string {
  const mean = times.reduce((sum, ms) => sum + ms, 0) / times.length;
  return `${seconds(mean)} (${seconds(Math.max(...times))})`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
