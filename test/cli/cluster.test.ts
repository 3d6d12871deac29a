/** `tailrace cluster` against nodes of a made-up cluster, and against a real node that is alone. */
import assert from "node:assert/strict";
import * as path from "node:path";
import { after, before, describe, test } from "node:test";
import { TailraceError } from "../../src/base/errors.ts";
import type {
  ClusterStatus,
  ClusterView,
  LeadershipMoved,
  LeadershipRequest,
  ServerStatus,
} from "../../src/server/api/cluster-view.ts";
import { startTestNode, type TestNode } from "../protocols/support/test-node.ts";
import { runCli, startCli } from "../support/cli.ts";
import { startNode } from "../support/node-process.ts";
import { until } from "../support/until.ts";
import { temporaryFolder } from "./support.ts";

const timeout = 60_000;
const folder = temporaryFolder();

/** What one node tells of a cluster that a test makes up, and what it is asked. */
class MadeUpCluster implements ClusterView {
  readonly #self: string;
  leader = "a";
  readonly servers: { -readonly [Key in keyof ServerStatus]: ServerStatus[Key] }[];
  readonly asked: unknown[] = [];

  constructor(self: string, servers: readonly ServerStatus[]) {
    this.#self = self;
    this.servers = servers.map((server) => ({ ...server, isSelf: server.id === self }));
  }

  async describe(): Promise<ClusterStatus> {
    return {
      ...{ id: "0123456789abcdef", leader: this.leader, term: 7, voters: ["a", "b", "c"], votersWanted: 3, streams: 2 },
      ...{ leaderless: { count: 0, first: [] }, servers: this.servers },
    };
  }

  onChange(): () => void {
    return () => {};
  }

  async addVoter(node: string): Promise<readonly string[]> {
    this.asked.push(["add", node]);
    if (node !== "bad") return ["a", "b", "c", node];
    const words = { what: 'Cannot add node "bad"', why: "it is down", todo: "Start it" };
    throw new TailraceError("cluster_refused", words);
  }

  async removeVoter(node: string, force: boolean): Promise<readonly string[]> {
    this.asked.push(["remove", node, force]);
    return ["a", "b", "c"].filter((voter) => voter !== node);
  }

