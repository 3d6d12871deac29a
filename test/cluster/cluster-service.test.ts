/**
 * `tailrace cluster` and ClusterService on whole nodes, in one process, with real ports and disks.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { describe, test } from "node:test";
import { pino } from "pino";
import { present } from "../../src/base/assert.ts";
import { type Connection, connectTo } from "../../src/cli/connection.ts";
import { createNode, type TailraceNode } from "../../src/node.ts";
import type { GetServersResponse, Server } from "../../src/wire/gen/tailrace/v1/cluster_pb.ts";
import { ServerHealth, ServerRole, ServerState } from "../../src/wire/gen/tailrace/v1/cluster_pb.ts";
import { runCli } from "../support/cli.ts";
import { until } from "../support/until.ts";

const timeout = 120_000;
const founders = ["n1", "n2", "n3"];
const streams = Array.from({ length: 9 }, (_, at) => `s${at}`);

describe("a cluster of three nodes, an observer, and one more", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-service-"));
  const nodes = new Map<string, TailraceNode>();
  const connections = new Map<string, Connection>();
  let seeds: readonly string[] = [];

  async function start(
    id: string,
    more: { bootstrapExpect?: number; role?: "observer"; peerPort?: number },
  ): Promise<void> {
    const { bootstrapExpect, role = "voter", peerPort = 0 } = more;
    const node = await createNode({
      ...{ dataFolder: path.join(folder, id), nodeId: id, logger: pino({ level: "silent" }), shutdownGraceMs: 5000 },
      listen: { host: "127.0.0.1", port: 0 },
      cluster: {
        ...{ peerListen: { host: "127.0.0.1", port: peerPort }, seeds, region: "here", role, votersWanted: 3 },
        ...(bootstrapExpect === undefined ? {} : { bootstrapExpect }),
      },
    });
    nodes.set(id, node);
    connections.set(id, connectTo(node.url));
  }

  const client = (id: string) => present(connections.get(id), `there is ${id}`).client;
  const told = (id: string): Promise<GetServersResponse> => client(id).cluster.getServers({ namesMax: 100 });
  const row = ({ servers }: Pick<GetServersResponse, "servers">, id: string): Server | undefined =>
    servers.find((found) => found.id === id);
  const url = (id: string) => present(nodes.get(id), `there is ${id}`).url;
  const status = async (id: string) => {
    const { code, stdout } = await runCli(url(id), ["cluster", "status"]);
    return { code, lines: stdout.toString().trimEnd().split("\n") };
  };

  test("they begin, and one joins", { timeout }, async () => {
    const ports = await freePorts(3);
    seeds = ports.map((port) => `127.0.0.1:${port}`);
    await Promise.all(
      founders.map((id, at) => start(id, { bootstrapExpect: 3, peerPort: present(ports[at], "a port") })),
    );
    for (const name of streams) await client("n1").streams.createStream({ name });
    await start("o1", { role: "observer" });
  });

  test("all nodes tell of all, and nothing is wrong", { timeout }, async () => {
    for (const asked of [...founders, "o1"]) {
      await until(async () => {
        const { cluster, servers } = await told(asked);
        // An observer may follow another than the leader, and not know who leads.
        const knowsLeader = cluster?.leader !== "" || asked === "o1";
        const areWell = servers.every(({ health }) => health === ServerHealth.SERVING);
        return servers.length === 4 && areWell && knowsLeader && cluster?.leaderless === 0n && cluster.streams === 9n;
      });
      const { cluster, servers } = await told(asked);
      assert.deepEqual(cluster?.voters, founders);
      assert.match(cluster?.id ?? "", /^[0-9a-f]{32}$/);
      for (const server of servers) {
        assert.equal(server.apiUrl, url(server.id));
        assert.equal(server.state, ServerState.ALIVE);
        assert.deepEqual(
          [server.isVoter, server.role],
          server.id === "o1" ? [false, ServerRole.OBSERVER] : [true, ServerRole.VOTER],
        );
        assert.equal(server.isSelf, server.id === asked);
        assert.equal(server.health, ServerHealth.SERVING);
        assert.equal(server.holds, 9n);
      }
      assert.deepEqual(
        servers.filter(({ isLeader }) => isLeader).map(({ id }) => id),
        cluster?.leader === "" ? [] : [cluster?.leader],
      );
    }
    await until(async () => (await status("n2")).lines[1] === "nothing is wrong");
    const { code, lines } = await status("n2");
    assert.equal(code, 0);
    assert.match(lines[0] ?? "", /^cluster [0-9a-f]{32}, 4 nodes, 3 voters, leader n[123], 9 streams$/);
    assert.deepEqual(
      lines.slice(3).map((line) => line.split(/ +/)[0]),
      ["ID", "n1", "n2", "n3", "o1"],
    );
  });

  test("leaders are spread over the nodes that hold them", { timeout }, async () => {
    await until(async () => {
      const { servers } = await told("n1");
      return founders.every((id) => servers.find((server) => server.id === id)?.leads === 3n);
    });
  });

  test("a stream's leader is another one, whoever is asked, and appends go on", { timeout }, async () => {
    for (const [at, to] of ["n2", "n3", "n1", "n3"].entries()) {
      const asked = [...founders, "o1"][at] ?? "";
      const { code, stdout, stderr } = await runCli(url(asked), ["cluster", "transfer", "s4", "--to", to]);
      assert.deepEqual([code, stdout.toString(), stderr], [0, "1 stream has another leader\n", ""]);
      await until(async () => row(await told(to), to)?.leadsStreams.includes("s4") === true);
      await client(asked).log.append({ stream: "s4", records: [{ value: new Uint8Array(1) }] });
    }
  });

  test("all that a node leads goes to others, and spreads again when that is asked for", { timeout }, async () => {
    const gone = await runCli(url("n2"), ["cluster", "transfer", "--from", "n1", "--json"]);
    assert.deepEqual([gone.code, gone.stderr], [0, ""]);
    await until(async () => row(await told("n1"), "n1")?.leads === 0n);
    await until(async () => (await told("n2")).cluster?.leader !== "n1");
    const spread = await runCli(url("n3"), ["cluster", "transfer", "--spread", "--json"]);
    assert.deepEqual([spread.code, spread.stderr], [0, ""]);
    await until(async () => {
      const leads = await Promise.all(founders.map(async (id) => row(await told(id), id)?.leads));
      return leads.every((count) => count === 3n);
    });
  });

  test("a node joins, is made a voter, and another one's vote is taken; streams move", { timeout }, async () => {
    await start("n4", {});
    await until(async () => row(await told("n1"), "n4")?.state === ServerState.ALIVE);
    assert.equal(row(await told("n1"), "n4")?.isVoter, false);
    const added = await runCli(url("n4"), ["cluster", "add", "n4"]);
    assert.deepEqual(
      [added.code, added.stdout.toString(), added.stderr],
      [0, "node n4 is a voter; the voters are n1, n2, n3, n4\n", ""],
    );
    const removed = await runCli(url("n1"), ["cluster", "remove", "n1"]);
    assert.deepEqual(
      [removed.code, removed.stdout.toString(), removed.stderr],
      [0, "node n1 is no voter any more; the voters are n2, n3, n4\n", ""],
    );
    await until(async () => {
      const n1 = row(await told("n2"), "n1");
      return n1?.holds === 0n && row(await told("n2"), "n4")?.holds === 9n && row(await told("n1"), "n1")?.leads === 0n;
    });
    for (const stream of streams) await client("n1").log.append({ stream, records: [{ value: new Uint8Array(1) }] });
    // Three are wanted, and three vote: one that was removed stays one that does not.
    assert.deepEqual((await told("n3")).cluster?.voters, ["n2", "n3", "n4"]);
  });

  test("a node that stops has left, and status says what to do about a voter that is away", { timeout }, async () => {
    // A node that leaves on a busy machine may be taken for dead before that is heard.
    const gone: readonly (ServerState | undefined)[] = [ServerState.LEFT, ServerState.DEAD];
    const watch = new AbortController();
    let seen = 0;
    const watched = (async () => {
      const answers = client("n3").cluster.watchServers({ intervalMs: 60_000 }, { signal: watch.signal });
      for await (const answer of answers) if (gone.includes(row(answer, "n2")?.state)) seen += 1;
    })().catch(() => {});
    const n2 = present(nodes.get("n2"), "it is there");
    nodes.delete("n2");
    connections.get("n2")?.close();
    connections.delete("n2");
    await n2.close();
    await until(() => seen > 0);
    watch.abort();
    await watched;
    // What it led last may be without a leader for a moment.
    await until(async () => (await status("n4")).code === 0);
    const { lines } = await status("n4");
    assert.match(
      lines.join("\n"),
      /^warning: Voter n2 is (?:left|dead) for \S+ s\. Start it again, with its data folder or with an empty one\.$/m,
    );
  });

  test("metrics tell of groups, leaders, lags and members", { timeout }, async () => {
    const text = await (await fetch(`${url("n3")}/metrics`)).text();
    for (const name of [
      'tailrace_groups{role="leader"} ',
      "tailrace_groups_leaderless ",
      'tailrace_group_term{stream="_meta"} ',
      'tailrace_group_role{stream="s0",role="leader"} ',
      "tailrace_leader_changes_total ",
      'tailrace_session_round_trip_seconds_count{node="n4"} ',
      'tailrace_gossip_members{state="left"} ',
    ]) {
      assert.ok(text.includes(`\n${name}`), name);
    }
  });

  test("they stop", { timeout }, async () => {
    for (const { close } of connections.values()) close();
    await Promise.all([...nodes.values()].map((node) => node.close()));
    fs.rmSync(folder, { recursive: true });
  });
});

test("a node without room for appends says so", { timeout }, async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-service-"));
  const start = (freeSpaceReserve: number) =>
    createNode({
      ...{ dataFolder: folder, logger: pino({ level: "silent" }), log: { freeSpaceReserve } },
      listen: { host: "127.0.0.1", port: 0 },
    });
  // Its first start takes some room.
  await (await start(0)).close();
  const node = await start(0.9999);
  const { code, stdout } = await runCli(node.url, ["cluster", "status"]);
  await node.close();
  fs.rmSync(folder, { recursive: true });
  assert.equal(code, 1);
  assert.match(
    stdout.toString(),
    /^problem: Node \S+ can't do all: it takes no appends: .* free_space_reserve keeps \d+\. See to that node\.$/m,
  );
});

/** Ports that nobody has now. */
async function freePorts(count: number): Promise<readonly number[]> {
  const { createServer } = await import("node:net");
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, "127.0.0.1", () => {
            const address = server.address();
            resolve(typeof address === "object" && address ? address.port : 0);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
