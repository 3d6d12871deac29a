/**
 * Clients of all protocols that append and read at once, until they are told to stop; and readers that follow.
 * @module
 */
import * as crypto from "node:crypto";
import { present } from "../../../src/base/assert.ts";
import { toRequestError } from "../../../src/client/errors.ts";
import { followParts } from "../../../src/client/follower.ts";
import { atOffset } from "../../../src/client/reader.ts";
import { backoffMs } from "../../../src/client/retry.ts";
import type { AppendOutcome, Consistency, SeenBatch } from "../../../src/sim/history/history.ts";
import { fromPosition } from "../../../src/wire/position.ts";
import type { Seeded } from "../../support/seeded.ts";
import { type AppendWish, ClusterClient, connect, type Protocol, protocols, seen } from "./cluster-client.ts";
import type { ClusterNode } from "./node-process.ts";
import { Recorder } from "./recorder.ts";

/** Between two operations of a client, milliseconds: so that the machine has time for the nodes. */
const restMs = { least: 2, most: 20 };
const recordsMax = 3;
/** One who follows has all that there is so soon. */
const followMaxMs = 30_000;
const createMaxMs = 5_000;
const createTriesMax = 100;
/** So many records before the end a reader begins at most. */
const backMax = 30;

export interface LoadOptions {
  readonly nodes: readonly ClusterNode[];
  readonly stream: string;
  readonly random: Seeded;
  /** Where the stream is followed; left out: at all nodes. One that is not up yet is waited for. */
  readonly followAt?: readonly ClusterNode[];
  /** Of the stream; left out: by default. */
  readonly replicationFactor?: number;
}

/** How long an append took with all its tries. */
export interface Appended {
  readonly tookMs: number;
  readonly tries: number;
}

export class Load {
  readonly recorder = new Recorder();
  /** What those that follow the stream were given, each from the beginning. */
  readonly followed: SeenBatch[][] = [];
  /** Of each append with a producer, which is tried until it is there. */
  readonly appended: Appended[] = [];
  /** Batches of producers that were refused, though all before them were acknowledged: the end of their producers. */
  readonly outOfPlace: string[] = [];
  /** How many appends were acknowledged so far. */
  acks = 0;
  readonly #options: LoadOptions;
  /** Told of each append that is acknowledged, when it was called. */
  readonly #waiting = new Set<(invokedMs: number) => void>();
  readonly #stopping = new AbortController();
  readonly #leaving = new AbortController();
  readonly #running: Promise<void>[] = [];
  readonly #following: Promise<void>[] = [];
  #nextOffset = 0;
  #number = 0;

