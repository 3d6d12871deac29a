/** `tailrace append` against a real node: what it takes, what it says, and how it ends when something goes wrong. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { after, before, describe, test } from "node:test";
import { present } from "../../src/base/assert.ts";
import { type CliRun, runCli, startCli } from "../support/cli.ts";
import { cliCommand, type NodeProcess, startNode } from "../support/node-process.ts";
import { unless } from "../support/skip.ts";
import { until } from "../support/until.ts";
import { temporaryFolder } from "./support.ts";

const timeout = 60_000;
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
function file(name: string, bytes: string | Buffer): string {
  const full = path.join(folder, name);
  fs.writeFileSync(full, bytes);
  return full;
}

/** The stream as `tailrace read` prints it. */
async function content(stream: string, server = url()): Promise<string> {
  const { code, stdout, stderr } = await runCli(server, ["read", stream]);
  assert.equal(code, 0, stderr);
  return stdout.toString();
}

describe("what it says when it is done", () => {
  test("a summary with offsets, size, time and rate", { timeout }, async () => {
    const first = await runCli(url(), ["append", "said/summary", file("three", "a\nb\nc\n")]);
    assert.deepEqual([first.code, first.stderr], [0, ""]);
    assert.match(
      first.stdout.toString(),
      /^appended 3 records to said\/summary: offsets 0 to 2, 6 B in \d+\.\d\d s, \d+ B\/s\n$/,
    );
    const second = await runCli(url(), ["append", "said/summary"], Buffer.from("d\n"));
    assert.match(second.stdout.toString(), /^appended 1 record to said\/summary: offset 3, 2 B in /);
  });

  test("nothing to append is no error", { timeout }, async () => {
    const { code, stdout } = await runCli(url(), ["append", "said/nothing"], Buffer.alloc(0));
    assert.deepEqual([code, stdout.toString()], [0, "appended 0 records to said/nothing\n"]);
  });

  test("--quiet says nothing", { timeout }, async () => {
    const { code, stdout, stderr } = await runCli(url(), ["append", "said/quiet", "-q"], Buffer.from("a\n"));
    assert.deepEqual([code, stdout.length, stderr], [0, 0, ""]);
  });

  test("--json is a receipt, and the node has the same digest", { timeout }, async () => {
    const { stdout } = await runCli(url(), ["append", "said/json", "--json"], Buffer.from("a\nb\n"));
    const { seconds, digest, streamId, ...receipt } = JSON.parse(stdout.toString());
    assert.deepEqual(receipt, { stream: "said/json", records: 2, bytes: 4, startOffset: 0, nextOffset: 2, index: 2 });
    const described = await runCli(url(), ["streams", "describe", "said/json", "--json"]);
    const stream = JSON.parse(described.stdout.toString());
    assert.deepEqual([stream.id, stream.digest, stream.nextIndex], [streamId, digest, 3]);
    assert.ok(seconds >= 0);
  });
});

const hasPty = spawnSync("script", ["-qec", "true", "/dev/null"], { stdio: "ignore" }).status === 0;

describe("on a terminal", { ...unless(hasPty, "no pseudo-terminal to be had by script") }, () => {
  /** What a terminal is given by `tailrace append`, when its input comes by `source`. */
  function shown(source: string, ...args: string[]): string {
    const words = [...cliCommand, "append", ...args, "--server", url()].map((word) => `'${word}'`).join(" ");
    return spawnSync("script", ["-qec", `${source} ${words}`, "/dev/null"], { encoding: "utf8" }).stdout;
  }

  test("a bar shows how far it is, and the rate", { timeout }, () => {
    const big = file("shown", `${"x".repeat(99)}\n`.repeat(50_000));
    const output = shown("", "shown/bar", big);
    assert.match(output, /=+-* \d+% {2}[\d.]+ [kM]?B {2}[\d.]+ [kM]?B\/s/);
    assert.match(output, /appended 50,000 records to shown\/bar: /);
    assert.doesNotMatch(shown("", "shown/bar", big, "--quiet"), /B\/s/);
  });

  test("where the size is not known, figures do", { timeout }, () => {
    const big = file("shown", `${"x".repeat(99)}\n`.repeat(50_000));
    assert.match(shown(`cat '${big}' |`, "shown/figures"), /[\d.]+ [kM]B {2}[\d,]+ records {2}[\d.]+ [kM]?B\/s/);
  });
});

