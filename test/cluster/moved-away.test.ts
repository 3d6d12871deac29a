/**
 * Streams are moved away from a node and back: what it had of them goes, and comes again as another replica.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { connectTo } from "../../src/cli/connection.ts";
import { atOffset } from "../../src/client/reader.ts";
import { runCli } from "../support/cli.ts";
import { chooseSeed, seeded } from "../support/seeded.ts";
import { type Cluster, withCluster } from "./support/cluster.ts";
import { agreed, finalLog, judge } from "./support/judge.ts";
import { Load } from "./support/load.ts";
import type { ClusterNode } from "./support/node-process.ts";
import { votesIn } from "./support/servers.ts";
import { backMaxMs, passed } from "./support/under-load.ts";

/** Of `large` each batch goes to a segment at once; `history` is in the journal only. */
const [large, history] = ["large", "history"];
const batches = 6;
const valueBytes = 400_000;
const changeMaxMs = 30_000;
/** Voters change one after the other, and a log goes some seconds after that. */
const moveMaxMs = 90_000;

test("a node that streams are moved away from gets its room back, and has them again as a new replica", {
  timeout: 300_000,
}, async () => {
  await withCluster({ nodes: 4 }, async (cluster) => {
    const { nodes } = cluster;
    const random = seeded(chooseSeed("moved away"), 16);
    const load = await Load.start({ nodes, stream: history, random, replicationFactor: 3 });
    try {
      await moveAndBack(cluster, load);
      await judge(load, nodes, history);
    } finally {
      load.abandon();
    }
    await agreed(nodes, large);
    // What it has itself is the same: it is read where nobody else answers.
    const away = await holderOfBoth(nodes);
    const before = await Promise.all([large, history].map((stream) => finalLog(away, stream)));
    await Promise.all(cluster.others(away).map((node) => node.end("SIGKILL")));
    const alone = await Promise.all([large, history].map((stream) => finalLog(away, stream)));
    assert.deepEqual(alone, before);
    assert.doesNotMatch(away.output, /damaged/);
  });
});

async function moveAndBack({ nodes }: Cluster, load: Load): Promise<void> {
  const [first] = nodes;
  assert.ok(first);
  await append(first);
  await agreed(nodes, large);
  const away = await holderOfBoth(nodes);
  const [asked, instead] = nodes.filter((node) => node !== away);
  assert.ok(asked && instead);
  await until(() => bytesIn(away) > batches * valueBytes);
  await withReaders(away, async (readers) => {
    await change(asked, "remove", away);
    for (const stream of [large, history]) {
      await until(() => away.output.includes(`\\"${stream}\\" was moved away: its copy here is removed`));
    }
    assert.ok(bytesIn(away) < valueBytes, `${bytesIn(away)} bytes are left`);
    await load.nextAck(backMaxMs);
    await readers.goOn();
  });
  // A start finds that it has none of them, and asks for none.
  const told = away.output.length;
  await away.end("SIGKILL");
  away.start();
  await away.ready();
  assert.deepEqual(await finalLog(away, large), await finalLog(asked, large));
  await withReaders(away, async (readers) => {
    await change(asked, "add", away);
    await change(asked, "remove", instead);
    await until(() => votesInBoth(away));
    await load.nextAck(backMaxMs);
    await readers.goOn();
  });
  assert.doesNotMatch(away.output.slice(told), /was moved away/);
}

/** One who reads all of `large` again and again at a node, and one who follows both streams there. */
class Readers {
  readonly failed: string[] = [];
  readonly #ending = new AbortController();
  readonly #connection: ReturnType<typeof connectTo>;
  readonly #running: Promise<void>;
  #reads = 0;
  #nextOffset = 0;

  constructor({ url }: ClusterNode) {
    this.#connection = connectTo(url);
    this.#running = Promise.all([this.#loop(this.#read), this.#loop(this.#follow)]).then(() => {});
  }

  /** Each is given something more. */
  async goOn(): Promise<void> {
    const [reads, nextOffset] = [this.#reads, this.#nextOffset];
    await until(() => this.failed.length > 0 || (this.#reads > reads && this.#nextOffset > nextOffset));
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await this.#running;
    this.#connection.close();
  }

  async #loop(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal } = this.#ending;
    try {
      while (!signal.aborted) await work.call(this, signal);
    } catch (error) {
      if (!signal.aborted) this.failed.push(String(error));
    }
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { log } = this.#connection.client;
    const answer = await log.read({ stream: large, start: { at: atOffset(batches - 1) } }, { signal });
    assert.deepEqual([answer.batches.length, Number(answer.highWatermark)], [1, batches]);
    this.#reads += 1;
    await passed(20);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const streams = [history, large].map((stream) => ({ stream, start: { at: atOffset(0) } }));
    const nextOffsets = [0, 0];
    for await (const { stream, frame } of this.#connection.client.log.tail({ streams }, { signal })) {
      assert.notEqual(frame.case, "end");
      if (frame.case !== "batch") continue;
      const { startOffset, recordCount } = frame.value;
      assert.equal(Number(startOffset), nextOffsets[stream]);
      nextOffsets[stream] = Number(startOffset) + recordCount;
      [this.#nextOffset = 0] = nextOffsets;
    }
  }
}

/** Readers at a node, none of which fails meanwhile. */
async function withReaders(node: ClusterNode, work: (readers: Readers) => Promise<void>): Promise<void> {
  const readers = new Readers(node);
  try {
    await work(readers);
    assert.deepEqual(readers.failed, []);
  } finally {
    await readers.end();
  }
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const begin = performance.now();
  while (!(await holds())) {
    assert.ok(performance.now() - begin < moveMaxMs, `it did not come to hold: ${holds}`);
    await passed(50);
  }
}

/** A node that votes in both streams. */
async function holderOfBoth(nodes: readonly ClusterNode[]): Promise<ClusterNode> {
  let found: ClusterNode | undefined;
  await until(async () => {
    for (const node of nodes) if (await votesInBoth(node)) found ??= node;
    return found !== undefined;
  });
  assert.ok(found);
  return found;
}

async function votesInBoth(node: ClusterNode): Promise<boolean> {
  return (await votesIn(node, large)) && (await votesIn(node, history));
}

async function append({ url }: ClusterNode): Promise<void> {
  const { client, close } = connectTo(url);
  try {
    await client.streams.createStream({ name: large, settings: { replicationFactor: 3n } });
    for (let i = 0; i < batches; i++) {
      await client.log.append({ stream: large, records: [{ value: new Uint8Array(valueBytes).fill(i) }] });
    }
  } finally {
    close();
  }
}

/** Bytes of the segments of all groups. */
function bytesIn({ data }: ClusterNode): number {
  const groups = path.join(data, "groups");
  return fs
    .readdirSync(groups, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".log"))
    .reduce((sum, file) => sum + fs.statSync(path.join(groups, file)).size, 0);
}

/** Whoever has just begun may not know yet whom to ask. */
async function change(asked: ClusterNode, what: "add" | "remove", node: ClusterNode): Promise<void> {
  const begin = performance.now();
  for (;;) {
    const { code, stderr } = await runCli(asked.url, ["cluster", what, node.id]);
    if (code === 0) return;
    assert.match(stderr, /Try again|by itself as soon as/);
    assert.ok(performance.now() - begin < changeMaxMs, stderr);
    await passed(500);
  }
}
