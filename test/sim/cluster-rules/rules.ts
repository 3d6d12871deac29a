import { countingRules } from "./counting.ts";
import { electionRules } from "./elections.ts";
import { followingRules } from "./following.ts";
import type { ClusterRule } from "./rule.ts";
import { sessionRules } from "./sessions.ts";

/** All of them. */
export const rules: readonly ClusterRule[] = [...countingRules, ...electionRules, ...sessionRules, ...followingRules];
