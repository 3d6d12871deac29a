/**
 * Executions that chance meets too seldom, directed: with the rule undone each ends badly, with it in force in nothing.
 * The unbroken source goes through all of them (`cluster-rules.test.ts`).
 * @module
 */
import type { Stage } from "../../../src/sim/cluster/run.ts";
import { Director } from "./director.ts";

/** A voter's disk is replaced while another one is behind: the two must not be a majority without the leader. */
export async function wipedVoter(stage: Stage): Promise<void> {
  const director = new Director(stage);
  const [a, b, c] = await three(director);
  director.part([c], [a, b]);
  await director.committed(a, 5);
  director.part([a], [b]);
  b.wipe();
  b.start();
  await director.until(() => director.core(b) !== undefined);
  director.join([b], [c]);
  await director.sleep(1000);
}

/** Who was removed goes on with one of those that stay: the two are no majority. */
export async function removedVoter(stage: Stage): Promise<void> {
  const director = new Director(stage);
  const [a, b, c, d] = await director.leader();
  if (!b || !c || !d) throw new Error("it takes four nodes");
  await director.committed(a, 2);
  director.change(a, [a, b, c]);
  await director.until(() => [a, b, c, d].every((node) => director.core(node)?.log.committedVoters.length === 3));
  director.part([a, b], [c, d]);
  await director.sleep(1200);
}

/** Two voters are added by a leader that the old ones do not hear: the new ones and it are no majority of the old. */
export async function twoChanges(stage: Stage): Promise<void> {
  const director = new Director(stage);
  const [a, b, c] = await three(director);
  const [d, e] = stage.nodes.slice(3);
  if (!d || !e) throw new Error("it takes five nodes");
  await director.until(() => director.core(a)?.feeds.size === 4);
  director.part([a, d, e], [b, c]);
  director.change(a, [a, b, c, d]);
  await director.until(() => director.core(a)?.log.voters.length === 4, 50);
  director.change(a, [a, b, c, d, e]);
  await director.sleep(1200);
}

/**
 * Of four voters the leader adds a fifth, and only the fifth hears of it. Another leader removes it before anything of its
 * own term is committed: its three and the five have majorities without a common voter (Ongaro's correction, 2015).
 */
export async function changeBeforeCommit(stage: Stage): Promise<void> {
  const director = new Director(stage);
  const { nodes } = stage;
  const four = nodes.slice(0, 4);
  const e = nodes[4];
  const [a, ...others] = await director.leader(four);
  if (!e) throw new Error("it takes five nodes");
  director.ask(a, { kind: "wanted" });
  await director.until(() => nodes.every((node) => director.core(node)?.log.commit === 2));
  director.part([a, e], others);
  director.change(a, [...four, e]);
  await director.until(() => director.core(e)?.log.voters.length === 5, 200);
  const [b, c, d] = await director.leader(others);
  if (!c || !d) throw new Error("it takes five nodes");
  await director.until(() => director.core(b)?.feeds.size === 2);
  director.part([d], [b, c]);
  director.change(b, others);
  await director.committed(b, 2);
  director.join([d], [a, e]);
  await director.sleep(1500);
}

/**
 * A batch of an old term is on a majority, and a later term's is not: whoever has the last batch of a term between wins
 * (Raft, figure 8).
 */
export async function olderTerms(stage: Stage): Promise<void> {
  const director = new Director(stage);
  const [a, b, c] = await three(director);
  await director.committed(a, 2);
  director.part([a], [b, c]);
  await director.until(() => (director.core(a)?.log.durable ?? 0) > (director.core(a)?.log.commit ?? 0));
  a.kill();
  const [second, third] = await director.leader([b, c]);
  if (!third) throw new Error("it takes three nodes");
  director.part([second], [third]);
  director.ask(second, { kind: "wanted" });
  await director.until(() => director.core(second)?.log.last.term === director.core(second)?.term);
  await director.until(() => director.core(second)?.log.durable === director.core(second)?.log.end);
  second.kill();
  director.join([a], [b, c]);
  director.join([second], [third]);
  const old = director.core(third)?.log.end ?? 0;
  a.start();
  await director.until(() => director.core(a)?.role.kind === "leader");
  await director.until(() => (director.core(a)?.log.commit ?? 0) > old);
  a.kill();
  second.start();
  await director.sleep(600);
  a.start();
}

