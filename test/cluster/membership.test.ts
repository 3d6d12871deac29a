/**
 * Nodes that find each other, begin a cluster or join one, over real sockets, in one process.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as net from "node:net";
import { afterEach, beforeEach, describe, test } from "node:test";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Http2Session } from "../../src/host/http2-session.ts";
import { PeerService } from "../../src/wire/gen/tailrace/peer/v1/peer_pb.ts";
import { unless } from "../support/skip.ts";
import { until } from "../support/until.ts";
import { DyingDisk } from "./support/dying-disk.ts";
import { MemberNode, type MemberNodeOptions } from "./support/member-node.ts";
import { temporaryFolder } from "./support/node.ts";

const timeout = 60_000;

describe("nodes that find each other", () => {
  let folder = "";
  let nodes: MemberNode[] = [];

  beforeEach(async () => {
    folder = await temporaryFolder();
  });

  afterEach(async () => {
    for (const node of nodes) await node.kill();
    nodes = [];
    await fs.rm(folder, { recursive: true });
  });

  const start = async (id: string, options: Partial<MemberNodeOptions> = {}) => {
    const node = await MemberNode.start(id, { folder: `${folder}/${id}`, ...options });
    nodes.push(node);
    return node;
  };
  const kill = async (node: MemberNode) => {
    nodes = nodes.filter((other) => other !== node);
    await node.kill();
  };
  const addresses = (...some: MemberNode[]) => some.map(({ address }) => address);
  const clusterOf = (node: MemberNode) => node.membership.clusterId;

  test("three fresh nodes that know one of them begin a cluster, all three, and gossip sees them", {
    timeout,
  }, async () => {
    const a = await start("a", { bootstrapExpect: 3 });
    const b = await start("b", { bootstrapExpect: 3, seeds: addresses(a) });
    assert.equal(clusterOf(a), undefined);
    const c = await start("c", { bootstrapExpect: 3, seeds: addresses(a) });
    const found = await Promise.all([a, b, c].map(({ membership }) => membership.found));
    assert.equal(new Set(found.map((one) => JSON.stringify(one))).size, 1);
    const [one] = found;
    assert.equal(one?.kind, "made");
    assert.deepEqual(one?.kind === "made" && one.replicas.map((replica) => replica.split("/")[0]), ["a", "b", "c"]);
    await until(() => [a, b, c].every(({ alive }) => alive.join() === "a,b,c"));
  });

  test("one that is killed at any step of it and comes back is of the same cluster", { timeout }, async () => {
    let kills = 0;
    for (let calls = 0; ; calls++) {
      const at = (id: string) => ({ folder: `${folder}/${calls}/${id}` });
      const disk = new DyingDisk(calls);
      const a = await start("a", { bootstrapExpect: 3, ...at("a") });
      const b = await start("b", { bootstrapExpect: 3, seeds: addresses(a), ...at("b"), disk });
      const c = await start("c", { bootstrapExpect: 3, seeds: addresses(a), ...at("c") });
      const made = Promise.all([a, b, c].map(({ membership }) => membership.found));
      const died = await Promise.race([made.then(() => false), disk.died.then(() => true)]);
      if (!died) break;
      kills += 1;
      const { port } = b;
      await kill(b);
      const again = await start("b", { bootstrapExpect: 3, seeds: addresses(a), ...at("b"), port });
      await until(() => [a, again, c].every((node) => clusterOf(node) !== undefined));
      assert.equal(new Set([a, again, c].map(clusterOf)).size, 1);
      for (const node of [a, again, c]) await kill(node);
    }
    assert.ok(kills >= 5, `it was killed at ${kills} steps`);
  });

  test("one that is fresh joins the cluster that it finds, and has what makes _meta", { timeout }, async () => {
    let open: () => void = () => {};
    const opensAfter = new Promise<void>((resolve) => {
      open = resolve;
    });
    const a = await start("a", { bootstrapExpect: 1, opensAfter });
    const made = await a.membership.found;
    const b = await start("b", { bootstrapExpect: 2, seeds: addresses(a) });
    const c = await start("c", { bootstrapExpect: 2, seeds: addresses(a, b) });
    const d = await start("d", { role: "observer", seeds: addresses(a) });
    // Two fresh ones that see each other could begin another one: they wait for the one that is there.
    await until(() => [b, c].every(({ alive }) => alive.join() === "a,b,c"));
    await until(() => [b, c].every((node) => node.said(/^Cannot join cluster .* yet: .*has not made _meta yet/) === 1));
    assert.deepEqual([b, c].map(clusterOf), [undefined, undefined]);
    open();
    const joined = await Promise.all([b, c, d].map(({ membership }) => membership.found));
    for (const found of joined) {
      assert.deepEqual(found, {
        ...{ kind: "joined", clusterId: made.clusterId },
        ...{ voters: made.kind === "made" && made.replicas },
        birth: {
          checkpoint: new TextEncoder().encode(`cluster ${made.clusterId}`),
          ...{ startOffset: 0, appendTimeMicros: 7 },
        },
      });
    }
    await until(() => [a, b, c, d].every(({ alive }) => alive.join() === "a,b,c,d"));
    assert.equal(a.membership.members().find(({ id }) => id === "d")?.role, "observer");
    assert.equal(a.membership.addressOf("d"), `http://${d.address}`);
  });

  /** A node that began a cluster, and one that joined it; both see both. */
  async function twoOfOne() {
    const a = await start("a", { bootstrapExpect: 1 });
    await a.membership.found;
    const b = await start("b", { seeds: addresses(a) });
    await b.membership.found;
    await until(() => [a, b].every(({ alive }) => alive.length === 2));
    return { a, b };
  }

  test("one that comes back is of its cluster at once, with another address too, and one that leaves has left", {
    timeout,
  }, async () => {
    const { a, b } = await twoOfOne();
    await kill(b);
    const again = await start("b", { seeds: addresses(a) });
    assert.equal(clusterOf(again), clusterOf(a));
    assert.notEqual(again.address, b.address);
    await until(() => a.membership.addressOf("b") === `http://${again.address}`);
    let changes = 0;
    const forget = a.membership.onChange(() => {
      changes += 1;
    });
    await again.membership.leave();
    await until(() => a.membership.members().some(({ id, state }) => id === "b" && state === "left"));
    assert.ok(changes > 0);
    forget();
  });

  test("two halves that start apart stay two clusters, and who sees both joins neither", { timeout }, async () => {
    const a = await start("a", { bootstrapExpect: 2 });
    const b = await start("b", { bootstrapExpect: 2, seeds: addresses(a) });
    const c = await start("c", { bootstrapExpect: 2 });
    const d = await start("d", { bootstrapExpect: 2, seeds: addresses(c) });
    await Promise.all([a, b, c, d].map(({ membership }) => membership.found));
    assert.equal(clusterOf(a), clusterOf(b));
    assert.equal(clusterOf(c), clusterOf(d));
    assert.notEqual(clusterOf(a), clusterOf(c));
    await kill(b);
    const again = await start("b", { seeds: addresses(a, c) });
    const fresh = await start("e", { seeds: addresses(a, c) });
    await until(() => fresh.said(/^Nodes of different clusters are behind the seeds: .*This node joins neither/) === 1);
    await until(() => again.said(/"c" at .* is of cluster .*: they refuse each other\. Correct --seeds/) === 1);
    await until(() => again.alive.join() === "a,b");
    assert.equal(clusterOf(fresh), undefined);
    await until(() => [c, d].every(({ alive }) => alive.join() === "c,d"));
    assert.match(fresh.membership.waitsFor ?? "", /^Joins none of 2 clusters that it found: /);
  });

  test("seeds by a name are asked for again while a node is alone, all that the name stands for", {
    timeout,
  }, async () => {
    const a = await start("a", { bootstrapExpect: 1 });
    await a.membership.found;
    let answers: readonly string[] = ["127.0.0.9", "127.0.0.8"];
    let asked = 0;
    const resolve = async (host: string) => {
      assert.equal(host, "nodes.test");
      asked += 1;
      if (asked === 3) throw new Error("no such name");
      return answers;
    };
    const b = await start("b", { seeds: [`nodes.test:${a.port}`], resolve });
    await until(() => asked > 4);
    assert.equal(clusterOf(b), undefined);
    assert.equal(b.said(/^The seed nodes\.test:\d+ is not found: no such name$/), 1);
    answers = ["127.0.0.9", "127.0.0.1"];
    assert.equal((await b.membership.found).clusterId, clusterOf(a));
    await until(() => b.alive.length === 2);
  });

  test("addresses of IPv6 do as well", { timeout }, async () => {
    const a = await start("a", { bootstrapExpect: 2, host: "::1" });
    const b = await start("b", { bootstrapExpect: 2, host: "::1", seeds: [`[::1]:${a.port}`] });
    const [one, other] = await Promise.all([a.membership.found, b.membership.found]);
    assert.deepEqual(one, other);
    await until(() => [a, b].every(({ alive }) => alive.length === 2));
    assert.equal(a.membership.addressOf("b"), `http://[::1]:${b.port}`);
  });

  test("an advertised address that nobody reaches is said at once", { timeout }, async () => {
    const a = await start("a", { bootstrapExpect: 1 });
    const nobody = await start("x");
    await kill(nobody);
    const b = await start("b", { seeds: addresses(a), advertisePeer: nobody.address });
    await until(() => b.said(/^Others cannot reach this node at .*: set --advertise-peer/) === 1);
    const c = await start("c", { seeds: addresses(a), advertisePeer: a.address });
    await until(() => c.said(/set --advertise-peer .* the node "a" answers there, not "c"\)$/) === 1);
    for (const node of [b, c]) await until(() => node.said(new RegExp(nobody.address)) + node.said(/"a"/) > 0);
  });

  test("two nodes of one name are told so: the second one is not let in while the first one answers", {
    timeout,
  }, async () => {
    const a = await start("a", { bootstrapExpect: 3 });
    const b = await start("b", { bootstrapExpect: 3, seeds: addresses(a) });
    await until(() => a.membership.members().length === 2);
    const other = await start("b", { bootstrapExpect: 3, seeds: addresses(a), folder: `${folder}/other` });
    await until(
      () => other.said(/^Takes no part in the cluster: the node "a" at .* refuses this one: two nodes are/) > 0,
    );
    await until(() => a.said(/^Two nodes are called "b": one at .*, another at .*\. Stop one/) === 1);
    assert.equal(clusterOf(a), undefined);
    // Where the first one is gone, the second one may have the name.
    await kill(b);
    await until(() => a.membership.addressOf("b") === `http://${other.address}`);
    const c = await start("c", { bootstrapExpect: 3, seeds: addresses(a) });
    await Promise.all([a, other, c].map(({ membership }) => membership.found));
    // In a cluster gossip knows the name, whoever is asked.
    await until(() => [a, other, c].every(({ alive }) => alive.join() === "a,b,c"));
    // Who comes back to its cluster meets only its seeds.
    await kill(c);
    const back = await start("c", { seeds: addresses(a) });
    await until(() => back.alive.join() === "a,b,c");
    const third = await start("b", { seeds: addresses(back), folder: `${folder}/third` });
    await until(() => third.said(/^Takes no part in the cluster: the node "c" at .* refuses this one/) === 1);
    // By now it may have greeted others, of whom the seed told it: whoever answered last is named.
    assert.match(third.membership.waitsFor ?? "", /^Takes no part: the node "[ac]" at .* two nodes are called "b"/);
    await kill(other);
    assert.equal((await third.membership.found).clusterId, clusterOf(a));
  });

  test("a copy of a node's folder takes no part while the first one answers, and does when that is gone", {
    timeout,
  }, async () => {
    const { a, b } = await twoOfOne();
    await fs.cp(`${folder}/b`, `${folder}/copy`, { recursive: true });
    const copy = await start("b", { seeds: addresses(a), folder: `${folder}/copy` });
    const refusal = /^Takes no part in the cluster: the node "a" at .* refuses this one: two nodes are called "b"/;
    await until(() => copy.said(refusal) === 1);
    assert.match(copy.membership.waitsFor ?? "", /^Takes no part: the node "a" at .* refuses this one/);
    assert.equal(a.membership.addressOf("b"), `http://${b.address}`);
    // Two that wait, and meet each other, do not keep each other out: one of them is let in, and then the other waits for that.
    const { port } = b;
    await kill(b);
    const back = await start("b", { seeds: addresses(copy, a), port });
    const [first, second] = await Promise.race([
      back.membership.letIn.then(() => [back, copy] as const),
      copy.membership.letIn.then(() => [copy, back] as const),
    ]);
    await until(() => a.membership.addressOf("b") === `http://${first.address}`);
    await kill(first);
    await second.membership.letIn;
    await until(() => a.membership.addressOf("b") === `http://${second.address}`);
  });

  test("clocks far apart are told of", { timeout }, async () => {
    const a = await start("a", { bootstrapExpect: 1, aheadSeconds: -5 });
    const b = await start("b", { seeds: addresses(a), aheadSeconds: -4.5 });
    const c = await start("c", { seeds: addresses(a) });
    await Promise.all([b.membership.found, c.membership.found]);
    await until(
      () =>
        c.said(/^The clock of node "a" at .* is (4\.[5-9]|5\.0) s behind this node's: set both by a time server$/) ===
        1,
    );
    await until(() => a.said(/^The clock of node "c" at .* is (4\.[5-9]|5\.0) s ahead of this node's/) === 1);
    assert.equal(a.said(/clock of node "b"/), 0);
  });

  test("an even number of voters is warned of", { timeout }, async () => {
    const a = await start("a", { bootstrapExpect: 4 });
    assert.equal(a.said(/^A cluster of 4 voters survives the loss of no more of them than one of 3/), 1);
  });
});

describe("strangers at the peer port", () => {
  let folder = "";
  let node: MemberNode;

  beforeEach(async () => {
    folder = await temporaryFolder();
    node = await MemberNode.start("a", { folder, bootstrapExpect: 1 });
    await node.membership.found;
  });

  afterEach(async () => {
    await node.kill();
    await fs.rm(folder, { recursive: true });
  });

  const cases: readonly { readonly name: string; readonly bytes: string }[] = [
    { name: "bytes of no protocol", bytes: "\0\x01\x02 this is no HTTP at all\r\n\r\n" },
    { name: "a request of HTTP/1.1", bytes: "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n" },
    { name: "HTTP/2 that ends in nonsense", bytes: `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${"nonsense".repeat(20)}` },
  ];
  for (const { name, bytes } of cases) {
    const isTold = !("Deno" in globalThis && bytes.startsWith("PRI"));
    const skip = unless(isTold, "on Deno a server is not told of frames that can't be read");
    test(`${name}: refused, and named once`, { timeout, ...skip }, async () => {
      for (let i = 0; i < 20; i++) await say(node.port, bytes);
      await until(() => node.said(/^127\.0\.0\.1 (says to|asks) the peer port/) === 1);
    });
  }

  test("a message that is none, and a node of another version: refused, and named once", { timeout }, async () => {
    const session = new Http2Session(`http://${node.address}`);
    const transport = createConnectTransport({
      ...{ baseUrl: `http://${node.address}`, httpVersion: "2", sessionManager: session },
    });
    const client = createClient(PeerService, transport);
    for (let i = 0; i < 20; i++) {
      await assert.rejects(client.greet({ greeting: { protocol: 9, nodeId: "z", version: "7.0" } }), {
        code: Code.Unimplemented,
        rawMessage:
          'The node "z" of version "7.0" can\'t be met: it speaks version 9 of the peer protocol, this node 1',
      });
      await assert.rejects(client.greet({ greeting: { protocol: 1, nodeId: "a/b", version: "7.0" } }), {
        code: Code.InvalidArgument,
      });
      const stream = await session.request(
        "POST",
        "/tailrace.peer.v1.PeerService/Greet",
        { "content-type": "application/proto" },
        {},
      );
      stream.end(Buffer.from("nonsense"));
      const status = await new Promise((resolve) => stream.once("response", (headers) => resolve(headers[":status"])));
      assert.equal(status, 500);
    }
    session.close();
    assert.equal(
      node.said(/^127\.0\.0\.1 says to the peer port .*: it speaks version 9 of the peer protocol, this node 1$/),
      1,
    );
    assert.equal(node.said(/^127\.0\.0\.1 (says to|asks) the peer port/), 1);
  });

  test("what needs a cluster, before there is one, is to be asked again", { timeout }, async () => {
    const fresh = await MemberNode.start("b", { folder: `${folder}/b` });
    const session = new Http2Session(`http://${fresh.address}`);
    const transport = createConnectTransport({
      ...{ baseUrl: `http://${fresh.address}`, httpVersion: "2", sessionManager: session },
    });
    await assert.rejects(createClient(PeerService, transport).call({}), { code: Code.Unavailable });
    session.close();
    await fresh.kill();
  });
});

/** Says something to a port, and resolves when the connection is over. */
async function say(port: number, bytes: string): Promise<void> {
  const socket = net.connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  socket.write(Buffer.from(bytes, "latin1"));
  socket.setTimeout(500, () => socket.destroy());
  await new Promise((resolve) => socket.once("close", resolve));
}
