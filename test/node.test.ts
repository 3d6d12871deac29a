/**
 * A node in this process: it starts, says how it stands, keeps what it acknowledged, and refuses to start in words.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { describe, test } from "node:test";
import { pino } from "pino";
import { createNode, type NodeOptions, type TailraceNode } from "../src/node.ts";
import { smallLog, temporaryFolder } from "./support/data-folder.ts";

const logged: { level: number; msg: string }[] = [];
const logger = pino({ level: "info" }, { write: (line: string) => void logged.push(JSON.parse(line)) });
const anyPort = { host: "127.0.0.1", port: 0 };

function start(dataFolder: string, options: Partial<NodeOptions> = {}): Promise<TailraceNode> {
  return createNode({ dataFolder, listen: anyPort, logger, log: smallLog, ...options });
}

async function append(node: TailraceNode, stream: string, text: string): Promise<{ startOffset: string }> {
  const answer = await fetch(`${node.url}/v1/streams/${stream}/records`, {
    method: "POST",
    headers: { "content-type": "text/plain" },
    body: text,
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()) as { startOffset: string };
}

async function read(node: TailraceNode, stream: string): Promise<string> {
  const answer = await fetch(`${node.url}/v1/streams/${stream}/records`, { headers: { accept: "text/plain" } });
  return await answer.text();
}

async function metric(node: TailraceNode, name: string): Promise<number> {
  const text = await (await fetch(`${node.url}/metrics`)).text();
  const line = text.split("\n").find((line) => line.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

/** Says what to do, in words and without a stack. */
function hasTodo(message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof Error && "todo" in error && typeof error.todo === "string" && error.todo !== "");
    assert.match(error.message, message);
    return true;
  };
}

describe("createNode()", () => {
  test("serves, stops and serves again with all that it acknowledged", { timeout: 30_000 }, async () => {
    const data = temporaryFolder();
    let node = await start(data);
    assert.equal((await fetch(`${node.url}/readyz`)).status, 200);
    assert.equal((await append(node, "a/b", "first")).startOffset, "0");
    assert.equal(await metric(node, "tailrace_streams"), 1);
    assert.ok((await metric(node, 'tailrace_log_syncs_total{purpose="journal"}')) > 0);
    await node.close();
    await node.close();
    await assert.rejects(fetch(`${node.url}/readyz`));

    logged.length = 0;
    node = await start(data);
    assert.match(logged.map(({ msg }) => msg).join("\n"), /after a clean stop: 2 logs/);
    assert.equal((await append(node, "a/b", "second")).startOffset, "1");
    assert.equal(await read(node, "a/b"), "first\nsecond\n");
    await node.close();
  });

  test("does not touch the folder when the port is in use", async () => {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    const data = path.join(temporaryFolder(), "data");
    const listen = { host: "127.0.0.1", port: address.port };
    await assert.rejects(start(data, { listen }), hasTodo(new RegExp(`${address.port}`)));
    assert.equal(fs.existsSync(data), false);
    server.close();
  });

  test("refuses a folder that another node has", { timeout: 30_000 }, async () => {
    const data = temporaryFolder();
    const node = await start(data);
    await assert.rejects(start(data), hasTodo(/in use by another node/));
    assert.equal((await append(node, "a", "still there")).startOffset, "0");
    await node.close();
  });

  test("refuses a folder that can't be one, and gives the port back", async () => {
    const file = path.join(temporaryFolder(), "file");
    fs.writeFileSync(file, "");
    await assert.rejects(start(file), hasTodo(/a file is in its way/));
    await assert.rejects(start(path.join(file, "below")), hasTodo(/a file is in its way/));
  });

  test("refuses options that can't be", async () => {
    const data = path.join(temporaryFolder(), "data");
    await assert.rejects(start(data, { limits: { streamsMax: 10_001 } }), hasTodo(/streams_max can't be 10001/));
    await assert.rejects(start(data, { limits: { readMaxBytes: 0 } }), hasTodo(/read_max_bytes can't be 0/));
    await assert.rejects(start(data, { streamDefaults: { segmentMaxAgeS: 1 } }), hasTodo(/settings.segment_max_age_s/));
    assert.equal(fs.existsSync(data), false);
    await assert.rejects(start(data, { log: { journalFiles: 1 } }), hasTodo(/journal/));
  });

  test("creates no stream on append where it was told not to", { timeout: 30_000 }, async () => {
    const node = await start(temporaryFolder(), { createOnAppend: false });
    const answer = await fetch(`${node.url}/v1/streams/a/records`, {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: "x",
    });
    assert.equal(answer.status, 404);
    await node.close();
  });
});