  private constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** Makes the stream, and starts three writers, a reader and a follower of each protocol. */
  static async start(options: LoadOptions): Promise<Load> {
    await makeStream(options);
    const load = new Load(options);
    for (const protocol of protocols) {
      for (const loop of [load.#produce, load.#write, load.#append, load.#read]) {
        load.#run(loop, load.#client(load.#number++, protocol));
      }
      load.#follow(protocol, load.#number);
    }
    return load;
  }

  /** Further readers, that ask one node only, for all that was acknowledged before. */
  readAt(node: ClusterNode): void {
    const { stream } = this.#options;
    const { recorder } = this;
    for (const protocol of protocols) {
      const client = new ClusterClient({ number: this.#number++, protocol, nodes: [node], recorder });
      this.#run(async () => {
        while (!this.#isStopping) {
          await client.read({ stream, from: this.#nextOffset, consistency: { kind: "linearizable" } });
          await this.#rest();
        }
      }, client);
    }
  }

  /** All end what they are at; nobody waits for them. */
  abandon(): void {
    this.#stopping.abort();
    this.#leaving.abort();
  }

  /** Writers and readers end what they are at, and no more is begun. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running);
  }

  /** Those that follow go when each has been given so many batches. */
  async stopFollowing(batches: number): Promise<void> {
    const begin = performance.now();
    while (this.followed.some(({ length }) => length < batches)) {
      await Promise.race([sleep(20), Promise.all(this.#following)]);
      if (performance.now() - begin < followMaxMs) continue;
      const given = this.followed.map(({ length }) => length).join(", ");
      throw new Error(`those that follow were given ${given} of ${batches} batches within ${followMaxMs} ms`);
    }
    this.#leaving.abort();
    await Promise.all(this.#following);
  }

  /**
   * Resolves with the time from now to the first acknowledgement of an append that is called from now on, milliseconds.
   * @throws {Error} None came within `waitMaxMs`.
   */
  async nextAck(waitMaxMs: number): Promise<number> {
    const beginMs = performance.now();
    return await new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        this.#waiting.delete(acknowledged);
      };
      const acknowledged = (invokedMs: number) => {
        if (invokedMs < beginMs) return;
        end();
        resolve(performance.now() - beginMs);
      };
      const timer = setTimeout(() => {
        end();
        reject(new Error(`no append was acknowledged for ${waitMaxMs} ms`));
      }, waitMaxMs);
      this.#waiting.add(acknowledged);
    });
  }

  #client(number: number, protocol: Protocol): ClusterClient {
    const { nodes } = this.#options;
    return new ClusterClient({ number, protocol, nodes, recorder: this.recorder });
  }

  #run(loop: (client: ClusterClient) => Promise<void>, client: ClusterClient): void {
    const running = loop.call(this, client).finally(() => client.close());
    // It is thrown where the load is stopped.
    running.catch(() => {});
    this.#running.push(running);
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Batches of a producer, each until it is there. */
  async #produce(client: ClusterClient): Promise<void> {
    const id = crypto.randomBytes(16).toString("hex");
    for (let sequence = 0; !this.#isStopping; sequence++) {
      const value = `p${client.number}-${sequence}`;
      const wish = { value, count: this.#count(), producer: { id, epoch: 0, sequence } };
      const beginMs = performance.now();
      for (let tries = 1; ; tries++) {
        const { kind } = await this.#try(client, wish);
        if (kind === "refused") {
          this.outOfPlace.push(value);
          return;
        }
        if (kind === "ok" || kind === "duplicate") {
          this.appended.push({ tookMs: performance.now() - beginMs, tries });
          break;
        }
        if (this.#isStopping) return;
        await sleep(backoffMs(tries - 1));
      }
      await this.#rest();
    }
  }

  /** Batches that are sent once each. */
  async #write(client: ClusterClient): Promise<void> {
    for (let serial = 0; !this.#isStopping; serial++) {
      const { kind } = await this.#try(client, { value: `w${client.number}-${serial}`, count: this.#count() });
      if (kind !== "ok") await sleep(backoffMs(0));
      await this.#rest();
    }
  }

  /** Batches that are to stand where the writer last saw the end. */
  async #append(client: ClusterClient): Promise<void> {
    let expectedOffset = 0;
    for (let serial = 0; !this.#isStopping; serial++) {
      const wish = { value: `c${client.number}-${serial}`, count: this.#count(), expectedOffset };
      const outcome = await this.#try(client, wish);
      if (outcome.kind === "ok") expectedOffset = outcome.nextOffset;
      else if (outcome.kind === "refused" && outcome.shown.kind === "offset") expectedOffset = outcome.shown.nextOffset;
      else await sleep(backoffMs(0));
      if (outcome.kind !== "refused") await this.#rest();
    }
  }

  async #read(client: ClusterClient): Promise<void> {
    const { random, stream } = this.#options;
    const consistencies: (() => Consistency)[] = [
      () => ({ kind: "local" }),
      () => ({ kind: "linearizable" }),
      () => ({ kind: "atLeast", offset: this.#nextOffset }),
    ];
    for (let i = random.between(0, 2); !this.#isStopping; i++) {
      const consistency = consistencies[i % consistencies.length]?.() ?? { kind: "local" };
      const from = Math.max(0, this.#nextOffset - random.between(0, backMax));
      const { kind } = await client.read({ stream, from, consistency, maxRecords: random.between(0, 1) * 10 });
      if (kind !== "ok") await sleep(backoffMs(0));
      await this.#rest();
    }
  }

  /** Follows at one node, whatever becomes of that. */
  #follow(protocol: Protocol, number: number): void {
    const { nodes, stream, followAt = nodes } = this.#options;
    const node = present(followAt[number % followAt.length], "a load needs nodes");
    const found: SeenBatch[] = [];
    this.followed.push(found);
    const { signal } = this.#leaving;
    const following = (async () => {
      await reached(node, signal);
      const { client, close } = connect(protocol, node.url);
      try {
        for await (const { batches } of followParts(client, { stream, start: atOffset(0), signal })) {
          found.push(...batches.map(seen));
        }
      } finally {
        close();
      }
    })();
    following.catch(() => {});
    this.#following.push(following);
  }

  async #try(client: ClusterClient, wish: Omit<AppendWish, "stream">): Promise<AppendOutcome> {
    const invokedMs = performance.now();
    const outcome = await client.append({ stream: this.#options.stream, ...wish });
    if (outcome.kind !== "ok") return outcome;
    this.acks++;
    this.#nextOffset = Math.max(this.#nextOffset, outcome.nextOffset);
    for (const acknowledged of this.#waiting) acknowledged(invokedMs);
    return outcome;
  }

  #count(): number {
    return this.#options.random.between(1, recordsMax);
  }

  #rest(): Promise<void> {
    return sleep(this.#options.random.between(restMs.least, restMs.most));
  }
}

/** Resolves when a node takes requests: one who follows is told when it is not reached at the very first try. */
async function reached(node: ClusterNode, signal: AbortSignal): Promise<void> {
  while (!node.isUp && !signal.aborted) await sleep(100);
  if (!signal.aborted) await node.ready();
}

/** A cluster that has just begun may refuse for a while. */
async function makeStream({ nodes, stream, replicationFactor }: LoadOptions): Promise<void> {
  const settings = replicationFactor === undefined ? {} : { replicationFactor: fromPosition(replicationFactor) };
  for (let tries = 0; ; tries++) {
    const { client, close } = connect("gRPC", present(nodes[tries % nodes.length], "a load needs nodes").url);
    try {
      await client.streams.createStream({ name: stream, settings }, { timeoutMs: createMaxMs });
      return;
    } catch (error) {
      if (tries === createTriesMax || !toRequestError(error).isWorthATry) throw error;
      await sleep(backoffMs(0));
    } finally {
      close();
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
