/**
 * Clients of a simulated cluster. Each does one thing after the other, and writes down what it asked for and what it was
 * told. A producer asks again, with the same sequence, until it knows; others take what they are told.
 * @module
 */
import type { ProducerStamp } from "../../base/batch.ts";
import type { NodeId } from "../../raft/types.ts";
import { nodeOf } from "../../raft/types.ts";
import { hexOf } from "../../replica/core-batch.ts";
import { NotLeaderError, RefusedError } from "../../replica/replica-errors.ts";
import type { AppendOutcome, Moment, Operation, ReadOperation } from "../history/history.ts";
import { SimRandom } from "../random.ts";
import type { SimNode } from "./node.ts";
import type { AppendAnswer, AppendRequest, ReadAnswer } from "./stream.ts";
import { count, type World } from "./world.ts";

/** How long a client waits for one answer, virtual milliseconds. */
const patienceMs = 3000;

/** What all clients wrote down. */
export class Histories {
  readonly operations: Operation[] = [];
  readonly #world: World;
  #order = 0;

  constructor(world: World) {
    this.#world = world;
  }

  now(): Moment {
    this.#order += 1;
    return { ms: this.#world.timeline.nowMs, order: this.#order };
  }

  add(operation: Operation): void {
    this.operations.push(operation);
  }
}

/** What came of one try. */
type Try<T> =
  | { readonly kind: "answer"; readonly answer: T }
  | { readonly kind: "not there"; readonly leader: NodeId | null }
  | { readonly kind: "refused" }
  | { readonly kind: "unknown" };

/** One client. */
export class SimClient {
  readonly #world: World;
  readonly #nodes: readonly SimNode[];
  readonly #histories: Histories;
  readonly #client: number;
  readonly #random: SimRandom;
  readonly #leaders = new Map<number, NodeId>();
  readonly #producers = new Map<number, { id: Uint8Array; epoch: number; sequence: number }>();
  #values = 0;
  /** Offsets that it saw, by group: what it expects next. */
  readonly #seen = new Map<number, number>();
  isDone = false;

  constructor(world: World, nodes: readonly SimNode[], histories: Histories, client: number) {
    this.#world = world;
    this.#nodes = nodes;
    this.#histories = histories;
    this.#client = client;
    this.#random = SimRandom.of(world.seed, 4, client);
  }

  /** Does things until it is told to stop. */
  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await this.#sleep(this.#random.between(1, this.#world.plan.thinkMaxMs));
      const groups = [...this.#world.groups.values()].filter(({ isDeleted }) => !isDeleted);
      const record = groups[this.#random.between(0, groups.length - 1)];
      if (!record) continue;
      const what = this.#random.fraction();
      if (what < 0.45) await this.#append(record.group, {}, 3);
      else if (what < 0.6) await this.produce(record.group, isOver);
      else if (what < 0.7) await this.#append(record.group, { expectedOffset: this.#seen.get(record.group) ?? 0 }, 3);
      else if (what < 0.97) await this.#read(record.group);
      else await this.#trim(record.group);
    }
    this.isDone = true;
  }

  /** Appends until it is acknowledged, or the group is deleted: whether that came in time. */
  async appendUntil(group: number, isOver: () => boolean): Promise<boolean> {
    while (!isOver() && !this.#world.groups.get(group)?.isDeleting) {
      if (await this.#append(group, {}, 100)) return true;
      await this.#sleep(50);
    }
    return this.#world.groups.get(group)?.isDeleting === true;
  }

  /** Appends at an offset, once. */
  async appendAt(group: number, expectedOffset: number): Promise<void> {
    await this.#append(group, { expectedOffset }, 1);
  }

  async #append(
    group: number,
    options: { producer?: ProducerStamp; expectedOffset?: number },
    tries: number,
  ): Promise<boolean> {
    const { value, count: records } = this.#newValue();
    const outcome = await this.#appendValue(group, { value, count: records, ...options }, tries);
    return outcome.kind === "ok" || outcome.kind === "duplicate";
  }