/** A leader has no room for one group's batch, and leads the other on: its beats must not hold the first. */
export async function leaderWithoutRoom(stage: Stage): Promise<void> {
  const director = new Director(stage);
  const [a] = await three(director);
  await director.committed(a, 2);
  director.ask(a, { kind: "cannotWrite" });
  await director.sleep(300);
}

/** Two handings-over of a term, and the voter between them forgets whom it voted for while its vote is on its way to the disk. */
export async function twoCandidates(stage: Stage): Promise<void> {
  const director = new Director(stage);
  const { network } = director;
  const [a, b, c] = await three(director);
  await director.committed(a, 2);
  network.holdCalls(b.id, c.id);
  network.holdCalls(c.id, b.id);
  network.holdCalls(c.id, a.id);
  network.holdCalls(a.id, c.id);
  director.transfer(a, c);
  await director.until(() => {
    const { role } = director.core(a) ?? {};
    return role?.kind === "leader" && role.handover?.asked === true;
  });
  await director.until(() => {
    const { role } = director.core(a) ?? {};
    return role?.kind === "leader" && role.handover === undefined;
  });
  a.disk.slowness = 30;
  director.transfer(a, b);
  network.releaseCalls(a.id, c.id);
  await director.until(() => director.core(b)?.role.kind === "leader");
  a.powerCut();
  a.disk.slowness = 1;
  a.start();
  await director.until(() => director.core(a) !== undefined);
  network.releaseCalls(c.id, a.id);
  await director.sleep(300);
}

/** The leader hands over, and what the next one calls does not reach it: only the sessions can tell it. */
export async function staleLeader(stage: Stage): Promise<void> {
  const director = new Director(stage);
  const { network } = director;
  const [a, b, c] = await three(director);
  await director.committed(a, 3);
  for (const node of [b, c]) network.holdCalls(node.id, a.id);
  director.transfer(a, b);
  await readBoth(director, [a, b]);
}

/** As the stale leader, and the sessions break at that moment: what they registered is over with them. */
export async function brokenSessions(stage: Stage): Promise<void> {
  const director = new Director(stage);
  const { network } = director;
  const [a, b, c] = await three(director);
  await director.committed(a, 3);
  for (const node of [b, c]) network.holdCalls(node.id, a.id);
  director.transfer(a, b);
  for (const node of [b, c]) network.breakSessionOf(node.id, a.id);
  await readBoth(director, [a, b]);
}

/** The leader is cut off, and does not know it yet. */
export async function cutOffLeader(stage: Stage): Promise<void> {
  const director = new Director(stage);
  const [a, b, c] = await three(director);
  await director.committed(a, 3);
  director.part([a], [b, c]);
  const [next] = await director.leader([b, c]);
  await readBoth(director, [a, next]);
}

/** The leader is cut off, does not know it yet, and is asked to append where the stream ended. */
export async function refusedByOldLeader(stage: Stage): Promise<void> {
  const director = new Director(stage);
  const [a, b, c] = await three(director);
  await director.append([a], 2);
  director.part([a], [b, c]);
  const [next] = await director.leader([b, c]);
  await director.append([next], 2);
  await director.appendAt(a, 0);
}

/** A new leader has what the old one acknowledged, and does not know yet that it is committed. */
export async function newLeader(stage: Stage): Promise<void> {
  const director = new Director(stage);
  const [a, b, c] = await three(director);
  await director.committed(a, 2);
  c.disk.slowness = 100;
  await director.committed(a, 3);
  const commit = director.core(a)?.log.commit ?? 0;
  await director.until(() => (director.core(a)?.log.commit ?? 0) > commit);
  a.kill();
  const [next] = await director.leader([b, c]);
  await director.clientsOf([next], 8, 100);
  c.disk.slowness = 1;
  a.start();
}

