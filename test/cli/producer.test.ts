/** `tailrace append --producer` against real nodes: whatever is killed on the way, the input is there once. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { after, before, describe, test } from "node:test";
import { present } from "../../src/base/assert.ts";
import { runCli, startCli } from "../support/cli.ts";
import { type NodeProcess, startNode } from "../support/node-process.ts";
import { chooseSeed, seeded } from "../support/seeded.ts";
import { until } from "../support/until.ts";
import { temporaryFolder } from "./support.ts";

const timeout = 120_000;
const folder = temporaryFolder();
let node: NodeProcess | undefined;
const url = () => present(node, "the node has started").url;

before(
  async () => {
    node = await startNode({ data: path.join(folder, "data") });
  },
  { timeout },
);
after(async () => {
  await node?.end("SIGTERM");
});

/** A file of this name with these bytes. */
function file(name: string, bytes: string | Uint8Array): string {
  const full = path.join(folder, name);
  fs.writeFileSync(full, bytes);
  return full;
}

/** Runs `tailrace ARGS`, and gives its outputs as text. */
async function run(args: readonly string[], input?: Uint8Array, server = url()) {
  const { code, stdout, stderr } = await runCli(server, args, input);
  return { code, stdout: stdout.toString(), stderr };
}

/** The stream as `tailrace read` prints it. */
async function content(stream: string, server = url()): Promise<Buffer> {
  const { code, stdout, stderr } = await runCli(server, ["read", stream]);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** Records of the stream; 0 before it is there. */
async function recordsOf(stream: string, server = url()): Promise<number> {
  const { status, json } = await fetch(`${server}/tailrace.v1.StreamService/GetStream`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: stream }),
  }).then(async (answer) => ({ status: answer.status, json: await answer.json() }));
  return status === 200 ? Number(json.stream.highWatermark ?? 0) : 0;
}

/** Lines of many lengths, each another, with any bytes but newlines in them. */
function linesOf(seed: number, count: number): Buffer {
  const random = seeded(seed, 1 << 16);
  const lines = Array.from({ length: count }, (_, line) => {
    const bytes = Buffer.from(random.bytes(random.between(0, 300))).map((byte) => (byte === 0x0a ? 0 : byte));
    return Buffer.concat([Buffer.from(`${line} `), bytes, Buffer.from("\n")]);
  });
  return Buffer.concat(lines);
}

const linesIn = (bytes: Buffer) => bytes.filter((byte) => byte === 0x0a).length;
/** A batch, and the longest line. */
const batchMostBytes = (256 << 10) + 400;

