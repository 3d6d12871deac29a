/** A rule of gossip, how it is undone, and who notices. */
export interface GossipRule {
  /** What does not hold any more. */
  readonly undone: string;
  /** What in `src/gossip/` becomes what. `find` stands there exactly once, whichever file it is. */
  readonly find: string;
  readonly replace: string;
  /** The script that fails: its whole name. */
  readonly script: string;
  /** Random runs catch it too: one of the seeds from 1 to this one fails. Absent: they can't, or meet it too seldom. */
  readonly seeds?: number;
}

/** All of them. */
export const gossipRules: readonly GossipRule[] = [
  {
    undone: "who is suspected refutes it",
    find: "      worsenHealth(g, 1);\n      assertSelf(g, out, incarnation);\n",
    replace: "      worsenHealth(g, 1);\n",
    script: "a suspicion of this member is refuted, and is a point of its health",
    seeds: 100,
  },
  {
    undone: "an alive message counts only with an incarnation above what is known of the dead",
    find: "  const known = member ?? g.view.tombstones.get(info.id);\n  if (known && incarnation",
    replace: "  const known = member;\n  if (known && incarnation",
    script: "C079: a late alive message does not revive a member that is known dead at a higher incarnation",
    seeds: 100,
  },
  {
    undone: "a death at a higher incarnation is remembered as such",
    find: "  if (!tombstone || incarnation > tombstone.incarnation) return true;\n",
    replace: "  if (!tombstone) return true;\n",
    script: "C079: a late alive message does not revive a member that is known dead at a higher incarnation",
  },
  {
    undone: "suspicions shrink",
    find: "  suspicion.deadlineMs = Math.min(suspicion.deadlineMs, shortened);\n",
    replace: "",
    script: "each who confirms it shortens it, by the logarithm; the fourth no more (Lifeguard, LHA-Suspicion)",
  },
  {
    undone: "rumors are sent a limited number of times",
    find: "      if (sends + 1 < sendsMax) this.#place(id, waiting, sends + 1);\n",
    replace: "      this.#place(id, waiting, Math.min(sends + 1, sendsMax));\n",
    script: "each rumor is sent a limited number of times: 4 times log10 of the members, rounded up (SWIM 4.1)",
    seeds: 20,
  },
  {
    undone: "the dead are asked now and then",
    find: "  const lost = [...lostMembers(g), ...unknownSeeds(g)];\n",
    replace: "  const lost = [...lostMembers(g).slice(0, 0), ...unknownSeeds(g)];\n",
    script: "the halves of a cluster that was cut in two find each other again, without seeds",
  },
  {
    undone: "the gone are remembered",
    find: "  g.view.bury(tombstone);\n",
    replace: "  g.view.forget(tombstone.info.id);\n",
    script: "C079: a late alive message does not revive a member that is known dead at a higher incarnation",
    seeds: 100,
  },
  {
    undone: "the gone are forgotten after their time",
    find: "    if (g.nowMs - sinceMs >= g.settings.tombstoneMs) g.view.forget(id);\n",
    replace: "    if (sinceMs < 0) g.view.forget(id);\n",
    script: "a tombstone goes after its time, and an old word is news again",
  },
  {
    undone: "a tombstone that is passed on keeps its age",
    find: "is: how, ageMs: g.nowMs - sinceMs }",
    replace: "is: how, ageMs: Math.min(0, sinceMs) }",
    script: "otherwise the whole view is sent",
  },
  {
    undone: "a probe without answer is tried through others",
    find: "  const helpers = member ? g.view.pick(g.settings.indirectProbes, isHelper) : [];\n",
    replace: "  const helpers = member ? g.view.pick(0, isHelper) : [];\n",
    script: "one that does not answer is tried through three others, then suspected, then declared dead (SWIM 3.1)",
  },
  {
    undone: "a member in bad health is patient",
    find: "  return ms * (g.health + 1);\n",
    replace: "  return ms * (Math.min(0, g.health) + 1);\n",
    script: "a member in bad health waits longer and probes less often",
  },
  {
    undone: "nacks say that it is not this member's fault",
    find: "asked - nacks.size : 1);\n",
    replace: "asked : nacks.size + 1);\n",
    script: "nacks show that it is not this member's fault: its health stays as it is",
  },
  {
    undone: "a pause of this process is noticed",
    find: "  if (lateMs < g.settings.pauseMs) return;\n",
    replace: "  if (lateMs < 1e9) return;\n",
    script:
      "a process that stood still blames nobody for it: the probe is begun anew, suspicions go on where they were",
  },
  {
    undone: "a rival is asked whether it lives",
    find: "  } else contend(g, out, rival, triesMax);\n",
    replace: "  } else takeOver(g, out, { instance: info.instance, incarnation });\n",
    script: "a name taken twice: the other one lives and has run longer, so this one steps back and says so",
    seeds: 100,
  },
  {
    undone: "a rival that answered is not overridden again at once",
    find: "  if (overridden?.instance === info.instance && incarnation > overridden.incarnation) {\n",
    replace: "  if (overridden?.instance === info.instance && incarnation < overridden.incarnation) {\n",
    script: "one that was silent and answers by a higher incarnation lives: the name is not passed to and fro",
  },
  {
    undone: "the one that has run longer keeps the name",
    find: "  const isElder = upMs > ack.upMs ||",
    replace: "  const isElder = upMs < ack.upMs ||",
    script: "a name taken twice: this one has run longer, so it keeps the name and says so",
    seeds: 100,
  },
  {
    undone: "a taken name is said once in a while only",
    find: '  if (!mayBeSaid(g, "conflict", g.settings.conflictIntervalMs)) return;\n',
    replace: '  if (!mayBeSaid(g, "conflict", 0)) return;\n',
    script: "the one that has the name says it too, when the other asks; once a minute, not for each message",
    seeds: 300,
  },
  {
    undone: "what is said of a member at its new address replaces the old one",
    find: "    member.info = info;\n",
    replace: "    member.info = { ...info, peerAddress: member.info.peerAddress };\n",
    script: "C080: a member that comes back at another address is sent to there from then on",
    seeds: 20,
  },
  {
    undone: "a ping for another id is not answered",
    find: "  if (target !== g.self.id) {\n",
    replace: '  if (target === "") {\n',
    script: "a ping for another id at this address is not answered",
  },
  {
    undone: "who is thought dead is told so when it pings",
    find: "  const rumors = newsFor(g, sender);\n  sendPacket(",
    replace: '  const rumors = newsFor(g, { ...sender, id: "" });\n  sendPacket(',
    script: "C079: one that restarts at a low incarnation is told at once that it is dead, by whoever it pings",
  },
  {
    undone: "who is suspected is told so when it is pinged",
    find: "|| !g.settings.tellsSuspects) return [];\n",
    replace: "|| g.settings.tellsSuspects) return [];\n",
    script:
      "who is suspected is told so by each ping, however often the rumor was sent before (Lifeguard, Buddy System)",
  },
  {
    undone: "one that is not known is asked who it is",
    find: "  if (id === g.self.id || (known && known.incarnation >= incarnation)) return;\n",
    replace: '  if (id !== "" || (known && known.incarnation >= incarnation)) return;\n',
    script: "whoever is pinged by one it does not know asks who that is",
  },
  {
    undone: "who is dead in another's view may refute it",
    find: "g.view.members.get(info.id)?.info.instance === info.instance) suspect(",
    replace: 'g.view.members.get(info.id)?.info.instance === "") suspect(',
    script: "who is dead there and alive here is suspected, so that it can refute it",
  },
  {
    undone: "a sync goes in pages",
    find: "      room -= entryBytes(entry);\n",
    replace: "      room -= entryBytes(entry) * 0;\n",
    script: "in pages, where it does not fit one message",
  },
  {
    undone: "a member that is alone asks the seeds",
    find: "  if (seed !== undefined) startSync(g, out, seed);\n",
    replace: "",
    script: "a joiner that gets no answer asks again, and another seed",
  },
  {
    undone: "views are compared now and then",
    find: '  if (!member || g.sync.kind === "asking") return;\n',
    replace: '  if (!member || g.sync.kind !== "asking") return;\n',
    script: "the one who asked sends what the other lacks, range by range",
  },
  {
    undone: "a member says that it leaves",
    find: '      broadcast(g, out, { kind: "left", id, instance, incarnation: g.incarnation });\n',
    replace: '      broadcast(g, out, { kind: "dead", id, instance, incarnation: g.incarnation, by: id });\n',
    script: "a member that leaves says so as often as any rumor, and is gone",
  },
];
