/** `tailrace read` against a real node: where it begins and ends, what it prints, and how it lives through a restart. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { after, before, describe, test } from "node:test";
import { present } from "../../src/base/assert.ts";
import { runCli, startCli } from "../support/cli.ts";
import { cliCommand, type NodeProcess, startNode } from "../support/node-process.ts";
import { unless } from "../support/skip.ts";
import { until } from "../support/until.ts";
import { temporaryFolder } from "./support.ts";

const timeout = 60_000;
const folder = temporaryFolder();
let node: NodeProcess | undefined;
const url = () => present(node, "the node has started").url;

async function append(stream: string, text: string, server = url()): Promise<void> {
  const { code, stderr } = await runCli(server, ["append", stream, "--quiet"], Buffer.from(text));
  assert.equal(code, 0, stderr);
}

/** Prints a stream; must end well. */
async function read(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(url(), ["read", ...args]);
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout.toString();
}

before(
  async () => {
    node = await startNode({ data: path.join(folder, "data") });
    await append("ten", "0\n1\n2\n");
    await append("ten", "3\n4\n5\n6\n7\n8\n9\n");
  },
  { timeout },
);
after(async () => {
  await node?.end("SIGTERM");
});

describe("where it begins and ends", () => {
  const cases = [
    { args: [], printed: "0123456789" },
    { args: ["--from", "earliest"], printed: "0123456789" },
    { args: ["--from", "latest"], printed: "" },
    { args: ["--from", "0"], printed: "0123456789" },
    { args: ["--from", "4"], printed: "456789" },
    { args: ["--from", "10"], printed: "" },
    { args: ["--from", "-3"], printed: "789" },
    { args: ["--from", "-100"], printed: "0123456789" },
    { args: ["--from", "-0"], printed: "" },
    { args: ["--from", "10m"], printed: "0123456789" },
    { args: ["--from", "1970-01-01"], printed: "0123456789" },
    { args: ["--from", "2999-01-01T00:00:00Z"], printed: "" },
    { args: ["--count", "2"], printed: "01" },
    { args: ["-n", "5"], printed: "01234" },
    { args: ["-n", "100"], printed: "0123456789" },
    { args: ["--from", "2", "-n", "3"], printed: "234" },
  ];
  for (const { args, printed } of cases) {
    test(`read ten ${args.join(" ")}`, { timeout }, async () => {
      assert.equal((await read("ten", ...args)).replaceAll("\n", ""), printed);
    });
  }

  test("--from TIME finds the batch that was appended then", { timeout }, async () => {
    await append("times", "before\n");
    await new Promise((resolve) => setTimeout(resolve, 20));
    await append("times", "after\n");
    const [, second = ""] = (await read("times", "--json")).split("\n");
    assert.equal(await read("times", "--from", JSON.parse(second).time), "after\n");
  });

  test("a stream that is empty prints nothing", { timeout }, async () => {
    assert.equal((await runCli(url(), ["streams", "create", "empty"])).code, 0);
    assert.equal(await read("empty"), "");
  });
});

describe("what it prints", () => {
  test("bytes that are not UTF-8, \\r\\n, empty lines and no last newline come back as they were", {
    timeout,
  }, async () => {
    const bytes = Buffer.concat([
      Buffer.from("a\r\n\r\n\n\u0000\n"),
      Buffer.from([0xff, 0xfe, 10, 0xc3]),
      Buffer.from("end"),
    ]);
    assert.equal((await runCli(url(), ["append", "bytes"], bytes)).code, 0);
    assert.deepEqual((await runCli(url(), ["read", "bytes"])).stdout, bytes);
  });

  test("--json has an object a line", { timeout }, async () => {
    await append("json", "text\nlast");
    await runCli(url(), ["append", "json"], Buffer.from([0xff, 10]));
    const objects = (await read("json", "--json"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    for (const { time } of objects) assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(\d{3})?Z$/);
    assert.deepEqual(
      objects.map(({ time: _, ...rest }) => rest),
      [
        { offset: 0, value: "text" },
        { offset: 1, value: "last", headers: [{ name: "tailrace-newline", value: "none" }] },
        { offset: 2, valueBase64: "/w==" },
      ],
    );
  });

  test("a reader that goes away ends it quietly", { timeout }, async () => {
    await append("long", `${"x".repeat(200)}\n`.repeat(50_000));
    const [command, ...rest] = cliCommand;
    for (const extra of [[], ["--json"], ["--follow"]]) {
      const child = spawn(command, [...rest, "read", "long", "--server", url(), ...extra], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      const stderr: Buffer[] = [];
      child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
      child.stdout.once("data", () => child.stdout.destroy());
      const code = await new Promise((resolve) => child.once("close", resolve));
      assert.deepEqual([code, Buffer.concat(stderr).toString()], [0, ""]);
    }
  });
});

test("output that can't be written is said in a line", {
  timeout,
  ...unless(fs.existsSync("/dev/full"), "there is no /dev/full here"),
}, async () => {
  const [command, ...rest] = cliCommand;
  const full = fs.openSync("/dev/full", "w");
  const child = spawn(command, [...rest, "read", "ten", "--server", url()], { stdio: ["ignore", full, "pipe"] });
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk;
  });
  assert.equal(await new Promise((resolve) => child.once("close", resolve)), 1);
  assert.match(stderr, /^tailrace: cannot write the output: .*no space left.*\n$/i);
  fs.closeSync(full);
});

