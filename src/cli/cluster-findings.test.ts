/** What is said of a cluster, by what its nodes tell. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  ClusterSchema,
  LagReason,
  LagSchema,
  type Server,
  ServerHealth,
  ServerRole,
  ServerSchema,
  ServerState,
} from "../wire/gen/tailrace/v1/cluster_pb.ts";
import { fromMicros } from "../wire/timestamp.ts";
import { findingsOf } from "./cluster-findings.ts";
import type { Picture, Unreached } from "./cluster-picture.ts";

const nowMs = 1_000_000_000;
const ago = (seconds: number) => fromMicros((nowMs - seconds * 1000) * 1000);
type ServerInit = Partial<Omit<Server, "$typeName" | "$unknown">>;

interface Case {
  readonly name: string;
  readonly voters?: readonly string[];
  readonly cluster?: MessageInitShape<typeof ClusterSchema>;
  /** What of nodes is not as usual, by id; another id: one node more. */
  readonly nodes?: { readonly [id: string]: ServerInit };
  readonly answered?: readonly string[];
  readonly unreached?: readonly Unreached[];
  readonly said: readonly string[];
}

const dead = (seconds: number): ServerInit => ({ state: ServerState.DEAD, stateSince: ago(seconds) });
const lag = (reason: LagReason, ms: number, batches: number, streams = 1): ServerInit => ({
  lag: create(LagSchema, {
    ...{ stream: "orders", batches: BigInt(batches), ms: BigInt(ms), reason, streams: BigInt(streams) },
  }),
});

