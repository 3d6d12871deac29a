/**
 * A node as far as membership goes: a real folder and a real port, and no log. What it finds it keeps, as `_meta` would.
 * @module
 */
import * as fs from "node:fs/promises";
import { pino } from "pino";
import type { ClusterOptions } from "../../../src/base/cluster-options.ts";
import { gossipSettings } from "../../../src/gossip/settings.ts";
import { resolveHost } from "../../../src/host/addresses.ts";
import { type Clock, systemClock } from "../../../src/host/clock.ts";
import type { Disk } from "../../../src/host/disk.ts";
import { systemHash } from "../../../src/host/hash.ts";
import { Http2Session } from "../../../src/host/http2-session.ts";
import { nodeDisk } from "../../../src/host/node-disk.ts";
import { systemRandom } from "../../../src/host/random.ts";
import { type Membership, openMembership } from "../../../src/membership/membership.ts";
import type { MembershipSettings } from "../../../src/membership/membership-options.ts";
import type { Resolve } from "../../../src/membership/seeds.ts";
import { Strangers } from "../../../src/membership/strangers.ts";
import type { Found, JoinAnswer } from "../../../src/membership/types.ts";
import { MemberNetwork } from "../../../src/server/peer/member-network.ts";
import { createPeerPort, type PeerPort } from "../../../src/server/peer/peer-port.ts";
import { Transports } from "../../../src/server/peer/transports.ts";

/** What a test decides of a node. */
export interface MemberNodeOptions extends Partial<ClusterOptions> {
  readonly folder: string;
  readonly host?: string;
  /** Port of an earlier life. */
  readonly port?: number;
  readonly resolve?: Resolve;
  readonly disk?: Disk;
  /** Nobody can join by it before. */
  readonly opensAfter?: Promise<void>;
  /** How far its clock is ahead, seconds. */
  readonly aheadSeconds?: number;
}

/** Quick, so that tests are. */
export const quick: MembershipSettings = {
  greetIntervalMs: 100,
  slowGreetIntervalMs: 300,
  gossip: gossipSettings("lan", { probeIntervalMs: 200, probeTimeoutMs: 100, gossipIntervalMs: 50 }),
};

/** A node that runs. */
export class MemberNode {
  readonly id: string;
  readonly membership: Membership;
  /** Where its peer port is. */
  readonly address: string;
  readonly log: readonly string[];
  readonly #port: PeerPort;

  private constructor(parts: {
    id: string;
    membership: Membership;
    address: string;
    log: readonly string[];
    port: PeerPort;
  }) {
    this.id = parts.id;
    this.membership = parts.membership;
    this.address = parts.address;
    this.log = parts.log;
    this.#port = parts.port;
  }

  /** Starts a node. What it finds is in its folder when `clusterId` has it. */
  static async start(id: string, options: MemberNodeOptions): Promise<MemberNode> {
    const { folder, host = "127.0.0.1", aheadSeconds = 0 } = options;
    await fs.mkdir(folder, { recursive: true });
    const log: string[] = [];
    const logger = pino({ base: null }, { write: (line: string) => log.push(JSON.parse(line).msg) });
    const clock: Clock = { ...systemClock, nowMicros: () => systemClock.nowMicros() + aheadSeconds * 1e6 };
    const strangers = new Strangers(logger, clock);
    let membership: Membership | undefined;
    const port = createPeerPort({
      ...{ strangers, clock, logger, members: () => membership, sessions: () => undefined, health: () => undefined },
    });
    const { port: number, url } = await port.listen({ host, port: options.port ?? 0 });
    const address = url.slice("http://".length);
    const kept = await keptIn(folder);
    const diskId = await diskOf(folder);
    let birth: JoinAnswer | undefined = kept && birthOf(kept);
    membership = await openMembership({
      ...{ nodeId: id, diskId, version: "test", folder, strangers, clock, logger },
      ...(kept ? { clusterId: kept.clusterId } : {}),
      options: {
        ...{ peerListen: { host, port: number }, seeds: [], region: "here", role: "voter", votersWanted: 3 },
        ...options,
      },
      peerAddress: options.advertisePeer ?? address,
      apiUrl: `http://${host}:1`,
      birth: () => birth,
      net: new MemberNetwork(
        new Transports((to) => new Http2Session(to, { connectMaxMs: 2_000, pingIntervalMs: 1_000 })),
      ),
      resolve: options.resolve ?? resolveHost,
      ...{ random: systemRandom, disk: options.disk ?? nodeDisk(), hash: systemHash, settings: quick },
    });
    void membership.found.then(async (found) => {
      await fs.writeFile(`${folder}/found`, JSON.stringify(found));
      await options.opensAfter;
      birth = birthOf(found);
    });
    return new MemberNode({ id, membership, address, log, port });
  }

  /** The number of its port. */
  get port(): number {
    return Number(this.address.slice(this.address.lastIndexOf(":") + 1));
  }

  /** Ids of those that it takes for alive, itself too. */
  get alive(): string[] {
    return this.membership
      .members()
      .filter(({ state }) => state === "alive")
      .map(({ id }) => id);
  }

  /** Whether it said something like that, and how often. */
  said(what: RegExp): number {
    return this.log.filter((line) => what.test(line)).length;
  }

  /** Ends it without a word. */
  async kill(): Promise<void> {
    this.membership.stop();
    await this.#port.close();
  }
}

/** A folder has a disk of its own: another folder is another disk. */
async function diskOf(folder: string): Promise<string> {
  const path = `${folder}/disk`;
  const known = await fs.readFile(path, "utf8").catch(() => undefined);
  if (known !== undefined) return known;
  const made = Buffer.from(systemRandom.bytes(16)).toString("hex");
  await fs.writeFile(path, made);
  return made;
}

async function keptIn(folder: string): Promise<Found | undefined> {
  const text = await fs.readFile(`${folder}/found`, "utf8").catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
}

function birthOf(found: Found): JoinAnswer {
  const voters = found.kind === "made" ? found.replicas : found.voters;
  const checkpoint = new TextEncoder().encode(`cluster ${found.clusterId}`);
  return { birth: { checkpoint, startOffset: 0, appendTimeMicros: 7 }, voters };
}
