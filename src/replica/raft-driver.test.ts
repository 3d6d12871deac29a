import assert from "node:assert/strict";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { openFolder, temporaryFolder } from "../../test/support/data-folder.ts";
import {
  anyState,
  batchesOf,
  gate,
  group,
  HandClock,
  makeLog,
  oneBatch,
  owner,
  ReplicaNode,
  records,
  SilentNet,
  second,
  spoil,
  third,
  until,
} from "../../test/support/replica-node.ts";
import { AssertionError, present } from "../base/assert.ts";
import { BatchKind } from "../base/batch.ts";
import { NoRoomError } from "../base/disk-errors.ts";
import { TailraceError } from "../base/errors.ts";
import { systemHash } from "../host/hash.ts";
import type { GroupLog, NewBatch } from "../log/types.ts";
import { sourceOf } from "../raft/group.ts";
import type { Hello } from "../raft/inputs.ts";
import { lanSettings, replicaId } from "../raft/types.ts";
import { encodeCheckpoint, encodeLeaderChange, encodeTrim } from "../wire/checkpoint.ts";
import { ClusterLog } from "./cluster-log.ts";
import { coreBatch, hexOf, joinBytes, replicaOf } from "./core-batch.ts";
import { RaftDriver } from "./raft-driver.ts";

