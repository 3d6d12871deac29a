/**
 * The scripts in testdata/: what comes in to one member `a`, above `----`, and all that goes out, below it.
 * `REWRITE=1 npx bun test ./src/gossip/scripts.test.ts` writes what is below anew; read that diff.
 *
 *     TIME <- PROCESS MESSAGE       a message comes in (testdata/notation.ts says how both are written)
 *     TIME tick                     time passes: whatever is due until then happens at its moment
 *     TIME seeds ADDRESS...         names resolve to these
 *     TIME change ADDRESS VERSION   what `a` says of itself changes
 *     TIME asleep                   until now nothing happened, whatever was due: the process stood still
 *     TIME leave
 *     TIME know PROCESS...          gossip of these being alive, of which nothing is shown
 *     TIME show                     the view, and what `a` is itself
 *
 * Syncs and contacts with the lost come by themselves only where a script's first line sets their intervals.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { SimRandom } from "../sim/random.ts";
import { type GossipSettings, gossipSettings } from "./settings.ts";
import { createGossip, type Gossip } from "./state.ts";
import { step, wakeAtMs } from "./step.ts";
import { effectText, infoText, instanceOf, readMessage } from "./testdata/notation.ts";
import type { Effect, Input } from "./types.ts";

const folder = new URL("testdata/", import.meta.url);
const rewrites = process.env["REWRITE"] === "1";

for (const file of fs
  .readdirSync(folder)
  .filter((name) => name.endsWith(".txt"))
  .sort()) {
  describe(file, () => {
    const cases = fs.readFileSync(new URL(file, folder), "utf8").split(/^(?=== )/m);
    const written = cases.map((text) => {
      const [above = "", expected = ""] = text.split(/^----\n/m);
      const run = () => `${new Script(above).run().join("\n")}\n`;
      test(above.slice(3, above.indexOf("\n")), () => assert.equal(run().trimEnd(), expected.trimEnd()));
      return rewrites ? `${above}----\n${run()}` : "";
    });
    if (rewrites) fs.writeFileSync(new URL(file, folder), written.join("\n"));
  });
}

/** One script, as it runs. */
class Script {
  readonly #lines: string[];
  readonly #g: Gossip;
  readonly #said: string[] = [];

  constructor(text: string) {
    this.#lines = text.split("\n").filter((line) => /^\d/.test(line));
    // Nothing random in what it is: so the scripts can name its process and its sequence numbers.
    let random = () => 0;
    const g = createGossip({
      settings: gossipSettings("lan", { syncIntervalMs: 1e9, contactIntervalMs: 1e9, ...settingsOf(text) }),
      cluster: "c",
      id: "a",
      peerAddress: "a",
      tags: { apiAddress: "a-api", region: "r", role: "voter", version: "1" },
      random: () => random(),
      nowMs: 0,
    });
    const chance = new SimRandom(1);
    random = () => chance.fraction();
    g.self = { ...g.self, instance: instanceOf("a", "1") };
    g.nextSyncMs = g.settings.syncIntervalMs;
    g.nextContactMs = g.settings.contactIntervalMs;
    this.#g = g;
  }

  run(): string[] {
    for (const line of this.#lines) this.#do(line);
    return this.#said;
  }

  #do(line: string): void {
    const [time = "", what, ...words] = line.trim().split(/ +/);
    const nowMs = Number(time);
    if (what !== "asleep") this.#tickUntil(nowMs);
    switch (what) {
      case "<-": {
        const [from = "", ...message] = words;
        const digest = this.#g.view.digestWith(this.#g.self, this.#g.incarnation);
        this.#input({ kind: "message", nowMs, message: readMessage(from, message.join(" "), digest) });
        break;
      }
      case "know": {
        const rumors = words.map((process) => `alive ${process}`).join(", ");
        step(this.#g, {
          kind: "message",
          nowMs,
          message: readMessage("z:0", `gossip | ${rumors}`, { high: 0, low: 0 }),
        });
        while (this.#g.broadcasts.dropMostSent() !== undefined);
        break;
      }
      case "asleep":
      case "tick":
        this.#input({ kind: "tick", nowMs });
        break;
      case "leave":
        this.#input({ kind: "leave", nowMs });
        break;
      case "seeds":
        this.#input({ kind: "seeds", nowMs, addresses: words });
        break;
      case "change": {
        const [peerAddress = "", version = ""] = words;
        this.#input({ kind: "change", nowMs, peerAddress, tags: { ...this.#g.self, version } });
        break;
      }
      case "show":
        this.#said.push(...showText(this.#g).map((text) => `${time} ${text}`));
        break;
      default:
        throw new RangeError(`"${line}" says nothing`);
    }
  }

  #tickUntil(untilMs: number): void {
    for (let dueMs = wakeAtMs(this.#g); dueMs < untilMs; dueMs = wakeAtMs(this.#g)) {
      this.#input({ kind: "tick", nowMs: Math.max(dueMs, this.#g.nowMs) });
    }
  }

  #input(input: Input): void {
    const effects: Effect[] = step(this.#g, input);
    this.#said.push(...effects.map((effect) => `${Math.round(input.nowMs)} ${effectText(effect)}`));
  }
}

function settingsOf(text: string): Partial<GossipSettings> {
  const given = [...(/^with (.*)$/m.exec(text)?.[1] ?? "").matchAll(/(\w+)=(\S+)/g)];
  return Object.fromEntries(given.map(([, name, value]) => [name, value === "off" ? false : Number(value)]));
}

function showText(g: Gossip): string[] {
  const members = [...g.view.members.values()].map(({ info, incarnation, standing }) => {
    const by =
      standing.kind === "suspect" ? ` by ${[...standing.by].join("+")} until ${Math.round(standing.deadlineMs)}` : "";
    return `${infoText(info)} ${standing.kind} ${incarnation}${by}`;
  });
  const gone = [...g.view.tombstones.values()].map(
    ({ info, incarnation, how }) => `${infoText(info)} ${how} ${incarnation}`,
  );
  const counted = Object.entries(g.counters).filter(([, count]) => count > 0);
  const counters = counted.map(([name, count]) => ` ${name}=${count}`).join("");
  return [`self ${g.standing.kind} ${g.incarnation} health=${g.health}${counters}`, ...members, ...gone];
}