describe("the same input again", () => {
  test("stores nothing twice, and says what was there", { timeout }, async () => {
    const input = file("whole", linesOf(1, 5_000));
    const args = ["append", "again/whole", input, "--producer", "import-1"];
    const first = await run(args);
    assert.match(first.stdout, /^appended 5,000 records to again\/whole: offsets 0 to 4,999, /);
    const before = JSON.parse((await run(["streams", "describe", "again/whole", "--json"])).stdout);
    assert.deepEqual(await run(args), {
      code: 0,
      stdout: "appended 0 records to again/whole, 5,000 were there already\n",
      stderr: "",
    });
    const { stdout } = await run([...args, "--json"]);
    const { records, recordsBefore, startOffset, nextOffset, digest, index } = JSON.parse(stdout);
    assert.deepEqual(
      { records, recordsBefore, startOffset, nextOffset, digest, nextIndex: index + 1 },
      {
        ...{ records: 0, recordsBefore: 5000, startOffset: undefined, nextOffset: 5000 },
        ...{ digest: before.digest, nextIndex: before.nextIndex },
      },
    );
    assert.deepEqual(await content("again/whole"), fs.readFileSync(input));
  });

  test("the first run's summary as JSON has both counts", { timeout }, async () => {
    const { stdout } = await run(["append", "again/json", "--producer", "p", "--json"], Buffer.from("a\nb\n"));
    const { records, recordsBefore, startOffset, nextOffset } = JSON.parse(stdout);
    assert.deepEqual([records, recordsBefore, startOffset, nextOffset], [2, 0, 0, 2]);
  });

  test("several files are one input, and standard input is the same as a file", { timeout }, async () => {
    const [one, two] = [linesOf(2, 3_000), Buffer.concat([linesOf(3, 3_000), Buffer.from("unfinished")])];
    const args = ["append", "again/files", "--producer", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"];
    assert.equal((await run([...args, file("one", one), file("two", two)])).code, 0);
    const again = await run(args, Buffer.concat([one, two]));
    assert.equal(again.stdout, "appended 0 records to again/files, 6,001 were there already\n");
  });

  test("the same bytes of another producer are another input", { timeout }, async () => {
    for (const id of ["p", "q"]) await run(["append", "again/other", "--producer", id], Buffer.from("a\n"));
    assert.equal((await content("again/other")).toString(), "a\na\n");
  });
});

describe("kill -9 of the client", () => {
  test("at any moments, several times: a whole run then leaves all stored once, in order", { timeout }, async () => {
    const seed = chooseSeed("kill -9 of the client");
    const random = seeded(seed, 1 << 10);
    const bytes = linesOf(seed, 40_000);
    const args = ["append", "killed", "--producer", `run of seed ${seed}`];
    for (let kill = 0; kill < 5; kill++) {
      const prefix = bytes.subarray(0, random.between(0, bytes.length));
      // Of what is cut from it all but the last batch comes to be stored.
      const target = random.between(0, linesIn(prefix.subarray(0, Math.max(0, prefix.length - batchMostBytes))));
      const client = startCli(url(), args);
      // Its input does not end, so neither does it.
      void client.write(prefix);
      await until(async () => (await recordsOf("killed")) >= target);
      client.kill("SIGKILL");
      assert.equal((await client.ended).code, null);
    }
    const input = file("killed", bytes);
    const { code, stdout, stderr } = await run([...args, input]);
    assert.equal(code, 0, stderr);
    console.log(stdout.trim());
    assert.ok((await content("killed")).equals(bytes), `seed ${seed}: stored once, in order, byte for byte`);
    const again = await run([...args, input]);
    assert.equal(again.stdout, "appended 0 records to killed, 40,000 were there already\n");
    const { stdout: described } = await run(["streams", "describe", "killed", "--json"]);
    assert.equal(JSON.parse(described).records, 40_000);
  });
});

describe("the server", () => {
  /** A node on a port that stays the same. */
  async function startAt(data: string, server: string): Promise<NodeProcess> {
    return await startNode({ data, args: ["--listen", new URL(server).host] });
  }

  test("killed -9 twice and started again in the middle: the client goes on by itself", { timeout }, async () => {
    const seed = chooseSeed("kill -9 of the server");
    const random = seeded(seed, 1 << 10);
    const data = path.join(folder, "mortal");
    let mortal = await startNode({ data });
    const server = mortal.url;
    const bytes = linesOf(seed, 30_000);
    const client = startCli(server, ["append", "s", "--producer", "p", "--retries", "30"]);
    let written = 0;
    const writeTo = async (end: number) => {
      for (; written < end; written += 100_000) await client.write(bytes.subarray(written, written + 100_000));
    };
    for (const [share, low, high] of [
      [0.3, 0, 0.2],
      // More than was written before the first kill.
      [0.7, 0.4, 0.6],
    ] as const) {
      const writing = writeTo(Math.floor(bytes.length * share));
      const target = random.between(1 + 30_000 * low, 30_000 * high);
      await until(async () => (await recordsOf("s", server)) >= target);
      await mortal.end("SIGKILL");
      mortal = await startAt(data, server);
      await writing;
    }
    await writeTo(bytes.length);
    client.closeInput();
    const { code, stdout, stderr } = await client.ended;
    try {
      assert.equal(code, 0, stderr);
      assert.match(stdout.toString(), /^appended 30,000 records to s: offsets 0 to 29,999, /);
      // Once where the second kill came before an answer to what was sent after the first.
      assert.match(stderr, /^(tailrace: .* Trying to connect again\.\ntailrace: connected again, going on\n){1,2}$/);
      assert.ok((await content("s", server)).equals(bytes), `seed ${seed}: stored once, in order, byte for byte`);
    } finally {
      await mortal.end("SIGTERM");
    }
  });

  test("gone for good: after its retries it says how to go on, and a later run does", { timeout }, async () => {
    const data = path.join(folder, "gone");
    const mortal = await startNode({ data });
    const bytes = linesOf(4, 20_000);
    const args = ["append", "s", "--producer", "p", "--retries", "2"];
    const client = startCli(mortal.url, args);
    void client.write(bytes);
    await until(async () => (await recordsOf("s", mortal.url)) > 0);
    // It answers no more, so what the client takes from here on is on its way when the node dies.
    process.kill(mortal.pid, "SIGSTOP");
    await client.write(bytes);
    await mortal.end("SIGKILL");
    client.closeInput();
    const { code, stdout, stderr } = await client.ended;
    assert.deepEqual([code, stdout.length], [5, 0]);
    assert.match(
      stderr,
      /Trying to connect again\.\ntailrace: lost the connection to the node \(.*\)\. [\d,]+ records were appended(, .*)?; what became of [\d,]+ records, from standard input, line \d+, on is not known\. Run the same command again: what is there is not stored twice\.\n$/,
    );
    const again = await startNode({ data });
    try {
      const input = Buffer.concat([bytes, bytes]);
      const { code, stderr } = await run([...args, "--quiet"], input, again.url);
      assert.deepEqual([code, stderr], [0, ""]);
      assert.ok((await content("s", again.url)).equals(input));
    } finally {
      await again.end("SIGTERM");
    }
  });

  test("not there at all is said at once", { timeout }, async () => {
    const { code, stderr } = await run(["append", "s", "--producer", "p"], Buffer.from("a\n"), "http://127.0.0.1:1");
    assert.equal(code, 3);
    assert.match(stderr, /^tailrace: there is no node to talk to: .*\n$/);
  });
});

describe("another input of the same producer", () => {
  const begin = linesOf(5, 3_000);
  const otherwise = [
    {
      name: "that has grown",
      bytes: Buffer.concat([begin, Buffer.from("more\n")]),
      says: /has other lines from .*, line \d+, on/,
    },
    {
      name: "whose last line has grown",
      bytes: Buffer.concat([begin.subarray(0, -1), Buffer.from("more\n")]),
      says: /has other lines from .*, line \d+, on/,
    },
    { name: "that is shorter", bytes: begin.subarray(0, 1000), says: /it makes 1 batch, and the stream has 2/ },
    { name: "that is empty", bytes: Buffer.alloc(0), says: /it makes 0 batches, and the stream has 2/ },
  ];
  for (const [number, { name, bytes, says }] of otherwise.entries()) {
    test(`one ${name} is refused, and nothing of it is appended`, { timeout }, async () => {
      const args = ["append", `other/${number}`, "--producer", "p"];
      assert.equal((await run([...args, file("begin", begin)])).code, 0);
      const { code, stdout, stderr } = await run([...args, file("other", bytes)]);
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, /^tailrace: The input is not the one that this producer appended before: .*\n$/);
      assert.match(stderr, says);
      assert.match(stderr, /Nothing more was appended\. .* another --producer, or a higher --epoch\.\n$/);
      assert.ok((await content(`other/${number}`)).equals(begin));
    });
  }

  test("with a higher epoch is appended, and shuts the lower one out", { timeout }, async () => {
    const args = ["append", "other/epoch", "--producer", "nightly"];
    await run(args, Buffer.from("first\n"));
    const second = [...args, "--epoch", "1"];
    assert.match((await run(second, Buffer.from("second\n"))).stdout, /^appended 1 record to .*: offset 1, /);
    const again = await run(second, Buffer.from("second\n"));
    assert.equal(again.stdout, "appended 0 records to other/epoch, 1 was there already\n");
    const { code, stderr } = await run(args, Buffer.from("first\n"));
    assert.deepEqual(
      { code, stderr },
      {
        code: 1,
        stderr:
          `tailrace: Cannot append to stream "other/epoch" in the producer's epoch 0: it is in epoch 1. Stop if another ` +
          "writer has taken over; to take over from it use --epoch 2, which appends the whole input anew.\n",
      },
    );
    assert.equal((await content("other/epoch")).toString(), "first\nsecond\n");
  });
});

