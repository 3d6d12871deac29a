/**
 * Times and limits of gossip. Two presets: `lan` for members within some milliseconds of each other, `wan` for regions.
 * @module
 */

/** Times in milliseconds, sizes in bytes, counts. */
export interface GossipSettings {
  /** One member is probed in each such period (SWIM 3.1: the protocol period). */
  readonly probeIntervalMs: number;
  /** A probe unanswered for so long is tried through others. */
  readonly probeTimeoutMs: number;
  /** Through how many others (SWIM 3.1: k). */
  readonly indirectProbes: number;
  /** Shortest suspicion: this, times log10 of the members, times the probe interval (Lifeguard, LHA-Suspicion: alpha). */
  readonly suspicionMult: number;
  /** Longest suspicion, in shortest ones (Lifeguard, LHA-Suspicion: beta); 1: confirmations change nothing. */
  readonly suspicionMaxMult: number;
  /** So many others must confirm a suspicion to make it the shortest (Lifeguard, LHA-Suspicion: K). */
  readonly suspicionConfirmations: number;
  /** Highest score of local health (Lifeguard, LHA-Probe: S); 0: a member never doubts itself. */
  readonly healthMax: number;
  /** Who is suspected is told so by each ping (Lifeguard, Buddy System). */
  readonly tellsSuspects: boolean;
  /** A wake-up that comes so late shows that this process stood still; `Infinity`: it is not noticed. */
  readonly pauseMs: number;
  /** Rumors are sent this often, while there are any. */
  readonly gossipIntervalMs: number;
  /** To so many members each time. */
  readonly gossipFanout: number;
  /** A rumor is sent this many times log10 of the members, by each who heard it (SWIM 4.1: lambda). */
  readonly retransmitMult: number;
  /** Views are compared with a random member's this often, on average. */
  readonly syncIntervalMs: number;
  /** A sync whose next message takes longer is given up; a seed that does not answer is asked again. */
  readonly syncTimeoutMs: number;
  /** How often a member that was declared dead may be looked for; see `contact.ts` for how many do it. */
  readonly contactIntervalMs: number;
  /** The dead and the left are remembered for so long. */
  readonly tombstoneMs: number;
  /** A taken name is said, and tried again, at most this often. */
  readonly conflictIntervalMs: number;
  /** Leaving takes at most this. */
  readonly leaveMs: number;
  /** Largest probe or gossip message. */
  readonly packetMaxBytes: number;
  /** Largest message of a sync. */
  readonly pageMaxBytes: number;
  /** Most living members, this one not counted. */
  readonly membersMax: number;
  /** Most members that are remembered as dead or left; the longest gone go first. */
  readonly tombstonesMax: number;
  /** Most rumors that wait to be sent; those sent most often go first. */
  readonly broadcastsMax: number;
  /** Most indirect probes at once that are done for others. */
  readonly relaysMax: number;
  /** Longest id, addresses and tags of a member, and name of its cluster, together. */
  readonly tagsMaxBytes: number;
  /** Most seed addresses. */
  readonly seedsMax: number;
}

const limits = {
  packetMaxBytes: 1_400,
  pageMaxBytes: 32 << 10,
  membersMax: 2_000,
  tombstonesMax: 2_000,
  broadcastsMax: 4_096,
  relaysMax: 256,
  tagsMaxBytes: 256,
  seedsMax: 256,
};

const lan: GossipSettings = {
  ...limits,
  probeIntervalMs: 1_000,
  probeTimeoutMs: 500,
  indirectProbes: 3,
  suspicionMult: 4,
  suspicionMaxMult: 6,
  suspicionConfirmations: 3,
  healthMax: 8,
  tellsSuspects: true,
  pauseMs: 500,
  gossipIntervalMs: 200,
  gossipFanout: 3,
  retransmitMult: 4,
  syncIntervalMs: 30_000,
  syncTimeoutMs: 2_000,
  contactIntervalMs: 5_000,
  tombstoneMs: 86_400_000,
  conflictIntervalMs: 60_000,
  leaveMs: 5_000,
};

const wan: GossipSettings = {
  ...lan,
  probeIntervalMs: 5_000,
  probeTimeoutMs: 3_000,
  suspicionMult: 6,
  pauseMs: 3_000,
  gossipIntervalMs: 500,
  gossipFanout: 4,
  syncIntervalMs: 60_000,
  syncTimeoutMs: 8_000,
  contactIntervalMs: 15_000,
  leaveMs: 15_000,
};

/** By the name that a configuration gives. */
export const presets = { lan, wan } as const;

/** Fills in a preset's values. @throws {RangeError} A value can't work. */
export function gossipSettings(preset: keyof typeof presets, changes: Partial<GossipSettings> = {}): GossipSettings {
  const settings = { ...presets[preset], ...changes };
  const { probeTimeoutMs, probeIntervalMs, packetMaxBytes, pageMaxBytes, tagsMaxBytes } = settings;
  if (!(probeTimeoutMs > 0 && probeTimeoutMs < probeIntervalMs)) {
    throw new RangeError(`probeTimeoutMs must be above 0 and below probeIntervalMs, ${probeIntervalMs}`);
  }
  // Each message has room for its head (sender, target, where a page ends) and one member, or nothing would be passed on.
  const leastBytes = 4 * tagsMaxBytes + 256;
  if (Math.min(packetMaxBytes, pageMaxBytes) < leastBytes) {
    throw new RangeError(
      `packetMaxBytes and pageMaxBytes must be ${leastBytes} at least, for tagsMaxBytes ${tagsMaxBytes}`,
    );
  }
  if (settings.suspicionMaxMult < 1) throw new RangeError("suspicionMaxMult must be 1 at least");
  return settings;
}
