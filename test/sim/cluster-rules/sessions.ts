import type { ClusterRule } from "./rule.ts";

/** Reads, the session that they stand on, and ways out of leadership. */
export const sessionRules: readonly ClusterRule[] = [
  {
    undone: "a replica unfetches before its own candidacy",
    patch: [
      {
        find: "  unfetch(g, turn);\n  g.term = term;\n",
        replace: "  if (votedFor !== g.self) unfetch(g, turn);\n  g.term = term;\n",
      },
    ],
    cluster: { run: "stale leader", seeds: 10, says: /invariant 8: / },
    script: "02-unfetch-own-candidacy",
  },
  {
    undone: "a replica unfetches before it votes",
    patch: [
      {
        find: "  unfetch(g, turn);\n  g.term = term;\n",
        replace: "  if (votedFor === g.self) unfetch(g, turn);\n  g.term = term;\n",
      },
    ],
    cluster: { run: "stale leader", seeds: 10, says: /invariant 8: / },
    script: "unfetch-order",
  },
  {
    undone: "what a session registered ends with it",
    patch: [
      { find: "      this.#forget(known);\n      this.#node.effect", replace: "      this.#node.effect" },
      {
        find: "const session = { hello, groups: new Set<number>(),",
        replace: "const session = { hello, groups: known?.groups ?? new Set<number>(),",
      },
      {
        find: "isSameSession(known.hello, hello)) this.#forget(known);",
        replace: "known.hello.from === '') this.#forget(known);",
      },
    ],
    cluster: { run: "broken sessions", seeds: 30, says: /invariant 8: / },
  },
  {
    undone: "an echo counts when the group's fetch stands",
    patch: [
      {
        find: 'import type { NodeId } from "./types.ts";\n\n/** A read of all',
        replace: 'import { type NodeId, nodeOf } from "./types.ts";\n\n/** A read of all',
      },
      { find: "      if (!session.groups.has(group)) continue;\n", replace: "" },
      {
        find: '  const found = feedOf(g, node);\n  if (role.kind !== "leader" || !found) return;\n  const progress = progressOf(role, found.replica);\n',
        replace:
          '  const replica = g.log.voters.find((voter) => nodeOf(voter) === node);\n  if (role.kind !== "leader" || !replica) return;\n  const progress = progressOf(role, replica);\n',
      },
    ],
    cluster: { run: "broken sessions", seeds: 30, says: /invariant 8: / },
  },
  {
    undone: "a read waits for an echo of a beat that was sent after it came",
    patch: [{ find: "isAlone ? 0 : turn.newBeat()", replace: "0" }],
    cluster: { run: "cut-off leader", seeds: 30, says: /invariant 8: / },
    script: "C061-paused-leader",
  },
  {
    undone: "a leader answers reads once it knows that it has all",
    patch: [
      {
        find: "  const confirmed = g.log.end === g.log.commit;\n",
        replace: "  const confirmed = g.log.commit >= 0;\n",
      },
    ],
    cluster: { run: "new leader", seeds: 30, says: /invariant 8: / },
    script: "read-waits-for-confirmation",
  },
  {
    undone: "a refusal that shows state is a read",
    patch: [{ find: '      if (verdict.kind === "refused") await door?.confirm();\n', replace: "" }],
    cluster: { run: "refused by an old leader", seeds: 10, says: /invariant 8: / },
  },
  {
    undone: "a duplicate is answered when its first copy is committed",
    patch: [
      {
        find: "      await basis;\n",
        replace: '      if (verdict.kind !== "refused") end = 0;\n      else await basis;\n',
      },
      { find: "      await door?.settled(end - 1);\n", replace: "      if (end > 0) await door?.settled(end - 1);\n" },
    ],

    cluster: { run: "uncommitted duplicate", seeds: 20, says: /invariant 9: / },
  },
  {
    undone: "a producer's sequence outlives a restart",
    patch: [{ find: "    if (producer) owner.produced({ ...header, producer });\n", replace: "" }],
    cluster: { run: "elections", seeds: 10, says: /invariant 9: |was refused its batch/ },
  },
  {
    undone: "who leads no more says so to all that fetch",
    patch: [
      {
        find: '    say(g, turn, { lane: "follower", node, message });\n    turn.unserve(g.group, node);\n',
        replace: "    void message;\n    turn.unserve(g.group, node);\n",
      },
    ],
    cluster: { run: "a leader without room", seeds: 10, says: /invariant 12: / },
    script: "17-beats-of-a-node",
  },
  {
    undone: "an unfetched leader steps down",
    patch: [
      {
        find: '  else stepDown(g, "stepped down: a majority left", turn);\n',
        replace: "",
      },
    ],
    script: "majority-left",
  },
  {
    undone: "one batch is sent whatever the credit",
    patch: [
      {
        find: "  return inFlight.length === 0 || inFlightBytes < credit;\n",
        replace: "  return credit - inFlightBytes >= 300;\n",
      },
    ],
    cluster: { run: "elections", seeds: 10, says: /invariant 12: / },
  },
  {
    undone: "what is on its way to a node is bounded for all its groups together",
    patch: [
      {
        find: "    return this.#bytes < this.#maxBytes;\n",
        replace: "    return this.#maxBytes > 0;\n",
      },
    ],
    script: "session-room",
  },
  {
    undone: "a group that waits for room on the way to a node comes to its turn",
    patch: [
      {
        find: "    if (session?.room.isDue) this.#due.add(session);\n",
        replace: "",
      },
    ],
    script: "session-room",
  },
  {
    undone: "a lesser session is refused",
    patch: [
      {
        find: "    if (known && !isLater(hello, known.hello)) {\n",
        replace: "    if (known && isSameSession(hello, known.hello)) {\n",
      },
    ],
    script: "session-lesser",
  },
  {
    undone: "a leader that no majority follows steps down",
    patch: [
      {
        find: '    stepDown(g, "stepped down: no majority stands", turn);\n    return;\n',
        replace: "    role.aloneSinceMs = nowMs;\n",
      },
    ],
    script: "check-quorum",
  },
  {
    undone: "a leader that cannot write steps down",
    patch: [
      {
        find: '      stepDown(g, "stepped down: cannot write", turn);\n      return;\n',
        replace: "      return;\n",
      },
    ],
    script: "cannot-write",
  },
  {
    undone: "a leader that hands over takes no appends",
    patch: [
      {
        find: '  return role.kind === "leader" && role.handover === undefined;\n',
        replace: '  return role.kind === "leader";\n',
      },
    ],
    script: "C071-transfer-under-load",
  },
  {
    undone: "hearsay resets no timer",
    patch: [
      {
        find: '  if (role.kind === "prospective" && role.source === undefined) seek(g, leader, turn);\n',
        replace:
          '  if (role.kind === "prospective" && role.source === undefined) {\n' +
          '    g.role = { kind: "follower", source: undefined, campaignAtMs: turn.nowMs + electionTimeout(turn) };\n' +
          "    seek(g, leader, turn);\n  }\n",
      },
    ],
    script: "21-removed-node",
  },
  {
    undone: "pre-votes are refused while a live leader is known",
    patch: [
      {
        find: '  return knowsLiveLeader(g) ? "refused a pre-vote: a leader is alive" : undefined;\n',
        replace: '  return knowsLiveLeader(g) && term < 0 ? "refused a pre-vote: a leader is alive" : undefined;\n',
      },
    ],
    script: "pre-vote-live-leader",
  },
  {
    undone: "a leader whose log may hold more than is known to be committed begins its term at once",
    patch: [
      {
        find: "  if (!confirmed) wantLeaderChange(g, role, turn);\n",
        replace: "",
      },
    ],
    script: "leader-change-lazy",
  },
  {
    undone: "a group that is gone votes no more",
    patch: [
      {
        find: 'kind: this.#node.isGone(group) ? "gone" : "notYet", group',
        replace: 'kind: "notYet", group',
      },
    ],
    script: "not-yet",
  },
];
