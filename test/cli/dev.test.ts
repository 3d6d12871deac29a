/** `tailrace dev`: nodes as processes, started again when they are killed, and all ended together. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { test } from "node:test";
import { type DevCluster, startDev } from "../support/dev-cluster.ts";
import { until } from "../support/until.ts";
import { temporaryFolder } from "./support.ts";

const timeout = 90_000;
const folder = temporaryFolder();

test("a node that is killed is started again, and all end at SIGTERM", { timeout }, async () => {
  const data = path.join(folder, "killed");
  const cluster = await startDev({ data, nodes: 3 });
  assert.equal(cluster.urls.length, 3);
  const pids = ["n1", "n2", "n3"].map((name) => pidOf(data, name));
  process.kill(pids[1] ?? 0, "SIGKILL");
  await until(() => cluster.output().includes("n2 | The process ended by SIGKILL; it is started again in 1 s"));
  await until(() => cluster.output().includes(`n2 | Ready again at ${cluster.urls[1]}`));
  assert.equal((await fetch(`${cluster.urls[1]}/readyz`)).status, 200);
  pids[1] = pidOf(data, "n2");
  assert.equal(await cluster.end("SIGTERM"), 0);
  assert.deepEqual(pids.filter(isRunning), []);
  assert.deepEqual(fs.readdirSync(data).sort(), ["n1", "n2", "n3"]);
});

test("a node that is about to start again ends cleanly, too", { timeout }, async () => {
  const data = path.join(folder, "starting");
  const cluster = await startDev({ data, nodes: 2 });
  const pid = pidOf(data, "n2");
  process.kill(pid, "SIGKILL");
  const file = path.join(data, "n2.pid");
  // Of the next one: it is written as soon as that is there.
  await until(() => fs.existsSync(file) && ![0, pid].includes(pidOf(data, "n2")));
  assert.equal(await cluster.end("SIGINT"), 0);
});

test("a node that can't start ends the others", { timeout }, async () => {
  const other = net.createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const address = other.address();
  assert.ok(address !== null && typeof address === "object");
  const data = path.join(folder, "unable");
  const cluster: DevCluster | Error = await startDev({ data, nodes: 2, port: address.port }).catch((error) => error);
  assert.ok(cluster instanceof Error);
  assert.match(cluster.message, /ended with 1 before it was ready/);
  assert.match(cluster.message, /^n1 \| tailrace: Cannot listen on 127\.0\.0\.1:\d+: the port is in use\. /m);
  assert.deepEqual(
    fs.readdirSync(data).filter((name) => name.endsWith(".pid")),
    [],
  );
  await new Promise((resolve) => other.close(resolve));
});

test("without a folder of one's own the data goes at the end", { timeout }, async () => {
  const cluster = await startDev({ nodes: 1 });
  const [, data = ""] = /is ready, with its data in (.*)$/m.exec(cluster.output()) ?? [];
  assert.ok(fs.existsSync(path.join(data, "n1")));
  assert.equal(await cluster.end("SIGINT"), 0);
  assert.ok(!fs.existsSync(data));
});

function pidOf(data: string, name: string): number {
  return Number(fs.readFileSync(path.join(data, `${name}.pid`), "utf8"));
}

function isRunning(pid: number): boolean {
  return fs.existsSync(`/proc/${pid}`);
}