describe("inputs", () => {
  test("files and standard input come one after the other", { timeout }, async () => {
    const args = ["append", "input/order", file("one", "1\n2\n"), "-", file("two", "5\n")];
    assert.equal((await runCli(url(), args, Buffer.from("3\n4\n"))).code, 0);
    assert.equal(await content("input/order"), "1\n2\n3\n4\n5\n");
  });

  test("a file after one without a last newline begins a line", { timeout }, async () => {
    assert.equal((await runCli(url(), ["append", "input/cut", file("cut", "a\nb"), file("more", "c\nd")])).code, 0);
    assert.equal(await content("input/cut"), "a\nb\nc\nd");
  });

  test("standard input that is a file is read from where it stands", { timeout }, async () => {
    const input = fs.openSync(file("redirected", "read by another\na\nb\n"), "r");
    fs.readSync(input, Buffer.alloc(16));
    const [command, ...rest] = cliCommand;
    const args = [...rest, "append", "input/redirected", "--server", url()];
    const child = spawn(command, args, { stdio: [input, "ignore", "inherit"] });
    assert.equal(await new Promise((resolve) => child.once("exit", resolve)), 0);
    fs.closeSync(input);
    assert.equal(await content("input/redirected"), "a\nb\n");
  });

  const missing = [
    { name: "a file that is not there", path: "/no/such/file", why: "there is no such file. Check the name." },
    { name: "a folder", path: folder, why: "it is a folder. Name the files in it." },
  ];
  for (const { name, path, why } of missing) {
    test(`${name} is said before anything is appended`, { timeout }, async () => {
      const { code, stderr } = await runCli(url(), ["append", "input/missing", file("good", "a\n"), path]);
      assert.deepEqual({ code, stderr }, { code: 1, stderr: `tailrace: cannot read ${path}: ${why}\n` });
      assert.equal((await runCli(url(), ["read", "input/missing"])).code, 4);
    });
  }

  test("a line that is too long is named, and what is before it is appended", { timeout }, async () => {
    const long = file("long", `a\nb\n${"x".repeat(1 << 20)}\nc\n`);
    const { code, stderr } = await runCli(url(), ["append", "input/long", long]);
    assert.equal(code, 1);
    assert.equal(
      stderr,
      `tailrace: ${long}, line 3 is longer than a record may be (record_max_bytes is 1048576). Split it, and append ` +
        "again. Before it, 2 records were appended, the last at offset 1.\n",
    );
    assert.equal(await content("input/long"), "a\nb\n");
  });

  test("20 MB come back as the same bytes, and the rate is told", { timeout }, async () => {
    const line = (number: number) => `${number} ${"x".repeat(number % 190)}\n`;
    const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, number) => line(number)).join(""));
    const { code, stdout, stderr } = await runCli(url(), ["append", "input/big", file("big", bytes)]);
    assert.equal(code, 0, stderr);
    assert.match(stdout.toString(), /^appended 200,000 records .* in \d+\.\d\d s, [\d.]+ [kM]B\/s\n$/);
    console.log(stdout.toString().trim());
    const read = await runCli(url(), ["read", "input/big"]);
    assert.ok(read.stdout.equals(bytes), "the same bytes");
  });
});

describe("a line that trickles in", () => {
  test("is there at once, while the input stays open", { timeout }, async () => {
    const writer = startCli(url(), ["append", "trickle"]);
    const reader = await follower("trickle", writer);
    for (const line of ["second\n", "third\n"]) {
      const bytes = reader.stdoutBytes();
      const begin = performance.now();
      await writer.write(Buffer.from(line));
      await until(() => reader.stdoutBytes() === bytes + line.length);
      assert.ok(performance.now() - begin < 1000, "within a second, on a busy machine");
    }
    writer.closeInput();
    assert.equal((await writer.ended).code, 0);
    reader.kill("SIGINT");
    assert.equal((await reader.ended).stdout.toString(), "first\nsecond\nthird\n");
  });
});

/** Appends a first line, and gives a follower that has seen it. */
async function follower(stream: string, writer: CliRun): Promise<CliRun> {
  await writer.write(Buffer.from("first\n"));
  await until(async () => (await runCli(url(), ["read", stream])).code === 0);
  const reader = startCli(url(), ["read", stream, "--follow"]);
  await until(() => reader.stdoutBytes() > 0);
  return reader;
}

