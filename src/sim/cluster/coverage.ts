/**
 * What a whole set of runs must have met, or it shows nothing: each role change, message and rule, each fault, what clients
 * were told and what starts found.
 * @module
 */
import type { RaftEvent } from "../../raft/turn.ts";
import { messageNames } from "./network.ts";
import { faultKinds } from "./plan.ts";

/** Events that random runs need not meet, each with the script of `src/raft/testdata` that shows it, and why. */
const leftToScripts: Partial<Readonly<Record<RaftEvent, string>>> = {
  "refused a vote: below the floor":
    "rules/floor: who began anew is seldom asked by one that is behind it before it has caught up",
  "left its damage to a trim": "src/replica/raft-driver.test.ts: others would have to trim in the moment of the damage",
  "stopped: the leader forgot":
    "why/10-leads-on-in-its-term: only a broken disk or core leads there, and the run would fail",
  "stopped: nobody can tell who is wrong": "rules/damage-both-pass: only a broken core leads there",
  "stopped: two leaders of a term": "a core that keeps its votes never has them, and the run would fail",
  "stopped: a committed batch was to be cut": "a core that keeps its promises never wants it, and the run would fail",
};

/** Each event: whether it must be met. The compiler finds one that is left out. */
const events: Readonly<Record<RaftEvent, true>> = {
  "adopted a term": true,
  "asked for pre-votes": true,
  "stood for election": true,
  "granted a pre-vote": true,
  "refused a pre-vote: a leader is alive": true,
  "refused a pre-vote: the log is behind": true,
  "refused a pre-vote: the term is old": true,
  "granted a vote": true,
  "refused a vote: given to another": true,
  "refused a vote: the log is behind": true,
  "refused a vote: below the floor": true,
  "refused a vote: the term is old": true,
  "refused a vote: meant for another replica": true,
  "became leader": true,
  "became leader without a batch": true,
  "stepped down: higher term": true,
  "stepped down: no majority stands": true,
  "stepped down: a majority left": true,
  "stepped down: cannot write": true,
  "stepped down: damaged": true,
  follows: true,
  "fetched from another than the leader": true,
  "lost its leader": true,
  diverged: true,
  "cut its log": true,
  "told to restart": true,
  "restarted at a checkpoint": true,
  "a follower forgot what it had": true,
  committed: true,
  "answered a read": true,
  "refused a read": true,
  "handed over": true,
  "handing over failed": true,
  "stepped up": true,
  "changed voters": true,
  "refused a change of voters": true,
  "found a bad batch": true,
  "found its log damaged": true,
  "left its damage to a trim": true,
  repaired: true,
  "stopped: the leader forgot": true,
  "stopped: nobody can tell who is wrong": true,
  "stopped: two leaders of a term": true,
  "stopped: a committed batch was to be cut": true,
  "stopped: it is gone": true,
};

/** Messages that random runs need not meet, and why. */
const messagesLeft: readonly string[] = [
  // A batch is bad on its way, or a leader's copy is; disks that flip bits find that at their own reads.
  ...["message: bad batch", "message: disagree"],
];

/** So seldom that one half of the runs in `npm test` meets the one, and the other half the other: each test says which. */
export const seldom = {
  ...{ leader: "stepped down: damaged", voter: "a voter came back with another disk" },
  gone: "message: gone",
} as const;

/** What a set of runs must have met, each at least once. */
export const mustHappen: readonly string[] = [
  ...Object.keys(events).filter((event) => !(event in leftToScripts) && event !== seldom.leader),
  ...Object.values(messageNames).filter((name) => !messagesLeft.includes(name) && name !== seldom.gone),
  ...faultKinds.map((kind) => `fault: ${kind}`),
  ...["fault that meets a leader", "death in a start", "message of a session that is over"],
  ...["a disk failed", "a disk was lost", "an old disk was put back", "power cut", "power cut that lost sectors"],
  ...["what disks would keep was looked at", "what a later checkpoint says was rebuilt", "a bit was flipped"],
  // Members and groups.
  ...["a voter was added", "a voter was removed", "a replica was let go", "transfer refused"],
  ...["deleted a group", "removed a group", "moved a base"],
  // What clients were told.
  ...["ok", "duplicate", "offset", "closed"].map((answer) => `client: append ${answer}`),
  ...["linearizable", "local", "atLeast"].flatMap((read) => [
    `client: ${read} read answer`,
    `client: ${read} read not there`,
  ]),
  ...["client: linearizable read unknown", "client: atLeast read unknown"],
  // What starts found.
  ...["start: created", "start: clean", "start: recovered", "start: tail found in the journal"],
  "start: bytes above a mark kept",
];
