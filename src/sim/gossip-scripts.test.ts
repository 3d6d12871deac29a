/**
 * Scripts of whole clusters, in gossip/testdata/clusters/: what happens, above `----`, and what is seen of it, below.
 * `REWRITE=1 npx bun test ./src/sim/gossip-scripts.test.ts` writes what is below anew; read that diff.
 *
 *     cluster COUNT loss=PART       starts n1 to nCOUNT; every number of a script comes from one seed
 *     agree SECONDS                 all must come to one view within this
 *     restart ID...|all within=S away=S [elsewhere]    each is killed within so many seconds and starts again
 *     kill ID [first]               all of its processes, or the first
 *     start ID, twin ID             at a new address
 *     cut ID... / heal              these from all others
 *     still ID SECONDS              it stands still
 *     leave ID
 *     unseed                        from now on names resolve to nothing
 *     wait SECONDS
 *     said ID                       what was said of it since it was last asked for, by how many
 *     old ID                        whether anything was sent to addresses that it had before, within 20 s
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { gossipSettings } from "../gossip/settings.ts";
import { GossipWorld } from "./gossip-world.ts";
import { SimRandom } from "./random.ts";
import { Timeline } from "./timeline.ts";

const folder = new URL("../gossip/testdata/clusters/", import.meta.url);
const rewrites = process.env["REWRITE"] === "1";

for (const file of fs.readdirSync(folder).sort()) {
  describe(file, () => {
    const cases = fs.readFileSync(new URL(file, folder), "utf8").split(/^(?=== )/m);
    const written = cases.map((text) => {
      const [above = "", expected = ""] = text.split(/^----\n/m);
      const run = () => `${runScript(above).join("\n")}\n`;
      test(above.slice(3, above.indexOf("\n")), { timeout: 30_000 }, () => {
        assert.equal(run().trimEnd(), expected.trimEnd());
      });
      return rewrites ? `${above}----\n${run()}` : "";
    });
    if (rewrites) fs.writeFileSync(new URL(file, folder), written.join("\n"));
  });
}

function runScript(text: string): string[] {
  const lines = text
    .split("\n")
    .slice(1)
    .filter((line) => line !== "" && !line.startsWith("#"));
  const loss = Number(/loss=(\S+)/.exec(text)?.[1] ?? 0);
  const world = new GossipWorld({
    timeline: new Timeline(),
    random: SimRandom.of(1),
    settings: gossipSettings("lan"),
    weather: { loss, doubled: 0, delayMinMs: 0.2, delayMaxMs: 5 },
  });
  // Scripts do to single members what they will: it is for them to say what follows.
  world.markRough(Number.POSITIVE_INFINITY);
  return lines.flatMap((line) => doLine(world, line));
}

function doLine(world: GossipWorld, line: string): string[] {
  const { net } = world;
  const [what, ...words] = line.split(" ");
  const value = (name: string) =>
    1000 * Number(words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1));
  const named = () => net.living.filter(({ id }) => words.includes(id) || words.includes("all"));
  switch (what) {
    case "cluster":
      for (let count = Number(words[0]); count > 0; count--) world.startNew();
      return [];
    case "agree":
      return [agree(world, Number(words[0]) * 1000)];
    case "restart": {
      const elsewhere = words.includes("elsewhere");
      for (const { id, address } of named())
        restart(world, id, { ...withinOf(value), to: elsewhere ? undefined : address });
      net.run(value("within") + value("away") + 1);
      return [];
    }
    case "kill":
      for (const process of named().slice(0, words.includes("first") ? 1 : undefined)) net.kill(process);
      return [];
    case "start":
    case "twin":
      for (const id of words) world.start(id);
      return [];
    case "unseed":
      world.forgetSeeds();
      return [];
    case "cut":
      net.isCut = (from, to) => words.includes(from) !== words.includes(to);
      return [];
    case "heal":
      net.isCut = () => false;
      return [];
    case "still":
      for (const process of named()) net.standStill(process, Number(words.at(-1)) * 1000);
      return [];
    case "leave":
      for (const process of named()) net.input(process, { kind: "leave", nowMs: world.nowMs });
      return [];
    case "wait":
      net.run(Number(words[0]) * 1000);
      return [];
    case "said": {
      const said = words.map((id) => `of ${id}: ${saidOf(world, id)}`);
      world.history.length = 0;
      return said;
    }
    case "old":
      return words.map((id) => `${oldAddressesUsed(world, id)} messages to where ${id} was`);
    default:
      throw new RangeError(`"${line}" says nothing`);
  }
}

function withinOf(value: (name: string) => number): { withinMs: number; awayMs: number } {
  return { withinMs: value("within"), awayMs: value("away") };
}

function restart(
  world: GossipWorld,
  id: string,
  of: { withinMs: number; awayMs: number; to: string | undefined },
): void {
  world.net.timeline.after(world.random.between(0, of.withinMs), () => {
    for (const process of world.net.living.filter((process) => process.id === id)) world.net.kill(process);
    world.net.timeline.after(of.awayMs, () => world.start(id, of.to));
  });
}

function agree(world: GossipWorld, withinMs: number): string {
  const untilMs = world.nowMs + withinMs;
  while (world.disagreement() !== undefined && world.nowMs < untilMs) world.net.run(200);
  return world.disagreement() ?? `all ${world.net.living.length} agree`;
}

function saidOf(world: GossipWorld, id: string): string {
  const counts = new Map<string, number>();
  for (const line of world.history) {
    const [, , kind = "", about] = line.split(" ");
    if (about === id) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].map(([kind, count]) => `${kind} by ${count}`).join(", ") || "nothing";
}

function oldAddressesUsed(world: GossipWorld, id: string): number {
  const { net } = world;
  const current = new Set(net.living.map(({ address }) => address));
  const old = net.processes.filter((process) => process.id === id && !current.has(process.address));
  net.run(12_000);
  net.toNobody.clear();
  net.run(20_000);
  return old.reduce((sum, { address }) => sum + (net.toNobody.get(address) ?? 0), 0);
}