describe("an input that is cut short", () => {
  test("Ctrl-C leaves out the batch that is not full, and another run appends it", { timeout }, async () => {
    const bytes = linesOf(6, 4_000);
    const args = ["append", "short/stopped", "--producer", "p"];
    const client = startCli(url(), args);
    await client.write(bytes);
    await until(async () => (await recordsOf("short/stopped")) > 0);
    client.kill("SIGINT");
    const { code, stdout, stderr } = await client.ended;
    assert.deepEqual(
      [code, stderr],
      [130, "tailrace: stopped before the end of the input. Run the same command again for the rest.\n"],
    );
    const [, count = ""] = /^appended ([\d,]+) records /.exec(stdout.toString()) ?? [];
    const again = await run(args, bytes);
    assert.match(again.stdout, new RegExp(`^appended [\\d,]+ records to short/stopped, ${count} were there already: `));
    assert.ok((await content("short/stopped")).equals(bytes));
  });

  test("a line that is too long leaves out its batch; mended, the rest follows", { timeout }, async () => {
    const args = ["append", "short/long", "--producer", "p"];
    const { code, stderr } = await run(args, Buffer.from(`a\nb\n${"x".repeat(2 << 20)}\nc\n`));
    assert.equal(code, 1);
    assert.match(stderr, /^tailrace: standard input, line 3 is longer .* Before it, 0 records were appended\.\n$/);
    assert.equal((await run(args, Buffer.from("a\nb\nx\nc\n"))).code, 0);
    assert.equal((await content("short/long")).toString(), "a\nb\nx\nc\n");
  });
});

