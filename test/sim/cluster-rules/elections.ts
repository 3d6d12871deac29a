import type { ClusterRule } from "./rule.ts";

/** Who may win, and what a vote promises. */
export const electionRules: readonly ClusterRule[] = [
  {
    undone: "a vote is kept across a restart",
    patch: [
      {
        find: "  const isOther = vote.term === known.term && known.votedFor !== undefined && !sameVote(known, vote);\n",
        replace: "  const isOther = vote.term < known.term && !sameVote(known, vote);\n",
      },
      { find: "    votedFor: isNewer ? null : promises.votedFor,\n", replace: "    votedFor: null,\n" },
    ],
    cluster: { run: "two candidates", seeds: 10, says: /invariant 5: / },
    script: "C063-vote-kept",
  },
  {
    undone: "a vote is durable before it is told",
    patch: [
      {
        find: "  if (g.saving > 0) g.held.push(message);\n  else turn.put(message);\n",
        replace: "  turn.put(message);\n",
      },
    ],
    cluster: { run: "two candidates", seeds: 20, says: /invariant 5: / },
    script: "vote-is-synced",
  },
  {
    undone: "one vote a term",
    patch: [
      {
        find: "  const isOther = vote.term === known.term && known.votedFor !== undefined && !sameVote(known, vote);\n",
        replace: "  const isOther = vote.term < known.term && !sameVote(known, vote);\n",
      },
      {
        find: "  if (g.votedFor !== null && g.votedFor !== from) return",
        replace: "  if (g.votedFor === g.self) return",
      },
      { find: "!asked.pre && g.votedFor === null)", replace: "!asked.pre)" },
    ],
    cluster: { run: "two candidates", seeds: 10, says: /invariant 5: / },
    script: "vote-once",
  },
  {
    undone: "a vote goes to a log at least as far as the own one",
    patch: [
      {
        find: '  if (!isUpToDate(g, last)) return "refused a vote',
        replace: '  if (last.end < 0) return "refused a vote',
      },
      // Or pre-votes keep it, mostly.
      { find: "  else askForVotes(g, true, turn);\n", replace: "  else stand(g, turn);\n" },
    ],
    cluster: { run: "elections", seeds: 30, says: /invariant 3: / },
  },
  {
    undone: "a vote is asked of a replica by name",
    patch: [
      { find: "  if (asked.to !== g.self) {\n", replace: '  if (asked.to === "") {\n' },
      {
        find: "  const to = { group, term, from: self, to: from };\n",
        replace: "  const to = { group, term, from: asked.to, to: from };\n",
      },
    ],
    cluster: { run: "wiped voter", seeds: 10, says: /invariant (3|14): / },
  },
  {
    undone: "a wiped voter is another replica",
    patch: [{ find: "    const diskId = hexOf(folder.diskId);\n", replace: '    const diskId = "00".repeat(16);\n' }],
    cluster: { run: "wiped voter", seeds: 10, says: /invariant (5|13): / },
  },
  {
    undone: "a pre-vote goes to a log at least as far as the own one",
    patch: [
      {
        find: "  if (!isUpToDate(g, last) || !isAtFloor(g, last)) return",
        replace: "  if (!isAtFloor(g, last)) return",
      },
    ],
    cluster: { run: "elections", seeds: 30, says: /grants a pre-vote/ },
    script: "vote-log-behind",
  },
  {
    undone: "no node leads the term it wakes in",
    patch: [
      {
        find: "campaignAtMs: isAlone ? Number.POSITIVE_INFINITY : campaignAtMs },\n",
        replace:
          "campaignAtMs: isAlone ? Number.POSITIVE_INFINITY : promises.votedFor === self ? campaignAtMs - 140 : campaignAtMs },\n",
      },
      {
        find: "      if (nowMs < role.campaignAtMs) return;\n",
        replace:
          "      if (nowMs < role.campaignAtMs) return;\n" +
          "      if (g.votedFor === g.self && g.fetchId === 0) return becomeLeader(g, turn);\n",
      },
      {
        find: "  appended,\n  leaderDeadline,\n",
        replace: "  appended,\n  becomeLeader,\n  leaderDeadline,\n",
      },
    ],
    cluster: { run: "restarted leader", seeds: 20, says: /invariant 2: |the leader forgot/ },
  },
  {
    undone: "an observer's vote does not count",
    patch: [
      {
        find: "  for (const to of log.voters) {\n    if (to === self) continue;\n    const message: Vote",
        replace: "  for (const to of log.everVoters) {\n    if (to === self) continue;\n    const message: Vote",
      },
      {
        find: "isMajority(g.log.voters, (voter) => role.granted.has(voter));\n  if (isWon)",
        replace: "2 * role.granted.size > g.log.voters.length;\n  if (isWon)",
      },
      {
        find: "      if (isMajority(g.log.voters, (voter) => role.granted.has(voter))) stand(g, turn);\n",
        replace: "      if (2 * role.granted.size > g.log.voters.length) stand(g, turn);\n",
      },
      {
        find: "    if (batch.voters) this.#sets.push({ index: batch.index, voters: batch.voters });\n",
        replace:
          "    if (batch.voters) this.#sets.push({ index: batch.index, voters: batch.voters });\n" +
          "    for (const voter of this.voters) this.everVoters.add(voter);\n",
      },
      {
        find: "    this.#sets = [...voterSets];\n",
        replace:
          "    this.#sets = [...voterSets];\n    for (const { voters } of voterSets) for (const voter of voters) this.everVoters.add(voter);\n",
      },
      { find: "  generation = 0;\n", replace: "  generation = 0;\n  everVoters = new Set<ReplicaId>();\n" },
    ],
    cluster: { run: "removed voter", seeds: 10, says: /invariant (1|3): / },
  },
  {
    undone: "any replica that is asked votes, member or not",
    patch: [
      {
        find: "  if (asked.to !== g.self) {\n",
        replace: "  if (asked.to !== g.self || !g.log.voters.includes(g.self)) {\n",
      },
    ],
    script: "19-observer-votes",
  },
  {
    undone: "a higher term is learnt from every message",
    patch: [
      {
        find: "  if (voted.to !== g.self) return;\n  adoptTerm(g, voted.term, turn);\n",
        replace: "  if (voted.to !== g.self) return;\n",
      },
    ],
    script: "21-longest-log-in-an-old-term",
  },
  {
    undone: "a vote is given although a leader is known",
    patch: [
      {
        find: '  if (!isUpToDate(g, last)) return "refused a vote',
        replace:
          '  if (knowsLiveLeader(g)) return "refused a vote: given to another";\n  if (!isUpToDate(g, last)) return "refused a vote',
      },
      {
        find: "  adoptTerm(g, asked.term, turn);\n  const refusal",
        replace: "  if (!knowsLiveLeader(g)) adoptTerm(g, asked.term, turn);\n  const refusal",
      },
    ],
    script: "handing-over",
  },
  {
    undone: "a winner calls its voters",
    patch: [
      {
        find: '    say(g, turn, { lane: "call", node: nodeOf(voter), message: { kind: "lead", group, term, from: self, to: voter } });\n',
        replace: "",
      },
    ],
    script: "16-winner-tells",
  },
  {
    undone: "a winner calls its voters until they follow",
    patch: [
      {
        find: "  role.announceAtMs = missing > 0 ? turn.nowMs + role.announceGapMs : Number.POSITIVE_INFINITY;\n",
        replace: "  role.announceAtMs = Number.POSITIVE_INFINITY;\n",
      },
      {
        find: "  if (isMissing && role.announceAtMs === Number.POSITIVE_INFINITY) {\n",
        replace: "  if (isMissing && turn.nowMs < 0) {\n",
      },
    ],
    script: "lead-is-repeated",
  },
];
