/** The first half of the random runs: two files, so that two of them run at once. */
import { randomRuns } from "./support/random-runs.ts";

randomRuns({ from: 1, seeds: 10_000 });
