/**
 * What membership is told at a node's start.
 * @module
 */
import type { Logger } from "pino";
import type { ClusterOptions } from "../base/cluster-options.ts";
import { type GossipSettings, gossipSettings } from "../gossip/settings.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import type { Hash } from "../host/hash.ts";
import type { Random } from "../host/random.ts";
import type { NodeId } from "../raft/types.ts";
import type { Resolve } from "./seeds.ts";
import type { Strangers } from "./strangers.ts";
import type { JoinAnswer, MemberNet } from "./types.ts";

/** Times in milliseconds. */
export interface MembershipSettings {
  /** How often the seeds are resolved and greeted while the node is alone. */
  readonly greetIntervalMs: number;
  /** And from then on. */
  readonly slowGreetIntervalMs: number;
  readonly gossip: GossipSettings;
}

/** What it stands on. */
export interface MembershipOptions {
  readonly nodeId: NodeId;
  /** Hexadecimal. */
  readonly diskId: string;
  /** The cluster that the data folder has; left out: none. */
  readonly clusterId?: string;
  readonly options: ClusterOptions;
  readonly version: string;
  /** Where others find its peer port, `HOST:PORT`. */
  readonly peerAddress: string;
  /** Where clients find its api port. */
  readonly apiUrl: string;
  /** The data folder, in which the file `bootstrap` has what was agreed about a cluster. */
  readonly folder: string;
  /** What this node gives who joins; `undefined`: it is of no cluster yet. */
  readonly birth: () => JoinAnswer | undefined;
  readonly net: MemberNet;
  readonly resolve: Resolve;
  readonly strangers: Strangers;
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly hash: Hash;
  readonly logger: Logger;
  readonly settings?: Partial<MembershipSettings>;
}

export const defaultMembershipSettings: MembershipSettings = {
  greetIntervalMs: 1_000,
  slowGreetIntervalMs: 30_000,
  gossip: gossipSettings("lan"),
};
