/** What several nodes tell of one cluster, put together. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  GetServersResponseSchema,
  LagReason,
  type Server,
  ServerHealth,
  ServerState,
} from "../wire/gen/tailrace/v1/cluster_pb.ts";
import { type Answer, assemble } from "./cluster-picture.ts";

type Init = MessageInitShape<typeof GetServersResponseSchema>;
const answer = (cluster: Init["cluster"], ...servers: NonNullable<Init["servers"]>): Answer =>
  create(GetServersResponseSchema, { ...(cluster && { cluster }), servers });
const find = (servers: readonly Server[], id: string): Server => {
  const found = servers.find((server) => server.id === id);
  assert.ok(found);
  return found;
};

describe("assemble()", () => {
  test("what a node leads and how it is, it knows best; whether it is up, the one that was asked first", () => {
    const first = answer(
      undefined,
      { id: "a", isSelf: true, state: ServerState.ALIVE, leads: 1n, leadsStreams: ["x"], holds: 3n },
      { id: "b", state: ServerState.DEAD, leads: 9n, leadsStreams: ["old"], holds: 9n, region: "fra" },
    );
    const second = answer(
      undefined,
      { id: "a", state: ServerState.ALIVE, leads: 5n },
      {
        ...{ id: "b", isSelf: true, state: ServerState.ALIVE, leads: 2n, leadsStreams: ["y", "z"], holds: 3n },
        ...{ health: ServerHealth.DEGRADED, healthReason: "no room" },
      },
    );
    const { servers, answered } = assemble([first, second], []);
    const told = servers.map(({ id, state, leads, leadsStreams, holds }) => ({
      id,
      state,
      leads,
      leadsStreams,
      holds,
    }));
    assert.deepEqual(told, [
      { id: "a", state: ServerState.ALIVE, leads: 1n, leadsStreams: ["x"], holds: 3n },
      { id: "b", state: ServerState.DEAD, leads: 2n, leadsStreams: ["y", "z"], holds: 3n },
    ]);
    const { region, health, healthReason } = find(servers, "b");
    assert.deepEqual(
      { region, health, healthReason },
      { region: "fra", health: ServerHealth.DEGRADED, healthReason: "no room" },
    );
    assert.deepEqual([...answered], ["a", "b"]);
  });

  test("of how far a node is behind, the worst that a leader tells; streams are added up", () => {
    const behind = (stream: string, ms: bigint, streams: bigint) => ({
      id: "c",
      lag: { stream, ms, streams, reason: LagReason.SLOW },
    });
    const { servers } = assemble(
      [
        answer(undefined, { id: "a", isSelf: true }, behind("x", 5n, 2n)),
        answer(undefined, { id: "b", isSelf: true }, behind("y", 70n, 1n)),
        answer(undefined, { id: "c", isSelf: true }),
      ],
      [],
    );
    const { stream, ms, streams } = find(servers, "c").lag ?? {};
    assert.deepEqual({ stream, ms, streams }, { stream: "y", ms: 70n, streams: 3n });
    assert.equal(find(servers, "a").lag, undefined);
  });

  test("a node that only another one knows is there too", () => {
    const { servers } = assemble([answer(undefined, { id: "b" }), answer(undefined, { id: "a" }, { id: "b" })], []);
    assert.deepEqual(
      servers.map(({ id }) => id),
      ["a", "b"],
    );
  });

  test("who knows the newest leader tells who votes", () => {
    const old = answer({ leader: "a", term: 3n, voters: ["a", "b"] }, { id: "a", isVoter: true, isLeader: true });
    const known = answer({ leader: "b", term: 4n, voters: ["b", "c"] }, { id: "b" });
    const unknown = answer({ leader: "", term: 4n, voters: ["a", "b"] }, { id: "c" });
    for (const answers of [
      [old, known, unknown],
      [unknown, old, known],
    ]) {
      const { cluster, servers } = assemble(answers, []);
      assert.deepEqual([cluster.leader, cluster.term, cluster.voters], ["b", 4n, ["b", "c"]]);
      assert.deepEqual(
        servers.map(({ isVoter, isLeader }) => [isVoter, isLeader]),
        [
          [false, false],
          [true, true],
          [true, false],
        ],
      );
    }
  });

  test("a stream has no leader if nobody says that it leads it", () => {
    const leaderless = (...names: string[]) => ({
      ...{ leader: "a", term: 1n, leaderless: BigInt(names.length) },
      leaderlessStreams: names.map((name) => ({ name, voters: ["a"] })),
    });
    const { cluster } = assemble(
      [
        answer(leaderless("x", "y", "_meta"), { id: "a", isSelf: true, leadsStreams: ["z"] }),
        answer(leaderless("x", "z"), { id: "b", isSelf: true, leadsStreams: ["y"] }),
      ],
      [],
    );
    assert.deepEqual([cluster.leaderless, cluster.leaderlessStreams.map(({ name }) => name)], [1n, ["x"]]);
  });

  test("with more streams without a leader than have names, their number is the one that was told", () => {
    const names = Array.from({ length: 1000 }, (_, at) => ({ name: `s${at}` }));
    const { cluster } = assemble([answer({ leaderless: 5000n, leaderlessStreams: names }, { id: "a" })], []);
    assert.equal(cluster.leaderless, 5000n);
  });
});