describe("refusals", () => {
  const cases = [
    {
      name: "a bad name",
      stream: "a//b",
      code: 1,
      says: /^tailrace: Invalid stream: "a\/\/b" has an empty part\. Use .*\n$/,
    },
    { name: "a name of the system's", stream: "_meta", code: 1, says: /^tailrace: .*_meta.*\n$/ },
  ];
  for (const { name, stream, code, says } of cases) {
    test(name, { timeout }, async () => {
      const result = await runCli(url(), ["append", stream], Buffer.from("a\n"));
      assert.equal(result.code, code);
      assert.match(result.stderr, says);
    });
  }

  test("a stream that is not there, on a node that does not create it", { timeout }, async () => {
    const strict = await startNode({ data: path.join(folder, "strict"), args: ["--create-on-append", "off"] });
    try {
      const { code, stderr } = await runCli(strict.url, ["append", "no/such"], Buffer.from("a\nb\n"));
      assert.equal(code, 4);
      assert.match(
        stderr,
        /^tailrace: .*"no\/such".* 0 records were appended; nothing was, from standard input, line 1, on\.\n$/,
      );
    } finally {
      await strict.end("SIGTERM");
    }
  });

  test("a limit of the node's", { timeout }, async () => {
    const small = await startNode({ data: path.join(folder, "small"), args: ["--record-max-bytes", "100"] });
    try {
      const { code, stderr } = await runCli(small.url, ["append", "s"], Buffer.from(`${"x".repeat(200)}\n`));
      assert.equal(code, 1);
      assert.match(stderr, /^tailrace: .*record_max_bytes.*100.* 0 records were appended; nothing was, .*\n$/);
    } finally {
      await small.end("SIGTERM");
    }
  });
});

describe("interrupted", () => {
  test("SIGINT stops the reading; whole lines that were read are durable", { timeout }, async () => {
    const writer = startCli(url(), ["append", "stopped"]);
    const reader = await follower("stopped", writer);
    await writer.write(Buffer.from("second\nunfinished"));
    await until(() => reader.stdoutBytes() === "first\nsecond\n".length);
    writer.kill("SIGINT");
    const { code, stdout } = await writer.ended;
    assert.equal(code, 130);
    assert.match(stdout.toString(), /^appended 2 records to stopped: offsets 0 to 1, /);
    reader.kill("SIGTERM");
    assert.equal((await reader.ended).code, 143);
    assert.equal(await content("stopped"), "first\nsecond\n");
  });

  test("a node that goes while nothing is in flight is told at once", { timeout }, async () => {
    const mortal = await startNode({ data: path.join(folder, "idle") });
    const writer = startCli(mortal.url, ["append", "s"]);
    await writer.write(Buffer.from("a\n"));
    await until(async () => (await runCli(mortal.url, ["read", "s"])).code === 0);
    await mortal.end("SIGKILL");
    const { code, stderr } = await writer.ended;
    assert.equal(code, 3);
    assert.match(
      stderr,
      /^tailrace: lost the connection to the node \(.*\)\. .* 1 record was appended, the last at offset 0\.\n$/,
    );
  });

  test("a node that dies in the middle: what was acknowledged is said, and is there", { timeout }, async () => {
    const data = path.join(folder, "killed");
    const mortal = await startNode({ data });
    const writer = startCli(mortal.url, ["append", "s"]);
    const lines = Buffer.from(`${"x".repeat(99)}\n`.repeat(10_000));
    let [written, hasEnded] = [0, false];
    void writer.ended.then(() => {
      hasEnded = true;
    });
    const writing = (async () => {
      for (; written < 400 && !hasEnded; written++) await Promise.race([writer.write(lines), writer.ended]);
    })();
    await until(() => written > 10);
    await mortal.end("SIGKILL");
    const { code, stderr } = await writer.ended;
    await writing;
    assert.equal(code, 5, stderr);
    const said =
      /^tailrace: lost the connection to the node \(.*\)\. ([\d,]+) records were appended, the last at offset (\d+); what became of ([\d,]+) records, from standard input, line (\d+), on is not known\. Read the stream from offset (\d+) on to see which of them arrived\.\n$/;
    assert.match(stderr, said);
    const [, acknowledged = "", last, unknown = "", line, next] = said.exec(stderr) ?? [];
    const count = Number(acknowledged.replaceAll(",", ""));
    assert.deepEqual([Number(last), Number(line), Number(next)], [count - 1, count + 1, count]);
    const again = await startNode({ data });
    try {
      const kept = (await content("s", again.url)).length / 100;
      assert.ok(kept >= count && kept <= count + Number(unknown.replaceAll(",", "")), `${kept} kept, said: ${stderr}`);
    } finally {
      await again.end("SIGTERM");
    }
  });
});