describe("RaftDriver", () => {
  test("a promise that found no room is kept as part of what was promised since", async () => {
    let refusals = 2;
    const node = await ReplicaNode.make((log) => ({
      save: (promised) => {
        if (refusals-- > 0) return Promise.reject(new NoRoomError("the disk is full"));
        return log.save(promised);
      },
    }));
    const vote = { kind: "vote", group, to: node.self, pre: false, last: { term: 0, end: 1 } } as const;
    node.hears({ ...vote, term: 5, from: second });
    node.hears({ ...vote, term: 6, from: third });
    await until(() => node.log.vote.term === 6);
    assert.deepEqual(node.net.calls, []);
    node.clock.passes();
    await until(() => node.net.calls.length === 2);
    assert.equal(node.core.saving, 0);
    assert.deepEqual(node.log.vote, { term: 6, votedFor: replicaOf(third) });
  });

  test("a log begins anew when what it held is remembered, not before", async () => {
    const leaderFolder = await openFolder(temporaryFolder());
    const leaderLog = await makeLog(leaderFolder, [second]);
    const state = () => encodeCheckpoint({ ...anyState, voters: [replicaOf(second)] });
    leaderLog.rollBy({ maxBytes: 1, maxAgeMicros: Number.POSITIVE_INFINITY }, state);
    await leaderLog.append({ ...records("a"), begins: { term: 1, votedFor: replicaOf(second) } });
    await leaderLog.append(records("b"));
    const stored = await leaderLog.read({ from: { index: 1 }, belowIndex: leaderLog.end.index, maxBytes: 1 << 20 });
    const checkpoint = present(
      stored.map(coreBatch).find(({ before }) => before),
      "a segment begins",
    );
    const before = present(checkpoint.before, "it is a checkpoint");

    let isFull = false;
    const floors: number[] = [];
    const node = await ReplicaNode.make(
      (log) => ({
        save: (promised) => (isFull ? Promise.reject(new NoRoomError("the disk is full")) : log.save(promised)),
        install: (bytes) => {
          floors.push(log.floor.index);
          return log.install(bytes);
        },
      }),
      {
        before: async (log) => {
          await log.append({ ...records("x"), begins: { term: 1, votedFor: replicaOf(second) } });
        },
      },
    );
    await node.followsSecond(1);
    const { index: base } = checkpoint;
    assert.equal(base, node.log.end.index, "it stands where the own log ends, and fits itself, not that");
    node.receives({ kind: "restart", group, term: 1, id: node.lastFetch, base, before });
    await node.fetch();
    isFull = true;
    const answer = { group, term: 1, id: node.lastFetch, commit: base + 1 };
    node.receives({ kind: "following", ...answer }, { kind: "batches", ...answer, batches: [checkpoint] });
    await node.log.read({ from: { index: 0 }, belowIndex: 1, maxBytes: 1 });
    assert.deepEqual(floors, []);
    isFull = false;
    node.clock.passes();
    await until(() => node.log.base.index === base);
    assert.deepEqual(floors, [1]);
  });

  test("a trim that was cut off when the log began anew lets nothing go", async () => {
    const roll = { maxBytes: 1, maxAgeMicros: Number.POSITIVE_INFINITY };
    const neverRoll = { ...roll, maxBytes: Number.POSITIVE_INFINITY };
    const state = () => encodeCheckpoint({ ...anyState, voters: [replicaOf(second)] });
    /** Batches of a leader of `term`, of which every second is a checkpoint as long as they roll. */
    const written = async (term: number, rolled: number, others: readonly NewBatch[]) => {
      const log = await makeLog(await openFolder(temporaryFolder()), [second]);
      log.rollBy(roll, state);
      const change = { kind: BatchKind.leaderChange, payload: encodeLeaderChange(replicaOf(second)), recordCount: 0 };
      await log.append({ ...change, begins: { term, votedFor: replicaOf(second) } });
      for (let more = 0; more < rolled; more++) await log.append(records(`${term}`));
      log.rollBy(neverRoll, state);
      for (const other of others) await log.append(other);
      return (await log.read({ from: { index: 1 }, belowIndex: log.end.index, maxBytes: 1 << 20 })).map(coreBatch);
    };
    const anyBatch = records("z");
    const trim = { kind: BatchKind.trim, payload: encodeTrim({ logStart: 0, baseIndex: 4 }), recordCount: 0 };
    const lost = await written(1, 2, [trim]);
    const [, checkpoint, ...kept] = await written(2, 1, [anyBatch, anyBatch, anyBatch]);
    assert.deepEqual(lost.map(({ kind }) => kind).slice(3), [BatchKind.checkpoint, BatchKind.records, BatchKind.trim]);
    const before = present(checkpoint?.before, "a segment begins");

    // Batch 0 is that of a log with the same voters.
    const node = await ReplicaNode.make(() => ({}), { voters: [second] });
    await node.followsSecond(1);
    const early = { group, term: 1, id: node.lastFetch, commit: 1 };
    node.receives({ kind: "following", ...early }, { kind: "batches", ...early, batches: lost });
    await until(() => node.log.durableEnd.index === 7);
    await node.followsSecond(2);
    node.receives({ kind: "restart", group, term: 2, id: node.lastFetch, base: 2, before });
    await node.fetch();
    const anew = { group, term: 2, id: node.lastFetch, commit: 3 };
    node.receives(
      { kind: "following", ...anew },
      { kind: "batches", ...anew, batches: [present(checkpoint, "it is")] },
    );
    await until(() => node.log.base.index === 2);
    await node.fetch();
    const rest = { group, term: 2, id: node.lastFetch, commit: 7 };
    node.receives({ kind: "following", ...rest }, { kind: "batches", ...rest, batches: kept });
    await until(() => node.log.commit.index === 7);
    // What goes wrong from here on nobody waits for: it would end the process.
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(node.log.base.index, 2);
    node.driver.stop();
  });

  test("an append that is refused because the log is damaged has the replica look for the damage, and lead no more", async () => {
    const words = { what: "Cannot append", why: "the log is damaged", todo: "Wait" };
    let checks = 0;
    const node = await ReplicaNode.make(
      (log) => ({
        append: (batch) =>
          batch.kind === BatchKind.records ? Promise.reject(new TailraceError("damaged", words)) : log.append(batch),
        selfCheck: async () => {
          checks += 1;
          return { index: 0 };
        },
      }),
      { isAlone: true },
    );
    node.replica.want();
    await until(() => node.core.role.kind === "leader");
    await assert.rejects(node.replica.append(records("a")), { reason: "damaged" });
    await until(() => node.core.repairing);
    assert.equal(node.core.role.kind, "follower");
    assert.equal(checks, 1);
    node.driver.stop();
  });

  test("who fetches gets what a read of it failed for, when the log is found whole", async () => {
    const words = { what: "Cannot read", why: "batch 1 is damaged", todo: "Wait" };
    let failures = 0;
    const node = await ReplicaNode.make((log) => ({
      read: (request) => {
        if (!request.unsynced || failures > 0) return log.read(request);
        failures += 1;
        return Promise.reject(new TailraceError("damaged", words));
      },
    }));
    await node.wins();
    node.replica.want();
    await until(() => node.log.durableEnd.index === 2);
    const hello: Hello = { from: "2", disk: "22".repeat(16), incarnation: 1, number: 1 };
    const { term, digest } = present(
      (await node.log.read({ from: { index: 0 }, belowIndex: 1, maxBytes: 1 }))[0],
      "it is",
    );
    const position = { next: 1, before: { term, digest }, durable: 1, credit: 1 << 20, committedOnly: false };
    node.driver.accepted(hello);
    node.driver.fromFollower(hello, [{ kind: "fetch", group, term: 1, id: 1, replica: second, ...position }]);
    await until(() => node.net.answered.some(({ kind }) => kind === "batches"));
    assert.equal(failures, 1);
    node.driver.stop();
  });

  test("a cut that meets damage is done when that is mended, and the replica follows on", async () => {
    const path = temporaryFolder();
    const node = await ReplicaNode.make(() => ({}), { path });
    await node.wins();
    // So large that they go to a segment at once.
    const lost = ["a", "b"].map((text) => node.replica.append(records(text.repeat(300_000))));
    for (const one of lost) one.catch(() => {});
    await until(() => node.log.durableEnd.index === 4);
    const stored = (await node.log.read({ from: { index: 2 }, belowIndex: 4, maxBytes: 1 << 20 })).map(coreBatch);
    const files = fs.readdirSync(path, { recursive: true, encoding: "utf8" }).map((name) => `${path}/${name}`);
    const segment = files.find((file) => file.endsWith(".log") && fs.readFileSync(file).includes("aaaa"));
    spoil(present(segment, "it is in a segment"), "aaaa");

    const vote = { kind: "vote", group, to: node.self, pre: false, last: { term: 1, end: 9 } } as const;
    node.hears({ ...vote, term: 2, from: second });
    await node.followsSecond(2);
    node.receives({ kind: "diverged", group, term: 2, id: node.lastFetch, atTerm: 1, end: 3 });
    await until(() => node.core.repairing);
    // Nobody has it at first.
    node.clock.passes();
    node.net.batches = joinBytes(stored.map(({ bytes }) => bytes));
    await until(() => {
      node.clock.passes();
      return !node.core.repairing;
    });
    assert.equal(node.replica.changing, 0);
    assert.equal(node.log.end.index, 3);
    assert.equal(await node.log.selfCheck(), undefined);

    node.net.said.length = 0;
    await node.followsSecond(2);
    node.receives({ kind: "following", group, term: 2, id: node.lastFetch, commit: 3 });
    assert.equal(node.core.log.commit, 3);
    node.driver.stop();
  });

  test("damage in what others have let go by a trim keeps a replica from following no longer than they say so", async () => {
    const node = await ReplicaNode.make(() => ({ selfCheck: async () => ({ index: 0 }) }));
    const seen: string[] = [];
    node.replica.onRole(() => seen.push(node.core.repairing ? "repairing" : "whole"));
    node.replica.met(new TailraceError("damaged", { what: "Cannot read", why: "it is damaged", todo: "Wait" }));
    await until(() => node.core.repairing);
    // The others have neither that part nor a later base yet: they are asked again.
    node.clock.passes();
    assert.equal(node.core.repairing, true);
    node.net.baseIndex = 1;
    await until(() => {
      node.clock.passes();
      return !node.core.repairing;
    });
    assert.ok(seen.includes("repairing"));
    await node.followsSecond(1);
    node.driver.stop();
  });

  test("what is to be mended of a log that is removed meanwhile is let be", async () => {
    const node = await ReplicaNode.make(() => ({ selfCheck: async () => ({ index: 0 }) }));
    node.replica.met(new TailraceError("damaged", { what: "Cannot read", why: "it is damaged", todo: "Wait" }));
    await until(() => node.core.repairing);
    node.driver.closeGroup(group);
    await node.driver.options.folder.remove(group);
    // What goes wrong from here on nobody waits for: it would end the process.
    for (let i = 0; i < 10; i++) {
      node.clock.passes();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.equal(node.driver.group(group), undefined);
  });

  test("who asks anything of a replica that has ended is told so at once", async () => {
    const node = await ReplicaNode.make(() => ({}), { isAlone: true });
    node.replica.want();
    await until(() => node.core.role.kind === "leader");
    const { replica } = node;
    replica.end("the node stopped");
    await assert.rejects(replica.append(records("a")), { name: "NotLeaderError" });
    await assert.rejects(replica.linearize(), { name: "NotLeaderError" });
    await assert.rejects(replica.change([node.self, second]), { name: "RefusedError", message: "the node stopped" });
    await assert.rejects(replica.transfer(), { name: "RefusedError", message: "the node stopped" });
    node.driver.stop();
  });

  test("who asks anything of a replica that is not open yet is told so at once", async () => {
    const asked: Promise<void>[] = [];
    const node = await ReplicaNode.make(() => ({}), {
      added: (replica) => {
        const notOpen = { name: "RefusedError", message: "the log is not open yet" };
        asked.push(assert.rejects(replica.linearize(), { name: "NotLeaderError" }));
        asked.push(assert.rejects(replica.change([second]), notOpen), assert.rejects(replica.transfer(), notOpen));
      },
    });
    await Promise.all(asked);
    await assert.rejects(node.replica.transfer(), { message: "this replica does not lead" });
    node.driver.stop();
  });

  test("a trim whose files are still there stays due, though a later one is cut off", async () => {
    const node = await ReplicaNode.make(() => ({}));
    const { replica } = node;
    node.log.setCommit(1);
    await until(() => node.log.commit.index === 1);
    replica.trimmed(3, 2);
    replica.trimAgain(1);
    replica.cutTrims(3);
    assert.equal(replica.takeDueBase(), 1);
    assert.equal(replica.takeDueBase(), 0);
    node.driver.stop();
  });

  test("a log that was fetched in part when the node stopped is no whole one after its start, unless its replica votes", async () => {
    for (const { isNamed, isObserver, isIncomplete } of [
      { isNamed: false, isObserver: false, isIncomplete: true },
      { isNamed: false, isObserver: true, isIncomplete: false },
      { isNamed: true, isObserver: false, isIncomplete: false },
    ]) {
      const node = await ReplicaNode.make(() => ({}), { before: oneBatch, isNamed });
      assert.equal(new ClusterLog(node.replica, owner, { isObserver }).isIncomplete, isIncomplete);
      node.driver.stop();
    }
  });

  test("before anybody says what is committed a log is told of up to its base, which always is", async () => {
    const node = await ReplicaNode.make(() => ({}), { before: oneBatch });
    const { index, digest } = await new ClusterLog(node.replica, owner).committed();
    assert.equal(index, 1);
    assert.deepEqual(digest, await node.log.digestAt(0));
    node.driver.stop();
  });

  test("a log that begins anew while it is told of is told of as it is then", async () => {
    let isAnew = false;
    const gone = (log: GroupLog) => async (index: number) => {
      if (isAnew) return await log.digestAt(index);
      // What was committed goes under the first look.
      isAnew = true;
      log.setCommit(2);
      return undefined;
    };
    const node = await ReplicaNode.make((log) => ({ digestAt: gone(log) }), { before: oneBatch });
    const door = new ClusterLog(node.replica, owner);
    assert.deepEqual(await door.committed(), { index: 2, digest: await node.log.digestAt(1) });
    node.driver.stop();
  });

  test("a lone voter of which something is wanted before it is open leads when it is, and another does not", async () => {
    const wanted = await ReplicaNode.make(() => ({}), { isAlone: true, added: (replica) => replica.want() });
    await until(() => wanted.core.role.kind === "leader");
    const idle = await ReplicaNode.make(() => ({}), { isAlone: true });
    assert.equal(idle.core.role.kind, "follower");
  });

  test("no more appends are taken than may wait to be committed", async () => {
    const node = await ReplicaNode.make(() => ({}), { settings: { ...lanSettings, uncommittedMaxBatches: 3 } });
    await node.wins();
    // The term's first batch is one of them.
    const taken = ["a", "b"].map((text) => node.replica.append(records(text)));
    for (const one of taken) one.catch(() => {});
    await until(() => node.log.durableEnd.index === 4);
    await assert.rejects(node.replica.append(records("c")), {
      reason: "limit",
      message: /the limit uncommitted_max_batches is 3/,
    });
    assert.equal(node.log.end.index, 4);
    node.driver.stop();
  });

  test("no more reads wait than may, and who is refused is told so", async () => {
    const node = await ReplicaNode.make(() => ({}), { settings: { ...lanSettings, readsMax: 2 } });
    await node.wins();
    const waiting = [node.replica.linearize(), node.replica.linearize()];
    await assert.rejects(node.replica.linearize(), { name: "RefusedError", message: "the limit reads_max is 2" });
    const refused = waiting.map((one) => assert.rejects(one, { name: "NotLeaderError" }));
    node.hears({ kind: "lead", group, term: 9, from: third, to: node.self });
    await Promise.all(refused);
    node.driver.stop();
  });

  test("more voters than a replica can keep the names of are refused before they are written", async () => {
    const node = await ReplicaNode.make(() => ({}), { isAlone: true });
    node.replica.want();
    await until(() => node.core.role.kind === "leader");
    const others = [..."abcdefghijklmn"].map((letter) => replicaId(letter.repeat(63), "ff".repeat(16), 0));
    await assert.rejects(node.replica.change([node.self, ...others]), {
      name: "RefusedError",
      message: /^the names of 15 voters take \d+ bytes, and a replica keeps 1024 at most$/,
    });
    node.driver.stop();
  });

  test("a fault in the middle of a step is told, and nothing more is taken, whatever who called makes of it", async () => {
    const faults: unknown[] = [];
    const fault = new Error("an invariant does not hold");
    let steps = 0;
    const folder = await openFolder(temporaryFolder());
    const driver = new RaftDriver({
      ...{ node: "1", disk: hexOf(folder.diskId), incarnation: 1, folder, net: new SilentNet() },
      ...{ clock: new HandClock(), hash: systemHash, random: () => 0.5, settings: lanSettings },
      stepped: () => {
        steps += 1;
        throw fault;
      },
      broken: (error) => faults.push(error),
    });
    driver.called("2", []);
    driver.called("2", []);
    assert.deepEqual([steps, faults, driver.isStopped], [1, [fault], true]);
  });

  test("a fault in the writing of a term's first batch ends the node, and a refusal does not", async () => {
    const words = { what: "Cannot append", why: "the folder closes", todo: "Wait" };
    for (const { error, isFault } of [
      { error: new AssertionError("an invariant does not hold"), isFault: true },
      { error: new TailraceError("not_ready", words), isFault: false },
      { error: new NoRoomError("the disk is full"), isFault: false },
    ]) {
      const faults: unknown[] = [];
      let asked = 0;
      const append = () => {
        asked += 1;
        return Promise.reject(error);
      };
      const node = await ReplicaNode.make(() => ({ append }), { isAlone: true, broken: (fault) => faults.push(fault) });
      node.replica.want();
      await until(() => asked > 0);
      await until(() => (isFault ? faults.length > 0 : node.core.role.kind !== "leader"));
      assert.deepEqual(faults, isFault ? [error] : []);
      node.driver.stop();
    }
  });

  test("batches that do not begin where the log ends are not taken, and asked for again", async () => {
    const node = await ReplicaNode.make(() => ({}));
    await node.followsSecond(1);
    const answer = { group, term: 1, id: node.lastFetch, commit: 1 };
    node.receives({ kind: "following", ...answer });
    const batch = { index: 7, term: 1, digest: new Uint8Array(32), kind: BatchKind.records, bytes: new Uint8Array(0) };
    node.receives({ kind: "batches", ...answer, batches: [batch] });
    assert.equal(node.core.log.end, 1);
    assert.equal(sourceOf(node.core)?.answered, false);
    node.driver.stop();
  });

  test("what was cut off is refused, all of it, once one batch of a higher term is committed before it", async () => {
    const node = await ReplicaNode.make(() => ({}));
    await node.wins();
    const lost = ["a", "b"].map((text) => node.replica.append(records(text)));
    const refused = lost.map((one) =>
      assert.rejects(one, { name: "RefusedError", message: "another batch has its place" }),
    );
    await until(() => node.log.durableEnd.index === 4);
    const [begun] = await batchesOf({ voters: node.core.log.voters, term: 2 });

    const vote = { kind: "vote", group, to: node.self, pre: false, last: { term: 1, end: 9 } } as const;
    node.hears({ ...vote, term: 2, from: second });
    await node.followsSecond(2);
    node.receives({ kind: "diverged", group, term: 2, id: node.lastFetch, atTerm: 0, end: 1 });
    await node.fetch();
    const answer = { group, term: 2, id: node.lastFetch, commit: 2 };
    const batches = [present(begun, "it was written")];
    node.receives({ kind: "following", ...answer }, { kind: "batches", ...answer, batches });
    await Promise.all(refused);
    assert.equal(node.core.log.commit, 2);
    node.driver.stop();
  });

  test("what waits while a log begins anew is answered when it did, and not by what it held", async () => {
    const begins = gate();
    const node = await ReplicaNode.make((log) => ({
      install: async (bytes) => {
        await begins.passed;
        await log.install(bytes);
      },
    }));
    await node.wins();
    const answers: string[] = [];
    const lost = ["a", "b", "c"].map((text) => node.replica.append(records(text)));
    for (const one of lost) {
      one.then(
        () => answers.push("appended"),
        (error: Error) => answers.push(error.name),
      );
    }
    await until(() => node.log.durableEnd.index === 5);
    const [, checkpoint] = await batchesOf({ voters: node.core.log.voters, term: 2, rolled: 1 });
    assert.ok(checkpoint?.before);

    const vote = { kind: "vote", group, to: node.self, pre: false, last: { term: 1, end: 9 } } as const;
    node.hears({ ...vote, term: 2, from: second });
    await node.followsSecond(2);
    const { before, index: base } = checkpoint;
    assert.equal(base, 2);
    node.receives({ kind: "restart", group, term: 2, id: node.lastFetch, base, before });
    await node.fetch();
    const anew = { group, term: 2, id: node.lastFetch, commit: base + 1 };
    node.receives({ kind: "following", ...anew }, { kind: "batches", ...anew, batches: [checkpoint] });
    await until(() => node.core.log.base.index === base);
    // An append that had its place before is on the disk only now.
    node.replica.settle();
    await node.log.read({ from: { index: 0 }, belowIndex: 1, maxBytes: 1 });
    assert.deepEqual(answers, []);
    begins.open();
    await until(() => answers.length === 3);
    assert.deepEqual(answers, ["RefusedError", "RefusedError", "RefusedError"]);
    node.driver.stop();
  });

  test("of batches that can't be read the one that was to come is named bad", async () => {
    const node = await ReplicaNode.make(() => ({}), { before: oneBatch });
    await node.followsSecond(1);
    const answer = { group, term: 1, id: node.lastFetch, commit: 1 };
    // So it is read from the wire: nothing says which batch it is.
    const unreadable = { kind: "batches", ...answer, batches: [], bad: -1 } as const;
    node.receives({ kind: "following", ...answer }, unreadable);
    await until(() => node.net.said.some(({ kind }) => kind === "badBatch"));
    const { index } = node.log.end;
    assert.deepEqual(node.net.said.at(-1), { kind: "badBatch", group, term: 1, index });
    node.driver.stop();
  });

  test("an append is answered although one that was cut off waits for a later place", async () => {
    const node = await ReplicaNode.make(() => ({}));
    await node.wins();
    const lost = ["a", "b", "c"].map((text) => node.replica.append(records(text)));
    for (const one of lost) one.catch(() => {});
    await until(() => node.log.durableEnd.index === 5);

    const vote = { kind: "vote", group, to: node.self, pre: false, last: { term: 1, end: 9 } } as const;
    node.hears({ ...vote, term: 2, from: second });
    await node.followsSecond(2);
    node.receives({ kind: "diverged", group, term: 2, id: node.lastFetch, atTerm: 1, end: 2 });
    await node.fetch();
    node.receives({ kind: "following", group, term: 2, id: node.lastFetch, commit: 2 });
    await node.wins();
    const appended = node.replica.append(records("d"));
    await until(() => node.log.durableEnd.index === 4);

    const hello: Hello = { from: "2", disk: "22".repeat(16), incarnation: 1, number: 1 };
    const { term, digest } = node.log.durableEnd;
    const position = { next: 4, before: { term, digest }, durable: 4, credit: 1 << 20, committedOnly: false };
    node.driver.accepted(hello);
    node.driver.fromFollower(hello, [{ kind: "fetch", group, term, id: 1, replica: second, ...position }]);
    assert.equal((await appended).index, 3);
    node.driver.stop();
  });
});