  /** The next batch of this client's producer: asked again until its fate is known. */
  async produce(group: number, isOver: () => boolean): Promise<void> {
    const known = this.#producers.get(group);
    const producer = known ?? { id: new Uint8Array(16).fill(this.#client + 1), epoch: 0, sequence: 0 };
    this.#producers.set(group, producer);
    const { value, count: records } = this.#newValue();
    for (;;) {
      const request = { value, count: records, producer: { ...producer } };
      const outcome = await this.#appendValue(group, request, 3);
      if (outcome.kind === "ok" || outcome.kind === "duplicate") {
        producer.sequence += 1;
        return;
      }
      if (this.#world.groups.get(group)?.isDeleting) return;
      if (outcome.kind === "refused")
        throw new Error(`producer ${this.#client} was refused its batch ${producer.sequence}`);
      // Not all of them wait for ever: a new epoch shuts out what may still be on its way.
      if (isOver()) return;
      if (this.#random.chance(0.1)) {
        producer.epoch += 1;
        producer.sequence = 0;
        return;
      }
      await this.#sleep(this.#random.between(10, 300));
    }
  }

  async #appendValue(group: number, request: AppendRequest, tries: number): Promise<AppendOutcome> {
    const invoked = this.#histories.now();
    const { producer, ...rest } = request;
    const done = await this.#try(group, tries, (node) => node.process?.streams.get(group)?.append(request), "append");
    const outcome = this.#outcomeOf(group, done);
    const stamp = producer
      ? { producer: { id: hexOf(producer.id), epoch: producer.epoch, sequence: producer.sequence } }
      : {};
    this.#histories.add({
      kind: "append",
      client: this.#client,
      stream: String(group),
      invoked,
      ...rest,
      ...stamp,
      outcome,
    });
    return outcome;
  }

  #outcomeOf(group: number, done: Try<AppendAnswer>): AppendOutcome {
    const returned = this.#histories.now();
    if (done.kind === "unknown") return { kind: "unknown", returned };
    if (done.kind !== "answer") return { kind: "failed", returned };
    const { answer } = done;
    count(this.#world, `client: append ${answer.kind}`);
    switch (answer.kind) {
      case "ok": {
        const { index, baseOffset, nextOffset, digest } = answer.appended;
        this.#seen.set(group, nextOffset);
        try {
          this.#world.invariants.acknowledged(group, index, digest);
        } catch (error) {
          this.#world.fail(error);
        }
        return { kind: "ok", returned, index, baseOffset, nextOffset, digest: hexOf(digest) };
      }
      case "duplicate":
        return { kind: "duplicate", returned, ...(answer.first ? { first: answer.first } : {}) };
      case "offset":
        this.#seen.set(group, answer.nextOffset);
        return { kind: "refused", returned, shown: answer };
      case "producer":
        return { kind: "refused", returned, shown: answer };
      case "closed":
        return { kind: "failed", returned };
    }
  }

