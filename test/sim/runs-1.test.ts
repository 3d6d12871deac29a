/** The first half of the random runs: two files, so that two of them run at once. */
import { describe } from "node:test";
import { randomRuns } from "./support/random-runs.ts";

describe("the log on the simulated disk", () => randomRuns({ from: 1, seeds: 10_000 }));