/** A leader loses what its disk had not synced and the others have, and is back before they have found another. */
export async function restartedLeader(stage: Stage): Promise<void> {
  const director = new Director(stage);
  const { network } = director;
  const [a, b, c] = await three(director);
  await director.committed(a, 2);
  for (const [from, to] of [
    [b, c],
    [c, b],
    [b, a],
    [c, a],
  ] as const)
    network.holdCalls(from.id, to.id);
  a.disk.slowness = 100;
  await director.until(() => {
    const sent = director.core(b)?.log.end ?? 0;
    return sent > (director.core(a)?.log.durable ?? 0);
  });
  a.powerCut();
  a.disk.slowness = 1;
  a.start();
  await director.sleep(400);
}

/**
 * A producer's batch reaches one follower, which leads next and is asked again: what it has is not committed, and is lost
 * with it (raft-why 9).
 */
export async function uncommittedDuplicate(stage: Stage): Promise<void> {
  const director = new Director(stage);
  const [a, b, c] = await three(director);
  await director.append([a], 2);
  director.part([c], [a, b]);
  a.disk.slowness = 200;
  const end = director.core(b)?.log.end ?? 0;
  const produced = director.produce([a, b], 6000);
  await director.until(() => (director.core(b)?.log.end ?? 0) > end);
  a.powerCut();
  // As long as a client waits for an answer.
  await director.sleep(3000);
  director.join([b], [c]);
  await director.until(() => director.core(b)?.role.kind === "leader");
  c.disk.slowness = 1000;
  await Promise.race([produced, director.sleep(700)]);
  b.kill();
  c.powerCut();
  for (const node of [a, c]) node.disk.slowness = 1;
  director.join([a], [c]);
  a.start();
  c.start();
  await director.append([a, c], 2);
  b.start();
  await produced;
}

/** A leader that nobody hears begins new segments, and is asked to drop what is before the last one. */
export async function uncommittedBase(stage: Stage): Promise<void> {
  const director = new Director(stage);
  const [a, b, c] = await three(director);
  await director.append([a], 3);
  director.part([a], [b, c]);
  const appended = Array.from({ length: 20 }, () => director.append([a], 1, 100));
  await director.sleep(150);
  await director.trim(a);
  await Promise.all(appended);
}

/** A follower comes back with a batch of a term that the leader's log lacks, and lacks the one that it has instead. */
export async function lackingTerm(stage: Stage): Promise<void> {
  const director = new Director(stage);
  const [a, b, c] = await three(director);
  await director.append([a], 2);
  await director.until(() =>
    stage.nodes.every((node) => director.core(node)?.log.commit === director.core(a)?.log.end),
  );
  a.kill();
  const x = await aloneWithItsTerm(director, [b, c]);
  a.start();
  const others = stage.nodes.filter((node) => node !== x);
  await director.until(() => others.every((node) => director.core(node) !== undefined));
  const y = await aloneWithItsTerm(director, others);
  x.start();
  await director.append(
    stage.nodes.filter((node) => node !== y),
    2,
  );
  y.start();
  await director.sleep(300);
}

/** One of two is elected, writes the first batch of its term, which nobody else gets, and dies. */
async function aloneWithItsTerm(director: Director, two: readonly Node[]): Promise<Node> {
  const [leader, ...others] = await director.leader(two);
  director.part([leader], others);
  director.ask(leader, { kind: "wanted" });
  await director.until(() => {
    const core = director.core(leader);
    return core !== undefined && core.log.last.term === core.term && core.log.durable === core.log.end;
  });
  leader.kill();
  director.join([leader], others);
  return leader;
}

async function readBoth(director: Director, nodes: readonly Parameters<Director["core"]>[0][]): Promise<void> {
  await Promise.all(nodes.map((node) => director.clientsOf([node], 6, 300)));
}

async function three(director: Director): Promise<[Node, Node, Node]> {
  const [a, b, c] = await director.leader();
  if (!b || !c) throw new Error("it takes three nodes");
  return [a, b, c];
}

type Node = Parameters<Director["core"]>[0];
