/**
 * Streams whose state changes while faults happen: trims, retention, settings, fences, creations and deletions, each through
 * whatever node answers. What was acknowledged must hold at the end, on all nodes.
 * @module
 */
import assert from "node:assert/strict";
import * as crypto from "node:crypto";
import { Code } from "@connectrpc/connect";
import { present } from "../../../src/base/assert.ts";
import { producerMessage } from "../../../src/client/append.ts";
import type { TailraceClient } from "../../../src/client/client.ts";
import { type RequestError, toRequestError } from "../../../src/client/errors.ts";
import { atOffset } from "../../../src/client/reader.ts";
import { backoffMs } from "../../../src/client/retry.ts";
import { Reason } from "../../../src/wire/gen/tailrace/v1/error_pb.ts";
import { Form } from "../../../src/wire/gen/tailrace/v1/log_pb.ts";
import type { Seeded } from "../../support/seeded.ts";
import { connect, type Protocol, protocols, seen } from "./cluster-client.ts";
import { agreed } from "./judge.ts";
import type { ClusterNode } from "./node-process.ts";

/** Trimmed and retained: its records are large, so that segments go while the faults last. */
const kept = "changing/kept";
/** Taken over again and again. */
const fenced = "changing/fenced";
/** Created and deleted again. */
const briefly = "changing/brief/";
const requestMaxMs = 2_000;
const valueBytes = { least: 20_000, most: 120_000 };
const restMs = { least: 20, most: 200 };
/** Records that a trim by hand leaves at most. */
const leftMax = 30;

interface Written {
  readonly writer: number;
  readonly number: number;
}

/** Sends to one node until that fails, then to the next. */
class Caller {
  readonly #protocol: Protocol;
  readonly #nodes: readonly ClusterNode[];
  #at: number;
  #connection: ReturnType<typeof connect> | undefined;

  constructor(number: number, nodes: readonly ClusterNode[]) {
    this.#protocol = present(protocols[number % protocols.length], "there are protocols");
    this.#nodes = nodes;
    this.#at = number % nodes.length;
  }

