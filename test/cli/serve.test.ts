/** `tailrace serve`: how it greets, how it ends, and what it says when it can't start. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { describe, test } from "node:test";
import { runCli, startCli } from "../support/cli.ts";
import { cliCommand, startNode } from "../support/node-process.ts";
import { unless } from "../support/skip.ts";
import { until } from "../support/until.ts";
import { temporaryFolder } from "./support.ts";

const timeout = 60_000;
const folder = temporaryFolder();
const hasPty = spawnSync("script", ["-qec", "true", "/dev/null"], { stdio: "ignore" }).status === 0;
const hasStrace = spawnSync("strace", ["-qq", "-o", "/dev/null", "true"], { stdio: "ignore" }).status === 0;

interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly url?: string;
  readonly dataFolder?: string;
  readonly try?: string[];
}

function logLines(output: string): LogLine[] {
  return output
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

describe("a node that starts and stops", () => {
  test("says where it is and what to try, as JSON, and ends with 0 at SIGTERM", { timeout }, async () => {
    const data = path.join(folder, "plain");
    const node = await startNode({ data });
    const ready = logLines(node.output()).find(({ msg }) => msg.startsWith("Ready"));
    assert.ok(ready);
    assert.deepEqual([ready.msg, ready.url, ready.dataFolder], [`Ready at ${node.url}`, node.url, data]);
    const [append = "", read = "", curl] = ready.try ?? [];
    assert.match(append, new RegExp(`^echo hello \\| .* append greetings --server ${node.url}$`));
    assert.match(read, new RegExp(` read greetings --follow --server ${node.url}$`));
    assert.equal(curl, `curl ${node.url}/v1/streams/greetings/records`);
    assert.equal(await node.end("SIGTERM"), 0);
    assert.equal(logLines(node.output()).at(-1)?.msg, "Stopped");
  });

  test("ends with 0 at SIGINT too, while it is followed and appended to", { timeout }, async () => {
    const node = await startNode({ data: path.join(folder, "busy") });
    const writer = startCli(node.url, ["append", "s"]);
    await writer.write(Buffer.from("a\n"));
    await until(async () => (await runCli(node.url, ["read", "s"])).code === 0);
    const reader = startCli(node.url, ["read", "s", "--follow"]);
    await until(() => reader.stdoutBytes() > 0);
    assert.equal(await node.end("SIGINT"), 0);
    assert.equal((await writer.ended).code, 3);
    reader.kill("SIGINT");
    assert.equal((await reader.ended).code, 130);
  });

  test("ends with 0 at SIGTERM while it still waits for the others of its cluster", { timeout }, async () => {
    const [command, ...rest] = cliCommand;
    const args = ["--listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0", "--seeds", "127.0.0.1:1"];
    const data = path.join(folder, "waiting");
    const child = spawn(command, [...rest, "serve", "--data", data, ...args, "--bootstrap-expect", "3"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk;
    });
    await until(() => output.includes("Sees 1 of 3 nodes"));
    child.kill("SIGTERM");
    assert.equal(await new Promise((resolve) => child.once("exit", resolve)), 0);
    assert.equal(logLines(output).at(-1)?.msg, "Stopped before it served");
  });

  test("a second signal ends it at once", { timeout }, async () => {
    const node = await startNode({ data: path.join(folder, "twice") });
    // Both come in while it stands still, so it sees the second before it has closed.
    process.kill(node.pid, "SIGSTOP");
    process.kill(node.pid, "SIGINT");
    const ended = node.end("SIGTERM");
    process.kill(node.pid, "SIGCONT");
    assert.ok([130, 143].includes(Number(await ended)));
  });

  test("its settings come from the environment too", { timeout }, async () => {
    const [command, ...rest] = cliCommand;
    const data = path.join(folder, "env");
    const child = spawn(command, [...rest, "serve"], {
      stdio: ["ignore", "pipe", "inherit"],
      env: {
        ...process.env,
        TAILRACE_DATA: data,
        TAILRACE_LISTEN: "127.0.0.1:0",
        TAILRACE_CREATE_ON_APPEND: "off",
        TAILRACE_LOG_LEVEL: "info",
      },
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk;
    });
    await until(() => output.includes("Ready at"));
    const url = logLines(output).find((line) => line.url !== undefined)?.url ?? "";
    assert.equal((await runCli(url, ["append", "s"], Buffer.from("a\n"))).code, 4);
    child.kill("SIGTERM");
    assert.equal(await new Promise((resolve) => child.once("exit", resolve)), 0);
    assert.ok(fs.existsSync(data));
  });

  test("on a terminal it greets people", {
    timeout,
    ...unless(hasPty, "no pseudo-terminal to be had by script"),
  }, async () => {
    const data = path.join(folder, "terminal");
    const serve = [...cliCommand, "serve", "--data", data, "--listen", "127.0.0.1:0"]
      .map((word) => `'${word}'`)
      .join(" ");
    const child = spawn("script", ["-qec", serve, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk;
    });
    await until(() => output.includes("curl "));
    assert.match(output, /^tailrace is ready at http:\/\/127\.0\.0\.1:\d+, with its data in .*terminal\r$/m);
    assert.match(
      output,
      /^Try, in another terminal:\r\n {2}echo hello \| .*\r\n {2}.* read greetings --follow.*\r\n {2}curl /m,
    );
    assert.doesNotMatch(output, /^\{/m);
    child.stdin.write("\u0003");
    await new Promise((resolve) => child.once("exit", resolve));
    assert.match(output, /Stopped/);
  });
});

describe("a node that can't start says why in one line", () => {
  async function refused(args: readonly string[]): Promise<string> {
    const { code, stderr } = await runCli("", ["serve", ...args]);
    assert.equal(code, 1);
    assert.match(stderr, /^tailrace: [^\n]*\.\n$/);
    return stderr;
  }

  test("flags that don't go together", { timeout }, async () => {
    const { code, stderr } = await runCli("", ["serve", "--data", path.join(folder, "flags"), "--seeds", "a:8401"]);
    assert.equal(code, 2);
    assert.equal(stderr, "tailrace: --seeds is for a node of a cluster: give --peer-listen HOST:PORT too.\n");
    assert.ok(!fs.existsSync(path.join(folder, "flags")));
  });

  test("the port is in use", { timeout }, async () => {
    const other = net.createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const address = other.address();
    assert.ok(address !== null && typeof address === "object");
    const listen = `127.0.0.1:${address.port}`;
    const data = path.join(folder, "port");
    assert.equal(
      await refused(["--data", data, "--listen", listen]),
      `tailrace: Cannot listen on ${listen}: the port is in use. Stop what uses it, or choose another port.\n`,
    );
    await new Promise((resolve) => other.close(resolve));
    const node = await startNode({ data });
    assert.equal(await node.end("SIGTERM"), 0);
  });

  test("the address is another machine's", { timeout }, async () => {
    const said = await refused(["--data", path.join(folder, "address"), "--listen", "192.0.2.1:8400"]);
    // Deno does not say more than that it can't.
    assert.match(said, /^tailrace: Cannot listen on 192\.0\.2\.1:8400: /);
  });

  test("the data folder is locked by another node", { timeout }, async () => {
    const data = path.join(folder, "locked");
    const node = await startNode({ data });
    try {
      const said = await refused(["--data", data, "--listen", "127.0.0.1:0"]);
      assert.ok(said.includes(data));
    } finally {
      await node.end("SIGTERM");
    }
  });

  test("the data folder can't be made", { timeout }, async () => {
    const file = path.join(folder, "a-file");
    fs.writeFileSync(file, "");
    const said = await refused(["--data", path.join(file, "data"), "--listen", "127.0.0.1:0"]);
    assert.ok(said.includes("a-file"));
  });

  test("the data folder holds something else", { timeout }, async () => {
    const data = path.join(folder, "foreign");
    fs.mkdirSync(data);
    fs.writeFileSync(path.join(data, "notes.txt"), "mine");
    const said = await refused(["--data", data, "--listen", "127.0.0.1:0"]);
    assert.ok(said.includes(data));
    assert.deepEqual(
      fs.readdirSync(data).filter((name) => name !== "lock"),
      ["notes.txt"],
    );
  });
});

test("a disk that fails ends it: said in the last line, and by the exit code", {
  timeout,
  ...unless(hasStrace, "strace can't attach here, and nothing else makes a disk fail"),
}, async () => {
  const node = await startNode({ data: path.join(folder, "failing") });
  assert.equal((await runCli(node.url, ["append", "s"], Buffer.from("a\n"))).code, 0);
  const inject = ["-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO"];
  const strace = spawn("strace", ["-f", "-qq", "-o", "/dev/null", "-p", String(node.pid), ...inject], {
    stdio: "ignore",
  });
  try {
    await until(() => fs.readFileSync(`/proc/${node.pid}/status`, "utf8").includes(`TracerPid:\t${strace.pid}`));
    const { code } = await runCli(node.url, ["append", "s"], Buffer.from("b\n"));
    assert.ok(code === 5 || code === 1, `append ended with ${code}`);
    await until(() => !fs.existsSync(`/proc/${node.pid}`));
    assert.equal(await node.end("SIGTERM"), 1);
    assert.equal(logLines(node.output()).at(-1)?.level, 60);
  } finally {
    strace.kill();
  }
});