describe("refusals", () => {
  test("a stream that is not there", { timeout }, async () => {
    for (const args of [
      ["read", "no/such"],
      ["read", "no/such", "--follow"],
    ]) {
      const { code, stderr } = await runCli(url(), args);
      assert.equal(code, 4);
      assert.match(stderr, /^tailrace: .*"no\/such".*\.\n$/);
    }
  });

  test("an offset beyond the end", { timeout }, async () => {
    const { code, stderr } = await runCli(url(), ["read", "ten", "--from", "11"]);
    assert.equal(code, 1);
    assert.match(stderr, /^tailrace: .*\b11\b.*\b10\b.*\.\n$/);
  });
});

describe("--follow", () => {
  test("prints what is there and what comes, until it is interrupted", { timeout }, async () => {
    await append("live", "first\n");
    const reader = startCli(url(), ["read", "live", "--follow"]);
    await until(() => reader.stdoutBytes() === 6);
    for (const line of ["second", "third"]) await append("live", `${line}\n`);
    await until(() => reader.stdoutBytes() === 19);
    reader.kill("SIGINT");
    const { code, stdout, stderr } = await reader.ended;
    assert.deepEqual([code, stdout.toString(), stderr], [130, "first\nsecond\nthird\n", ""]);
  });

  test("--from latest prints only what comes, and --count ends it", { timeout }, async () => {
    await append("latest", "old\n");
    const reader = startCli(url(), ["read", "latest", "--follow", "--from", "latest", "--count", "3"]);
    let isOver = false;
    void reader.ended.then(() => {
      isOver = true;
    });
    let line = 0;
    // When it has begun is not to be seen from outside, so lines are appended until it has its three.
    while (!isOver) await append("latest", `new ${line++}\n`);
    const { code, stdout } = await reader.ended;
    assert.equal(code, 0);
    assert.match(stdout.toString(), /^new \d+\nnew \d+\nnew \d+\n$/);
  });

  test("a stream that is deleted ends it in words", { timeout }, async () => {
    await append("gone", "a\n");
    const reader = startCli(url(), ["read", "gone", "--follow"]);
    await until(() => reader.stdoutBytes() > 0);
    assert.equal((await runCli(url(), ["streams", "rm", "gone"])).code, 0);
    const { code, stderr } = await reader.ended;
    assert.equal(code, 4);
    assert.match(stderr, /^tailrace: .*"gone".* was deleted.*\.\n$/);
  });

  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    test(`goes on when the node was ended by ${signal} and is back`, { timeout }, async () => {
      const data = path.join(folder, signal);
      const first = await startNode({ data });
      const { port } = new URL(first.url);
      await append("s", "1\n2\n", first.url);
      const reader = startCli(first.url, ["read", "s", "--follow"]);
      await until(() => reader.stdoutBytes() === 4);
      await append("s", "3\n", first.url);
      await until(() => reader.stdoutBytes() === 6);
      await first.end(signal);
      const second = await startNode({ data, args: ["--listen", `127.0.0.1:${port}`] });
      try {
        await append("s", "4\n", second.url);
        await until(() => reader.stdoutBytes() === 8);
        await append("s", "5\n", second.url);
        await until(() => reader.stdoutBytes() === 10);
        reader.kill("SIGINT");
        const { stdout, stderr } = await reader.ended;
        assert.equal(stdout.toString(), "1\n2\n3\n4\n5\n");
        const said = /^tailrace: .*\. Trying to connect again\.\ntailrace: connected again, going on at offset 3\n$/;
        assert.match(stderr, said);
      } finally {
        await second.end("SIGTERM");
      }
    });
  }
});
