/**
 * Members of this node's cluster, as gossip knows them.
 * @module
 */
import type { Logger } from "pino";
import type { GossipSettings } from "../gossip/settings.ts";
import type { MemberInfo, Message } from "../gossip/types.ts";
import type { Clock } from "../host/clock.ts";
import type { NodeId } from "../raft/types.ts";
import { GossipDriver } from "../replica/gossip-driver.ts";
import type { Member } from "./types.ts";

/** What it stands on. */
export interface GossipMembersOptions {
  readonly clusterId: string;
  readonly self: Omit<Member, "state" | "isSelf">;
  readonly settings: GossipSettings;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly send: (to: string, message: Message) => void;
  readonly changed: () => void;
}

/** See the module's description. */
export class GossipMembers {
  readonly driver: GossipDriver;
  #seeds: readonly string[] = [];

  constructor(options: GossipMembersOptions) {
    const { self, clusterId, settings, clock, random, logger, send, changed } = options;
    this.driver = new GossipDriver({
      ...{ id: self.id, peerAddress: self.peerAddress, cluster: clusterId, settings, clock, random, send },
      tags: { apiAddress: self.apiUrl, region: self.region, role: self.role, version: self.version },
      changed: ({ kind, member }) => {
        logger.info(
          { node: member.id, peerAddress: member.peerAddress },
          `${words[kind]}: ${member.id} at ${member.peerAddress}`,
        );
        changed();
      },
      conflict: ({ id, ownAddress, otherAddress, heldBy }) => {
        const holder =
          heldBy === "self" ? "this one came first" : "the other came first: this one is not seen by others";
        logger.error(
          { node: id, ownAddress, otherAddress },
          `Two nodes are called "${id}": this one at ${ownAddress}, and another at ${otherAddress}; ${holder}. ` +
            "Stop one, or give it a name and a data folder of its own",
        );
      },
      refused: ({ limit, value, what }) =>
        logger.warn({ limit, value }, `The limit ${limit} of gossip, ${value}, was met: ${what}`),
    });
  }

  /** How many others are thought to live. */
  get size(): number {
    return this.driver.state.view.size;
  }

  /** Addresses where members may be. */
  seeds(addresses: readonly string[]): void {
    if (addresses.length === this.#seeds.length && addresses.every((address, i) => address === this.#seeds[i])) return;
    this.#seeds = addresses;
    this.driver.seeds(addresses);
  }

  /** All others, those that are gone too, in no order. */
  others(): Member[] {
    const { members, tombstones } = this.driver.state.view;
    return [
      ...[...members.values()].map(({ info, standing }) => memberOf(info, standing.kind)),
      ...[...tombstones.values()].map(({ info, how }) => memberOf(info, how)),
    ];
  }

  /** Where a node that is thought to live is. */
  livesAt(node: NodeId): string | undefined {
    return this.driver.state.view.members.get(node)?.info.peerAddress;
  }

  /** Where a node's peer port is, or was. */
  addressOf(node: NodeId): string | undefined {
    const { members, tombstones } = this.driver.state.view;
    return (members.get(node) ?? tombstones.get(node))?.info.peerAddress;
  }
}

const words = {
  join: "A node is there",
  update: "A node has changed",
  leave: "A node left",
  fail: "A node does not answer any more",
} as const;

function memberOf({ id, peerAddress, apiAddress, region, role, version }: MemberInfo, state: Member["state"]): Member {
  const known = role === "observer" ? "observer" : "voter";
  return { id, peerAddress, apiUrl: apiAddress, region, role: known, version, state, isSelf: false };
}