  async #read(group: number): Promise<void> {
    const from = Math.max((this.#seen.get(group) ?? 0) - this.#random.between(0, 5), 0);
    const what = this.#random.fraction();
    const atLeast = this.#seen.get(group) ?? 0;
    const consistency: ReadOperation["consistency"] =
      what < 0.6 ? { kind: "linearizable" } : what < 0.8 ? { kind: "local" } : { kind: "atLeast", offset: atLeast };
    const options = {
      linearizable: consistency.kind === "linearizable",
      ...(consistency.kind === "atLeast" ? { atLeast } : {}),
      maxBytes: this.#random.pick([1, 1000, 1 << 20]),
    };
    const invoked = this.#histories.now();
    const isLocal = consistency.kind !== "linearizable";
    const done = await this.#try(
      group,
      3,
      (node) => node.process?.streams.get(group)?.read(from, options),
      isLocal ? "local" : "read",
    );
    const returned = this.#histories.now();
    count(this.#world, `client: ${consistency.kind} read ${done.kind}`);
    const call = { kind: "read", client: this.#client, stream: String(group), from, consistency, invoked } as const;
    if (done.kind !== "answer") {
      this.#histories.add({ ...call, outcome: { kind: "failed", returned } });
      return;
    }
    this.#histories.add({ ...call, outcome: readOutcome(done.answer, returned) });
    if (!done.answer.isLimited) this.#seen.set(group, Math.max(done.answer.highWatermark, this.#seen.get(group) ?? 0));
  }

  async #trim(group: number): Promise<void> {
    // What a replica is to mend with, the others keep until it has.
    if (this.#world.spoiled.has(group)) return;
    await this.#try(group, 2, (node) => node.process?.streams.get(group)?.trim(), "trim");
  }

  /** Asks nodes until one answers. What may have been written is not asked again. */
  async #try<T>(
    group: number,
    tries: number,
    ask: (node: SimNode) => Promise<T> | undefined,
    what: string,
  ): Promise<Try<T>> {
    let last: Try<T> = { kind: "refused" };
    for (let time = 0; time < tries; time++) {
      const node = this.#nodeFor(group, what === "local" || this.#random.chance(this.#world.plan.strayAsks));
      last = await this.#ask(node, ask);
      if (last.kind === "answer" || last.kind === "unknown") return last;
      if (last.kind === "not there" && last.leader !== null) this.#leaders.set(group, last.leader);
      else this.#leaders.delete(group);
      await this.#sleep(this.#random.between(5, 100));
    }
    return last;
  }

  #nodeFor(group: number, anyone: boolean): SimNode {
    const leader = anyone ? undefined : this.#leaders.get(group);
    const known = this.#nodes.find(({ id }) => id === leader);
    if (known) return known;
    const node = this.#nodes[this.#random.between(0, this.#nodes.length - 1)];
    if (!node) throw new Error("a cluster has nodes");
    return node;
  }

  /** One try: the request and the answer take their time, and either may be lost with the process. */
  async #ask<T>(node: SimNode, ask: (node: SimNode) => Promise<T> | undefined): Promise<Try<T>> {
    await this.#sleep(this.#random.fraction() * 2);
    const { process } = node;
    if (!process?.isAlive) return { kind: "not there", leader: null };
    const asked = new Promise<Try<T>>((resolve) => {
      process.run(() => {
        const work = ask(node);
        if (!work) return resolve({ kind: "not there", leader: null });
        work.then(
          (answer) => resolve({ kind: "answer", answer }),
          (error: unknown) => resolve(this.#failure(error)),
        );
      });
    });
    const late = this.#sleep(patienceMs).then((): Try<T> => ({ kind: "unknown" }));
    const answered = await Promise.race([asked, late]);
    await this.#sleep(this.#random.fraction() * 2);
    // The answer of a process that is no more does not arrive; nothing is known then, whatever it was.
    return process.isAlive ? answered : { kind: "unknown" };
  }

  #failure<T>(error: unknown): Try<T> {
    if (error instanceof NotLeaderError)
      return { kind: "not there", leader: error.leader === null ? null : nodeOf(error.leader) };
    if (error instanceof RefusedError) return { kind: "refused" };
    const name = error instanceof Error ? error.name : "";
    if (name === "FateUnknownError" || name === "DiskError") return { kind: "unknown" };
    if (name === "NoRoomError" || name === "TailraceError") return { kind: "refused" };
    this.#world.fail(error);
    return { kind: "unknown" };
  }

  #newValue(): { value: string; count: number } {
    this.#values += 1;
    const filler = this.#random.chance(0.2) ? "x".repeat(this.#random.between(1, 600)) : "";
    return { value: `${this.#client}-${this.#values}-${filler}`, count: this.#random.between(1, 3) };
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#world.timeline.after(ms, resolve);
    });
  }
}

function readOutcome({ batches, highWatermark, isLimited }: ReadAnswer, returned: Moment): ReadOperation["outcome"] {
  return { kind: "ok", returned, batches, highWatermark, ...(isLimited ? { isLimited: true as const } : {}) };
}