  /** @throws {RequestError} */
  async call<T>(ask: (client: TailraceClient, options: { timeoutMs: number }) => Promise<T>): Promise<T> {
    const node = present(this.#nodes[this.#at], "a cluster has nodes");
    this.#connection ??= connect(this.#protocol, node.url);
    try {
      return await ask(this.#connection.client, { timeoutMs: requestMaxMs });
    } catch (error) {
      const failure = toRequestError(error);
      if (failure.isWorthATry || failure.code === Code.DeadlineExceeded) {
        this.close();
        this.#at = (this.#at + 1) % this.#nodes.length;
      }
      throw failure;
    }
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}

export class Changing {
  readonly #nodes: readonly ClusterNode[];
  readonly #random: Seeded;
  readonly #running: Promise<void>[] = [];
  readonly #counts = new Map<string, number>();
  #isStopping = false;
  #callers = 0;
  /** Acknowledged records of `kept`, by their offsets. */
  readonly #written = new Map<number, Written>();
  #end = 0;
  #trimmed = 0;
  #settingsVersion = 1;
  #lastToken = "";
  /** Tokens that may be in force: of the newest nobody may have told yet. */
  #tokens: readonly string[] = [];
  readonly #heldBriefly = new Set<string>();

  private constructor(nodes: readonly ClusterNode[], random: Seeded) {
    this.#nodes = nodes;
    this.#random = random;
  }

  /** Makes the streams and begins to change them. */
  static async start(nodes: readonly ClusterNode[], random: Seeded): Promise<Changing> {
    const changing = new Changing(nodes, random);
    const settings = { segmentMaxBytes: 1n << 20n, retentionBytes: 1n << 22n };
    const caller = changing.#caller();
    await changing.#until(caller, "create", (client, options) =>
      client.streams.createStream({ name: kept, settings }, options),
    );
    await changing.#until(caller, "create", (client, options) =>
      client.streams.createStream({ name: fenced }, options),
    );
    caller.close();
    for (const loop of [
      changing.#write,
      changing.#write,
      changing.#trim,
      changing.#set,
      changing.#fence,
      changing.#brief,
    ]) {
      const running = loop.call(changing, changing.#caller());
      // It is thrown where the changes are stopped.
      running.catch(() => {});
      changing.#running.push(running);
    }
    return changing;
  }

  /** All end what they are at; nobody waits for them. */
  abandon(): void {
    this.#isStopping = true;
  }

  /** Stops, and compares what all nodes have with what was acknowledged. */
  async judge(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#running);
    for (const name of ["_meta", kept, fenced]) await agreed(this.#nodes, name);
    for (const node of this.#nodes) await this.#judgeAt(node);
    const told = [...this.#counts].sort().map(([what, count]) => `${what} ${count}`);
    console.log(`${told.join(", ")}; ${kept} begins at ${this.#trimmed} or later`);
  }

  #caller(): Caller {
    return new Caller(this.#callers++, this.#nodes);
  }

  /** Calls until it is answered, or refused for what is true of the stream; undefined: the test stops. */
  async #until<T>(
    caller: Caller,
    what: string,
    ask: (client: TailraceClient, options: { timeoutMs: number }) => Promise<T>,
  ): Promise<T | RequestError | undefined> {
    for (let tries = 0; !this.#isStopping; tries++) {
      try {
        const answer = await caller.call(ask);
        this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
        return answer;
      } catch (error) {
        const failure = toRequestError(error);
        // What is no append says nothing of its fate, and may be sent again.
        if (!failure.isWorthATry && failure.code !== Code.DeadlineExceeded) return failure;
        await sleep(backoffMs(tries));
      }
    }
    return undefined;
  }

  async #write(caller: Caller): Promise<void> {
    const writer = this.#running.length;
    const id = Uint8Array.from(crypto.randomBytes(16));
    for (let number = 0; !this.#isStopping; number++) {
      const value = new Uint8Array(this.#random.between(valueBytes.least, valueBytes.most)).fill(0x20);
      value.set(new TextEncoder().encode(JSON.stringify({ writer, number })));
      const producer = producerMessage({ id, epoch: 0 }, number);
      const answer = await this.#until(caller, "append", ({ log }, options) =>
        log.append({ stream: kept, records: [{ value }], producer }, options),
      );
      if (answer === undefined) return;
      if (answer instanceof Error) throw answer;
      // What is told of a duplicate that was trimmed meanwhile may lack its place.
      if (answer.startOffset !== undefined) this.#written.set(Number(answer.startOffset), { writer, number });
      this.#end = Math.max(this.#end, Number(answer.nextOffset ?? 0n));
      await this.#rest();
    }
  }

  async #trim(caller: Caller): Promise<void> {
    while (!this.#isStopping) {
      const logStart = BigInt(Math.max(0, this.#end - this.#random.between(0, leftMax)));
      const answer = await this.#until(caller, "trim", ({ streams }, options) =>
        streams.trimStream({ name: kept, logStart }, options),
      );
      if (answer === undefined) return;
      if (answer instanceof Error) throw answer;
      assert.ok(answer.logStart >= logStart, `a trim to ${logStart} was answered with log start ${answer.logStart}`);
      this.#trimmed = Math.max(this.#trimmed, Number(answer.logStart));
      await this.#rest(10);
    }
  }

  async #set(caller: Caller): Promise<void> {
    for (let i = 1; !this.#isStopping; i++) {
      const retentionBytes = BigInt((1 << 20) + i);
      const expectedSettingsVersion = BigInt(this.#settingsVersion);
      const request = { name: kept, settings: { retentionBytes }, expectedSettingsVersion };
      const answer = await this.#until(caller, "set", ({ streams }, options) => streams.updateStream(request, options));
      if (answer === undefined) return;
      const now = answer instanceof Error ? answer.detail : answer.stream;
      if (answer instanceof Error && answer.detail?.reason !== Reason.SETTINGS_CHANGED) throw answer;
      // It was refused because a try of which nobody told was done: never for less than what was told.
      const version = Number(now?.settingsVersion ?? 0n);
      assert.ok(version > this.#settingsVersion, `settings had version ${this.#settingsVersion}, and have ${version}`);
      this.#settingsVersion = version;
      await this.#rest(5);
    }
  }

  async #fence(caller: Caller): Promise<void> {
    for (let i = 1; !this.#isStopping; i++) {
      const [last, next] = [this.#lastToken, `token ${i}`];
      this.#tokens = [last, next];
      const taken = await this.#until(caller, "fence", ({ log }, options) =>
        log.fence({ stream: fenced, token: bytesOf(next) }, options),
      );
      if (taken === undefined) return;
      if (taken instanceof Error) throw taken;
      this.#lastToken = next;
      this.#tokens = [next];
      const append = (fence: string) => async () =>
        await this.#until(caller, `append under ${fence === last ? "the last" : "the"} token`, ({ log }, options) =>
          log.append({ stream: fenced, records: [{ value: bytesOf(fence) }], fence: bytesOf(fence) }, options),
        );
      const refused = await append(last)();
      if (refused === undefined) return;
      assert.ok(refused instanceof Error && refused.conflict?.kind === "fenced", `${last} was taken under ${next}`);
      const own = await append(next)();
      if (own === undefined) return;
      if (own instanceof Error) throw own;
      assert.ok((own.startOffset ?? 0n) >= taken.nextOffset, `${next} begins at ${taken.nextOffset}`);
      await this.#rest();
    }
  }

  async #brief(caller: Caller): Promise<void> {
    for (let i = 0; !this.#isStopping; i++) {
      const name = `${briefly}${i}`;
      this.#heldBriefly.add(name);
      const made = await this.#until(caller, "create", ({ streams }, options) =>
        streams.createStream({ name }, options),
      );
      if (made instanceof Error) throw made;
      const answer = await this.#until(caller, "append briefly", ({ log }, options) =>
        log.append({ stream: name, records: [{ value: bytesOf(name) }] }, options),
      );
      if (answer instanceof Error) throw answer;
      const deleted = await this.#until(caller, "delete", ({ streams }, options) =>
        streams.deleteStream({ name }, options),
      );
      if (deleted === undefined) return;
      // A try of which nobody told may have done it.
      if (deleted instanceof Error && deleted.detail?.reason !== Reason.STREAM_NOT_FOUND) throw deleted;
      this.#heldBriefly.delete(name);
      await this.#rest(5);
    }
  }

  async #judgeAt(node: ClusterNode): Promise<void> {
    const { client, close } = connect("gRPC", node.url);
    try {
      const { stream } = await client.streams.getStream({ name: kept });
      assert.ok(stream);
      assert.ok(stream.logStart >= this.#trimmed, `${node.id}: a trim to ${this.#trimmed} was taken back`);
      assert.ok(stream.settingsVersion >= this.#settingsVersion, `${node.id}: settings were taken back`);
      await this.#judgeRecords(client, stream, node.id);
      const { fence } = (await client.streams.getStream({ name: fenced })).stream ?? {};
      const token = new TextDecoder().decode(fence);
      assert.ok(this.#tokens.includes(token), `${node.id}: ${token} is in force, and not ${this.#tokens.join(" or ")}`);
      const { streams } = await client.streams.listStreams({ prefix: briefly, pageSize: 1000 });
      const left = streams.map(({ name }) => name).filter((name) => !this.#heldBriefly.has(name));
      assert.deepEqual(left, [], `${node.id} has streams that were deleted`);
    } finally {
      close();
    }
  }

  /** From log start on each record is there that was acknowledged, and each writer's in their order. */
  async #judgeRecords(
    { log }: TailraceClient,
    { logStart, highWatermark }: { logStart: bigint; highWatermark: bigint },
    node: string,
  ): Promise<void> {
    const found = new Map<number, Written>();
    for (let next = logStart; next < highWatermark; ) {
      const answer = await log.read({ stream: kept, start: { at: atOffset(Number(next)) }, form: Form.PAYLOAD });
      for (const batch of answer.batches) {
        const { baseOffset, value } = seen(batch);
        found.set(baseOffset, JSON.parse(value));
      }
      next = answer.nextOffset;
    }
    const missing = [...this.#written].filter(([offset]) => offset >= logStart && !found.has(offset));
    assert.deepEqual(missing, [], `${node} lacks what was acknowledged`);
    const newest = new Map<number, number>();
    for (const [offset, { writer, number }] of [...found].sort(([a], [b]) => a - b)) {
      const before = newest.get(writer);
      assert.ok(before === undefined || number === before + 1, `${node}: ${number} of ${writer} behind ${before}`);
      newest.set(writer, number);
      const acknowledged = this.#written.get(offset);
      if (acknowledged) assert.deepEqual({ writer, number }, acknowledged, `${node} at ${offset}`);
    }
  }

  #rest(times = 1): Promise<void> {
    return sleep(times * this.#random.between(restMs.least, restMs.most));
  }
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