const cases: readonly Case[] = [
  { name: "all is well", said: [] },
  { name: "who is asked does not know the leader, but follows", cluster: { leader: "" }, said: [] },
  { name: "a lone node", voters: ["a"], said: [] },
  {
    name: "a majority is missing",
    nodes: { b: dead(700), c: { state: ServerState.UNSPECIFIED } },
    cluster: { leader: "" },
    said: [
      "problem: There is no quorum: of 3 voters 2 must be up, and 1 is. Missing: b (dead for 11 min), c (not heard of) | " +
        "Start them again with their data folders; if a majority of the disks is lost for good, see docs/cluster.md",
      "warning: Voter b is dead for 11 min | " +
        'Start it again; if it is gone for good, run "tailrace cluster remove b", and add another',
      "warning: Voter c is not heard of | Start it again, with its data folder or with an empty one",
    ],
  },
  {
    name: "a voter of whom nobody tells is missing too",
    voters: ["a", "x", "y"],
    said: [
      "problem: There is no quorum: of 3 voters 2 must be up, and 1 is. Missing: x (not heard of), y (not heard of) | " +
        "Start them again with their data folders; if a majority of the disks is lost for good, see docs/cluster.md",
    ],
  },
  {
    name: "no leader, though they are up",
    cluster: { leader: "", leaderless: 1n, leaderlessStreams: [{ name: "_meta", voters: ["a", "b", "c"] }] },
    said: [
      "problem: The cluster has no leader, though 3 of 3 voters are up | " +
        "Look again in some seconds; if it stays so, they do not reach each other",
    ],
  },
  {
    name: "streams without a leader, whose voters are down",
    nodes: { c: dead(5) },
    cluster: { leaderless: 2n, leaderlessStreams: ["s1", "s2"].map((name) => ({ name, voters: ["c"] })) },
    said: [
      "problem: 2 streams have no leader, so that nothing is appended: s1, s2 | Start c again: it votes there",
      "warning: Voter c is dead for 5.0 s | Start it again, with its data folder or with an empty one",
    ],
  },
  {
    name: "many streams without a leader",
    cluster: {
      leaderless: 1234n,
      leaderlessStreams: Array.from({ length: 7 }, (_, at) => ({ name: `s${at}`, voters: ["a", "b", "c"] })),
    },
    said: [
      "problem: 1,234 streams have no leader, so that nothing is appended: s0, s1, s2, s3, s4 and 2 more | " +
        "Look again in some seconds; if it stays so, their nodes do not reach each other",
    ],
  },
  {
    name: "a node that can't do all comes before one that is dead",
    nodes: { a: dead(20), b: { health: ServerHealth.DEGRADED, healthReason: "no room" } },
    said: [
      "problem: Node b can't do all: no room | See to that node",
      "warning: Voter a is dead for 20 s | Start it again, with its data folder or with an empty one",
    ],
  },
  {
    name: "a node that stops",
    nodes: { c: { health: ServerHealth.STOPPING, healthReason: "it was told to" } },
    said: ["warning: Node c stops: it was told to | "],
  },
  { name: "an observer may be dead", nodes: { o: { ...dead(10), role: ServerRole.OBSERVER } }, said: [] },
  {
    name: "others do not hear one that answers",
    nodes: { c: { ...dead(10), peerAddress: "10.0.0.3:8401" } },
    answered: ["c"],
    said: [
      "warning: Node c answers from here, but other nodes do not hear it | " +
        "Let nodes reach each other at their peer ports: 10.0.0.3:8401",
    ],
  },
  { name: "a little behind is nothing", nodes: { b: lag(LagReason.UNSPECIFIED, 9999, 999) }, said: [] },
  {
    name: "behind for long",
    nodes: { b: lag(LagReason.UNSPECIFIED, 10_000, 1) },
    said: ["warning: Node b is 1 batch, 10 s behind in orders: it is catching up | Look again in a while"],
  },
  {
    name: "far behind, and slow",
    nodes: { b: lag(LagReason.SLOW, 100, 12_000, 4) },
    said: [
      "warning: Node b is 12,000 batches, 0.1 s behind in orders, and in 3 other streams less far: its disk, or the network " +
        "there, takes less than what is appended | Look at that node's disk and network",
    ],
  },
  {
    name: "does not follow, though it is up; nobody knows how far it is behind",
    nodes: { b: { lag: create(LagSchema, { stream: "orders", reason: LagReason.NOT_FOLLOWING, streams: 1n }) } },
    said: [
      "warning: Node b is behind in orders: it does not follow the leader | " +
        "Look at its log; it and the leader must reach each other at their peer ports",
    ],
  },
  {
    name: "of a node that is down it is not said that it is behind",
    nodes: { b: { ...dead(10), ...lag(LagReason.NOT_FOLLOWING, 99_000, 99_000) } },
    said: ["warning: Voter b is dead for 10 s | Start it again, with its data folder or with an empty one"],
  },
  {
    name: "two voters",
    voters: ["a", "b"],
    said: ['warning: There are two voters: while either is down nothing is appended | Run "tailrace cluster add c"'],
  },
  {
    name: "four voters",
    voters: ["a", "b", "c", "d"],
    nodes: { d: {} },
    said: [
      "warning: There are 4 voters: no more of them may be down than of 3 | " +
        'Start another node, with --seeds that name these, or "tailrace cluster remove" one that is not needed',
    ],
  },
  {
    name: "fewer voters than are wanted",
    voters: ["a", "b", "c"],
    cluster: { votersWanted: 5 },
    nodes: { d: {}, o: { role: ServerRole.OBSERVER } },
    said: [
      "warning: 3 of 5 voters that are wanted are there, and d is none | " +
        'Wait until it has caught up; if it was removed, run "tailrace cluster add d"',
    ],
  },
  {
    name: "a voter without streams",
    nodes: { c: { holds: 0n } },
    said: [
      "warning: Node c holds no stream, though there are 9 | " +
        "Look again in some seconds: streams are moved there by themselves",
    ],
  },
  {
    name: "a voter without streams, where there are few",
    nodes: { c: { holds: 0n } },
    cluster: { streams: 2n },
    said: [],
  },
  {
    name: "a node that is up can't be asked",
    unreached: [{ id: "b", url: "http://10.0.0.2:8400", why: "timed out" }],
    said: [
      "warning: Node b is up, but can't be asked at http://10.0.0.2:8400: timed out | " +
        "Give it an --advertise-api that can be reached from here. What it leads is not looked at",
    ],
  },
  {
    name: "a node that starts can't be asked, and others know why",
    nodes: { b: { health: ServerHealth.DEGRADED, healthReason: "it is not ready: 3 of 9 streams are read" } },
    unreached: [{ id: "b", url: "http://10.0.0.2:8400", why: "the node starts" }],
    said: ["problem: Node b can't do all: it is not ready: 3 of 9 streams are read | See to that node"],
  },
  {
    name: "versions differ",
    nodes: { b: { version: "2.0.0" } },
    said: ["warning: Nodes run versions 1.0.0 and 2.0.0 | Bring all to the newer one"],
  },
];

describe("findingsOf()", () => {
  for (const { name, said, ...made } of cases) {
    test(name, () =>
      assert.deepEqual(
        findingsOf(pictureOf(made), nowMs).map(({ severity, what, todo }) => `${severity}: ${what} | ${todo}`),
        said,
      ),
    );
  }
});

function pictureOf({
  voters = ["a", "b", "c"],
  cluster,
  nodes = {},
  answered = [],
  unreached = [],
}: Partial<Case>): Picture {
  const ids = [...new Set(["a", "b", "c", ...Object.keys(nodes)])].filter((id) => voters.length > 1 || id === "a");
  const usual = { role: ServerRole.VOTER, state: ServerState.ALIVE, version: "1.0.0", holds: 9n };
  const servers = ids.map((id) => create(ServerSchema, { ...usual, id, isVoter: voters.includes(id), ...nodes[id] }));
  const votersWanted = Math.min(voters.length, 3);
  const common = { leader: "a", term: 4n, voters: [...voters], votersWanted, streams: 9n };
  return { cluster: create(ClusterSchema, { ...common, ...cluster }), servers, answered: new Set(answered), unreached };
}
