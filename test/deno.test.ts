/** A node on Deno, and the clients of this runtime. Node is the published package's (test/project/package.test.ts). */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import http2 from "node:http2";
import * as os from "node:os";
import * as path from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runCli } from "./support/cli.ts";
import { startNode } from "./support/node-process.ts";
import { unless } from "./support/skip.ts";

/** Clients that come, call and say goodbye, each with so many calls at once and one after the other. */
const clients = { count: 30, callsAtOnce: 16, callsInTurn: 6 };

const root = fileURLToPath(new URL("../", import.meta.url));
const deno = path.join(root, "node_modules", "deno", "deno");
const program = [deno, "run", "-A", "--no-check", path.join(root, "src", "cli", "main.ts")];
const data = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-deno-"));
after(() => fs.rmSync(data, { recursive: true, force: true }));

const hasDeno = unless(fs.existsSync(deno), "npm did not install Deno");

describe("a node on Deno", () => {
  test("outlives clients that close their connections", { ...hasDeno, timeout: 120_000 }, async () => {
    const node = await startNode({ data, program });
    for (let number = 0; number < clients.count; number++) await comeAndGo(node.url);
    const input = Buffer.from("one\ntwo\n");
    assert.equal((await runCli(node.url, ["append", "greetings"], input)).code, 0, node.output());
    assert.deepEqual((await runCli(node.url, ["read", "greetings"])).stdout, input);
    assert.equal(await node.end("SIGTERM"), 0, node.output());
  });

  test("comes back after a kill with what it acknowledged", { ...hasDeno, timeout: 60_000 }, async () => {
    const killed = await startNode({ data, program });
    assert.equal((await runCli(killed.url, ["append", "greetings"], Buffer.from("three\n"))).code, 0);
    assert.equal(await killed.end("SIGKILL"), "SIGKILL");
    const node = await startNode({ data, program });
    assert.equal((await runCli(node.url, ["read", "greetings"])).stdout.toString(), "one\ntwo\nthree\n");
    assert.equal(await node.end("SIGTERM"), 0, node.output());
  });
});

/** One connection with calls of which most are refused, and a graceful end. */
async function comeAndGo(url: string): Promise<void> {
  const session = http2.connect(url);
  let failure: Error | undefined;
  session.on("error", (error) => {
    failure = error;
  });
  const call = () =>
    new Promise<void>((resolve, reject) => {
      const headers = { "content-type": "application/proto" };
      const request = session.request({ ":method": "POST", ":path": "/tailrace.v1.LogService/Read", ...headers });
      request.on("error", reject);
      request.on("end", resolve);
      request.resume();
      request.end();
    });
  const calls = async () => {
    for (let number = 0; number < clients.callsInTurn; number++) await call();
  };
  await Promise.all(Array.from({ length: clients.callsAtOnce }, calls));
  await new Promise<void>((resolve) => session.close(resolve));
  assert.equal(failure, undefined);
}
