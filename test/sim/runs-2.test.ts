/** The second half of the random runs. */
import { randomRuns } from "./support/random-runs.ts";

randomRuns({ from: 10_001, seeds: 10_000 });
