/**
 * What happens in replication that a person should know of, as lines of the log. Elections and commits of thousands of groups
 * are none of that: metrics count them.
 * @module
 */
import type { Logger } from "pino";
import type { Effect, RaftEvent } from "../raft/turn.ts";

interface Told {
  readonly level: "info" | "warn" | "error";
  readonly what: string;
}

const told: Partial<Record<RaftEvent, Told>> = {
  "found its log damaged": { level: "error", what: "is damaged here: it is mended from another node" },
  repaired: { level: "info", what: "is mended: it is whole again" },
  "left its damage to a trim": {
    level: "info",
    what: "stays damaged here in a part that the others have trimmed: it goes with that trim here, too",
  },
  "restarted at a checkpoint": {
    level: "info",
    what: "begins anew at a checkpoint of its leader: it was too far behind",
  },
  "a follower forgot what it had": {
    level: "error",
    what: "is followed by a replica that forgot what it had: it counts no more",
  },
  "stepped down: cannot write": { level: "warn", what: "is led here no more: the disk takes nothing" },
  "stopped: the leader forgot": {
    level: "error",
    what: "is stopped here: this leader lacks what a follower has of its term",
  },
  "stopped: nobody can tell who is wrong": {
    level: "error",
    what: "is stopped here: two replicas hold different data at one place, and both are whole. Nothing is deleted; please report it",
  },
  "stopped: two leaders of a term": {
    level: "error",
    what: "is stopped here: two replicas led one term; please report it",
  },
  "stopped: a committed batch was to be cut": {
    level: "error",
    what: "is stopped here: what is committed was to be cut off; please report it",
  },
};

/** Logs what is to be told of a step's effects. */
export function tellEvents(effects: readonly Effect[], logger: Logger): void {
  for (const effect of effects) {
    if (effect.kind !== "event") continue;
    const line = told[effect.event];
    if (!line) continue;
    const { group: streamId, term } = effect;
    logger[line.level]({ streamId, term }, `The log of the stream with id ${streamId} ${line.what}`);
  }
}
