/** The second half of the random runs. */
import { describe } from "node:test";
import { randomRuns } from "./support/random-runs.ts";

describe("the log on the simulated disk", () => randomRuns({ from: 10_001, seeds: 10_000 }));
