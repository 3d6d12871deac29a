/**
 * Members that find each other over real sockets, in one process.
 */
import assert from "node:assert/strict";
import * as http2 from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, describe, test } from "node:test";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { gossipSettings } from "../../src/gossip/settings.ts";
import type { MemberEvent } from "../../src/gossip/types.ts";
import { systemClock } from "../../src/host/clock.ts";
import { Http2Session } from "../../src/host/http2-session.ts";
import { GossipDriver } from "../../src/replica/gossip-driver.ts";
import { gossipService, sendGossip } from "../../src/server/peer/gossip-network.ts";
import { Transports } from "../../src/server/peer/transports.ts";
import { GossipService } from "../../src/wire/gen/tailrace/peer/v1/peer_pb.ts";
import { until } from "../support/until.ts";

const timeout = 60_000;
const settings = gossipSettings("lan", { probeIntervalMs: 200, probeTimeoutMs: 100, gossipIntervalMs: 50 });

class Member {
  readonly address: string;
  readonly driver: GossipDriver;
  readonly events: MemberEvent[] = [];
  readonly conflicts: string[] = [];
  readonly #transports: Transports;
  readonly #server: http2.Http2Server;
  readonly #sockets: Set<Socket>;

  private constructor(
    id: string,
    cluster: string,
    server: http2.Http2Server,
    transports: Transports,
    sockets: Set<Socket>,
  ) {
    const { port } = server.address() as AddressInfo;
    this.address = `127.0.0.1:${port}`;
    this.#server = server;
    this.#transports = transports;
    this.#sockets = sockets;
    this.driver = new GossipDriver({
      ...{ id, peerAddress: this.address, cluster, settings, clock: systemClock, random: Math.random },
      tags: { apiAddress: `${id}:8400`, region: "here", role: "voter", version: "0" },
      send: (to, message) => sendGossip(transports, to, message),
      changed: (event) => this.events.push(event),
      conflict: ({ otherAddress }) => this.conflicts.push(otherAddress),
      refused: () => {},
    });
  }

  static async start(id: string, seeds: readonly string[], cluster = "test"): Promise<Member> {
    const transports = new Transports((url) => new Http2Session(url));
    let member: Member | undefined;
    const service = gossipService((message) => member?.driver.receive(message));
    const server = http2.createServer(
      connectNodeAdapter({ routes: (router) => router.service(GossipService, service) }),
    );
    const sockets = new Set<Socket>();
    server.on("connection", (socket: Socket) => sockets.add(socket));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    member = new Member(id, cluster, server, transports, sockets);
    member.driver.seeds(seeds);
    return member;
  }

  /** Ids of those that it takes for alive, itself not counted. */
  get others(): string[] {
    const alive = new Set<string>();
    for (const { kind, member } of this.events) {
      if (kind === "join" || kind === "update") alive.add(member.id);
      else alive.delete(member.id);
    }
    return [...alive].sort();
  }

  kill(): void {
    this.driver.stop();
    this.#transports.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

describe("gossip over sockets", () => {
  let members: Member[] = [];

  afterEach(() => {
    for (const member of members) member.kill();
    members = [];
  });

  const start = async (id: string, ...seeds: Member[]) => {
    const member = await Member.start(
      id,
      seeds.map(({ address }) => address),
    );
    members.push(member);
    return member;
  };

  test("members that know one seed find all, one that dies is said dead, one that leaves left", {
    timeout,
  }, async () => {
    const a = await start("a");
    const b = await start("b", a);
    const c = await start("c", a);
    const d = await start("d", a);
    await until(() => members.every(({ others }) => others.length === 3));
    d.kill();
    await until(() => [a, b, c].every(({ others }) => !others.includes("d")));
    assert.equal(a.events.findLast(({ member }) => member.id === "d")?.kind, "fail");
    await c.driver.leave();
    await until(() => [a, b].every(({ others }) => !others.includes("c")));
    assert.equal(b.events.findLast(({ member }) => member.id === "c")?.kind, "leave");
  });

  test("one that comes back with another address is found there", { timeout }, async () => {
    const a = await start("a");
    const b = await start("b", a);
    const c = await start("c", a);
    await until(() => members.every(({ others }) => others.length === 2));
    c.kill();
    const again = await start("c", b);
    await until(() =>
      [a, b].every(
        ({ events }) => events.findLast(({ member }) => member.id === "c")?.member.peerAddress === again.address,
      ),
    );
    await until(() => again.others.length === 2);
  });

  test("members of another cluster are strangers", { timeout }, async () => {
    const a = await start("a");
    const stranger = await Member.start("s", [a.address], "another");
    members.push(stranger);
    await until(() => a.driver.state.counters.foreign > 0);
    assert.deepEqual([a.others, stranger.others], [[], []]);
  });
});