  async transferLeadership(request: LeadershipRequest): Promise<LeadershipMoved> {
    this.asked.push(["transfer", request, this.#self]);
    if (request.kind === "stream") return { moved: 1, failed: 0, failure: undefined };
    return { moved: 4, failed: 1, failure: "node c does not hold it" };
  }
}

const server = (id: string, more: Partial<ServerStatus>): ServerStatus => ({
  ...{ id, apiUrl: "", peerAddress: `10.0.0.1:${id.charCodeAt(0)}`, region: "ams", role: "voter", version: "1.0.0" },
  ...{ state: "alive", stateSinceMicros: undefined, isSelf: false, leads: { count: 0, first: [] }, holds: 2 },
  ...{ health: { kind: "serving" }, lag: undefined },
  ...more,
});

/** Nodes a and b, each of which answers for itself, and c, which is dead. */
interface Two {
  readonly a: TestNode;
  readonly b: TestNode;
  readonly views: { readonly a: MadeUpCluster; readonly b: MadeUpCluster };
}

async function startTwo(): Promise<Two> {
  const servers = [
    server("a", { leads: { count: 1, first: ["orders"] } }),
    server("b", {}),
    server("c", { state: "dead", stateSinceMicros: (Date.now() - 3 * 3_600_000) * 1000, health: undefined }),
  ];
  const views = { a: new MadeUpCluster("a", servers), b: new MadeUpCluster("b", servers) };
  const [a, b] = await Promise.all([startTestNode({ cluster: views.a }), startTestNode({ cluster: views.b })]);
  for (const view of [views.a, views.b]) {
    for (const node of view.servers) node.apiUrl = node.id === "a" ? a.url : node.id === "b" ? b.url : "";
  }
  // Only b knows what it leads, and how far others are behind in that.
  for (const node of views.b.servers) {
    if (node.id === "b") node.leads = { count: 1, first: ["users"] };
    if (node.id === "a") node.lag = { stream: "users", batches: 4000, ms: 65_000, reason: "slow", streams: 1 };
  }
  return { a, b, views };
}

describe("a cluster", () => {
  let two: Two;
  before(async () => {
    two = await startTwo();
  });
  after(async () => {
    await Promise.all([two.a.close(), two.b.close()]);
  });
  const cluster = async (...args: string[]) => {
    const { code, stdout, stderr } = await runCli(two.a.url, ["cluster", ...args]);
    return { code, stdout: stdout.toString(), stderr };
  };

  test("status says what is wrong, what to run, and what all nodes tell together", { timeout }, async () => {
    const { code, stdout, stderr } = await cluster("status");
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    assert.deepEqual(stdout.split("\n"), [
      "cluster 0123456789abcdef, 3 nodes, 3 voters, leader a, 2 streams",
      'warning: Voter c is dead for 3 h. Start it again; if it is gone for good, run "tailrace cluster remove c", and add another.',
      "warning: Node a is 4,000 batches, 65 s behind in users: its disk, or the network there, takes less than what is " +
        "appended. Look at that node's disk and network.",
      "",
      "ID  REGION  ROLE    STATE         LEADS  HOLDS  BEHIND",
      "a   ams     leader  alive         1      2      users: 4,000 batches, 65 s (slow)",
      "b   ams     voter   alive         1      2      -",
      "c   ams     voter   dead for 3 h  0      2      -",
      "",
    ]);
  });

  test("status without a quorum is a failure", { timeout }, async () => {
    const { views } = two;
    for (const view of [views.a, views.b]) {
      view.leader = "";
      for (const node of view.servers) if (node.id === "b") Object.assign(node, { state: "dead", apiUrl: "" });
    }
    const { code, stdout } = await cluster("status");
    for (const view of [views.a, views.b]) {
      view.leader = "a";
      for (const node of view.servers) if (node.id === "b") Object.assign(node, { state: "alive", apiUrl: two.b.url });
    }
    assert.equal(code, 1);
    assert.match(
      stdout,
      /^problem: There is no quorum: of 3 voters 2 must be up, and 1 is\. Missing: b \(dead\), c \(/m,
    );
  });

  test("status as JSON", { timeout }, async () => {
    const { code, stdout } = await cluster("status", "--json");
    const { servers, findings, ...rest } = JSON.parse(stdout);
    assert.deepEqual(rest, {
      ...{ id: "0123456789abcdef", leader: "a", term: 7, voters: ["a", "b", "c"], votersWanted: 3, streams: 2 },
      ...{ leaderless: 0, leaderlessStreams: [], unreached: [] },
    });
    assert.deepEqual(servers[0], {
      ...{ id: "a", apiUrl: two.a.url, peerAddress: "10.0.0.1:97", region: "ams", role: "voter", isVoter: true },
      ...{ isLeader: true, version: "1.0.0", state: "alive", leads: 1, leadsStreams: ["orders"], holds: 2 },
      ...{ health: "serving", lag: { stream: "users", batches: 4000, ms: 65_000, reason: "slow", streams: 1 } },
    });
    assert.deepEqual(
      findings.map(({ severity }: { severity: string }) => severity),
      ["warning", "warning"],
    );
    assert.equal(code, 0);
  });

  test("members", { timeout }, async () => {
    const { stdout } = await cluster("members");
    assert.deepEqual(stdout.split("\n"), [
      `ID  REGION  ROLE    STATE         VERSION  API${" ".repeat(two.a.url.length - 3)}  PEER`,
      `a   ams     leader  alive         1.0.0    ${two.a.url}  10.0.0.1:97`,
      `b   ams     voter   alive         1.0.0    ${two.b.url}  10.0.0.1:98`,
      `c   ams     voter   dead for 3 h  1.0.0    -${" ".repeat(two.a.url.length - 1)}  10.0.0.1:99`,
      "",
    ]);
    const asJson = (await cluster("members", "--json")).stdout.trimEnd().split("\n");
    assert.deepEqual(
      asJson.map((line) => JSON.parse(line).id),
      ["a", "b", "c"],
    );
  });

  const changes: { args: string[]; asked: unknown[]; code: number; said: string; json: object }[] = [
    {
      args: ["add", "d"],
      asked: ["add", "d"],
      ...{ code: 0, said: "node d is a voter; the voters are a, b, c, d\n", json: { voters: ["a", "b", "c", "d"] } },
    },
    {
      args: ["remove", "b"],
      asked: ["remove", "b", false],
      ...{ code: 0, said: "node b is no voter any more; the voters are a, c\n", json: { voters: ["a", "c"] } },
    },
    {
      args: ["remove", "b", "--force"],
      asked: ["remove", "b", true],
      ...{ code: 0, said: "node b is no voter any more; the voters are a, c\n", json: { voters: ["a", "c"] } },
    },
    {
      args: ["transfer", "orders", "--to", "b"],
      asked: ["transfer", { kind: "stream", name: "orders", to: "b" }, "a"],
      ...{ code: 0, said: "1 stream has another leader\n", json: { moved: 1, failed: 0 } },
    },
    {
      args: ["transfer", "--from", "a"],
      asked: ["transfer", { kind: "node", id: "a", to: undefined }, "a"],
      ...{ code: 1, said: "4 streams have another leader; 1 has not: node c does not hold it.\n" },
      json: { moved: 4, failed: 1, failure: "node c does not hold it" },
    },
    {
      args: ["transfer", "--spread"],
      asked: ["transfer", { kind: "spread" }, "a"],
      ...{ code: 1, said: "4 streams have another leader; 1 has not: node c does not hold it.\n" },
      json: { moved: 4, failed: 1, failure: "node c does not hold it" },
    },
  ];
  for (const { args, asked, code, said, json } of changes) {
    test(args.join(" "), { timeout }, async () => {
      assert.deepEqual(await cluster(...args), { code, stdout: said, stderr: "" });
      assert.deepEqual(two.views.a.asked.at(-1), asked);
      assert.deepEqual(JSON.parse((await cluster(...args, "--json")).stdout), json);
    });
  }

  test("what is refused ends with 1 and says what to do", { timeout }, async () => {
    assert.deepEqual(await cluster("add", "bad"), {
      ...{ code: 1, stdout: "", stderr: 'tailrace: Cannot add node "bad": it is down. Start it.\n' },
    });
  });

  for (const args of [
    ["transfer"],
    ["transfer", "orders", "--from", "a"],
    ["transfer", "--from", "a", "--spread"],
    ["transfer", "--spread", "--to", "b"],
  ]) {
    test(`${args.join(" ")} is no command line`, { timeout }, async () => {
      const { code, stderr } = await cluster(...args);
      assert.equal(code, 2);
      assert.match(stderr, /^tailrace: .*--spread.*\n$/);
    });
  }
});

test("status --watch goes on with another node when the one that it asks goes away", { timeout }, async () => {
  const two = await startTwo();
  const run = startCli(two.a.url, ["cluster", "status", "--watch", "--json"]);
  await until(() => run.stdoutBytes() > 0);
  two.views.b.leader = "b";
  await two.a.close();
  const seen = run.stdoutBytes();
  await until(() => run.stdoutBytes() > seen);
  run.kill("SIGINT");
  const { code, stdout, stderr } = await run.ended;
  await two.b.close();
  const leaders = stdout
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).leader);
  assert.deepEqual([code, stderr, leaders[0], leaders.at(-1)], [130, "", "a", "b"]);
});

test("a node that is alone is a cluster of itself", { timeout }, async () => {
  const node = await startNode({ data: path.join(folder, "alone") });
  await runCli(node.url, ["append", "orders"], Buffer.from("a\n"));
  const { code, stdout } = await runCli(node.url, ["cluster", "status"]);
  assert.equal(code, 0);
  const [head = "", said, , , row = ""] = stdout.toString().split("\n");
  assert.match(head, /^cluster [0-9a-f]{32}, 1 node, 1 voter, leader \S+, 1 stream$/);
  assert.equal(said, "nothing is wrong");
  assert.match(row, /^\S+ +- +leader +alive +1 +1 +-$/);
  const refused = await runCli(node.url, ["cluster", "remove", "n2"]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^tailrace: Cannot remove node "n2": this node is alone\. .*--peer-listen.*\n$/);
  await node.end("SIGTERM");
});

test("no node is there", { timeout }, async () => {
  const { code, stderr } = await runCli("http://127.0.0.1:1", ["cluster", "status", "--watch"]);
  assert.equal(code, 3);
  assert.match(stderr, /^tailrace: there is no node to talk to: .*\n$/);
});
