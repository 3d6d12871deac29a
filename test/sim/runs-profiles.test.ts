/** Random runs that are steered towards what the others meet seldom, some of each profile. */
import { describe } from "node:test";
import { type Profile, profileNamed } from "../../src/sim/log-profiles.ts";
import { randomRuns } from "./support/random-runs.ts";

const profiles: Record<Profile, { readonly seeds: number; readonly mustMeet: readonly string[] }> = {
  cuts: { seeds: 300, mustMeet: ["record replayed: cut into segments", "start: cut redone", "failed sync"] },
  ring: {
    seeds: 120,
    mustMeet: ["journal file used again", "start: went on in another journal file", "death at work"],
  },
  kept: { seeds: 500, mustMeet: ["start: bytes above a mark kept", "failed sync", "power cut that lost sectors"] },
  full: {
    seeds: 300,
    mustMeet: ["changed: cut", "write without room", "append after room came back", "start: cut redone"],
  },
};

describe("the log on the simulated disk", () => {
  for (const [name, { seeds, mustMeet }] of Object.entries(profiles)) {
    const profile = profileNamed(name);
    randomRuns({ from: 1, seeds, profile, mustMeet });
  }
});