describe("conditions", () => {
  test("--expected-offset: each batch follows the one before it, and a second run is no conflict", {
    timeout,
  }, async () => {
    const bytes = linesOf(7, 5_000);
    await run(["append", "expected"], Buffer.from("a\nb\n"));
    const args = ["append", "expected", file("expected", bytes), "--expected-offset", "2"];
    const withProducer = [...args, "--producer", "p"];
    assert.match((await run(withProducer)).stdout, /^appended 5,000 records to expected: offsets 2 to 5,001, /);
    assert.equal((await run(withProducer)).stdout, "appended 0 records to expected, 5,000 were there already\n");
    assert.deepEqual(await run(args), {
      code: 1,
      stdout: "",
      stderr:
        'tailrace: Cannot append to stream "expected" at offset 2: the next offset is 5002. See what is there with ' +
        '"tailrace read expected", then append with --expected-offset 5002. 0 records were appended; nothing was, from ' +
        `${path.join(folder, "expected")}, line 1, on.\n`,
    });
    assert.equal(await recordsOf("expected"), 5_002);
  });

  test("a fence lets one writer through, until another takes over or it is cleared", { timeout }, async () => {
    const append = (text: string, ...more: string[]) => run(["append", "fenced", ...more], Buffer.from(`${text}\n`));
    await append("before");
    const fenced = await run(["streams", "fence", "fenced", "writer-1"]);
    assert.match(fenced.stdout, /^fenced fenced \(id \d+\): from offset 1 on\n$/);
    assert.match((await run(["streams", "describe", "fenced"])).stdout, /^fence {14}"writer-1"$/m);
    assert.equal(JSON.parse((await run(["streams", "describe", "fenced", "--json"])).stdout).fence, "writer-1");
    const without = await append("none");
    assert.deepEqual([without.code, without.stdout], [1, ""]);
    assert.match(
      without.stderr,
      /^tailrace: Cannot append to stream "fenced": a fence token is in force, and the append names none\. Stop if .* use tailrace streams fence, then --fence\. 0 records were appended; .*\n$/,
    );
    assert.equal((await append("first", "--fence", "writer-1")).code, 0);
    const producer = ["--producer", "p"];
    assert.equal((await append("produced", "--fence", "writer-1", ...producer)).code, 0);
    assert.equal((await run(["streams", "fence", "fenced", "writer-2", "--json"])).code, 0);
    assert.match((await append("late", "--fence", "writer-1")).stderr, /another fence token is in force/);
    // What was there before the other took over is a duplicate still, not a refusal.
    assert.match(
      (await append("produced", "--fence", "writer-1", ...producer)).stdout,
      /^appended 0 .* 1 was there already\n$/,
    );
    assert.equal((await append("second", "--fence", "writer-2")).code, 0);
    assert.match((await run(["streams", "fence", "fenced", "--clear"])).stdout, /^cleared the fence of fenced /);
    assert.match((await run(["streams", "describe", "fenced"])).stdout, /^fence {14}none$/m);
    assert.match(
      (await append("late", "--fence", "writer-2")).stderr,
      /no fence token is in force\. Leave out --fence, /,
    );
    assert.equal((await append("after")).code, 0);
    assert.equal((await content("fenced")).toString(), "before\nfirst\nproduced\nsecond\nafter\n");
  });

  test("a fence on a stream that is not there", { timeout }, async () => {
    assert.equal((await run(["streams", "fence", "not/there", "w"])).code, 4);
  });
});
