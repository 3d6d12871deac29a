import { changeRules } from "./changes.ts";
import { costRules } from "./costs.ts";
import { cutRules } from "./cuts.ts";
import { followerRules } from "./follower.ts";
import { ringRules } from "./ring.ts";
import { roomRules } from "./room.ts";
import type { Rule } from "./rule.ts";
import { segmentRules } from "./segments.ts";

/** All of them. */
export const rules: readonly Rule[] = [
  ...cutRules,
  ...ringRules,
  ...segmentRules,
  ...changeRules,
  ...costRules,
  ...roomRules,
  ...followerRules,
];
