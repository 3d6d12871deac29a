/**
 * Limits of a whole node on what it holds: how much in all, and how fast streams are created. Both are refused by name, by
 * each protocol's own way of saying so, and can be seen coming.
 */
import assert from "node:assert/strict";
import * as http from "node:http";
import * as http2 from "node:http2";
import * as net from "node:net";
import { after, before, describe, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { Fate, Reason } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import { runCli } from "../support/cli.ts";
import { Metrics } from "../support/metrics.ts";
import { largeBytes, RestartedNode, recordOf, refusal, valuesOf } from "../support/restarted-node.ts";
import { unless } from "../support/skip.ts";
import { until } from "../support/until.ts";

const timeout = 60_000;

describe("stored_max_bytes", () => {
  const node = new RestartedNode(["--stored-max-bytes", "10MiB", "--retention-interval", "1s"]);
  before(() => node.start(), { timeout });
  after(() => node.stop("SIGTERM"));
  const warnings = () => node.output().match(/of the limit stored_max_bytes/g)?.length ?? 0;
  const gauges = async () => {
    const metrics = await Metrics.of(node.url);
    return [metrics.get("tailrace_stored_bytes"), metrics.get("tailrace_stored_max_bytes")];
  };

  test("is seen coming, refuses by name, and holds over a kill", { timeout }, async () => {
    await node.createLarge("full", 25);
    assert.equal(warnings(), 0);
    for (let record = 25; record < 34; record++) await node.append("full", recordOf(record));
    assert.equal(warnings(), 1);
    const [used = 0, most] = await gauges();
    assert.ok(used > 34 * largeBytes && used < 10 << 20, `${used} bytes`);
    assert.equal(most, 10 << 20);
    for (const restart of [false, true]) {
      if (restart) await node.restart("SIGKILL");
      const { code, detail } = await refusal(node.append("full", recordOf(34)));
      assert.deepEqual(
        [code, detail?.reason, detail?.limit?.name, detail?.limit?.value, detail?.fate],
        [Code.ResourceExhausted, Reason.LIMIT, "stored_max_bytes", 10n << 20n, Fate.NOTHING_WRITTEN],
      );
    }
    assert.equal(warnings(), 1, "it is said again after a start");
    const byRest = await fetch(`${node.url}/v1/streams/full/records`, {
      method: "POST",
      body: new Uint8Array(recordOf(34)),
    });
    assert.equal(byRest.status, 429);
    assert.deepEqual(valuesOf(await node.read("full", 33n)), [recordOf(33)]);
  });

  test("trims, retention and deletions make room", { timeout }, async () => {
    await node.trim("full", 8n);
    await node.append("full", recordOf(34));
    await node.client.streams.updateStream({ name: "full", settings: { retentionBytes: 2n << 20n } });
    await until(async () => ((await gauges())[0] ?? 0) < 5 << 20);
    for (let record = 0; record < 8; record++) await node.append("other", recordOf(record));
    await node.client.streams.deleteStream({ name: "full" });
    await until(async () => ((await gauges())[0] ?? 0) < 3 << 20);
    const listed = await runCli(node.url, ["streams", "ls", "--json"]);
    const { storedBytes } = JSON.parse(listed.stdout.toString());
    const [used = 0] = await gauges();
    assert.ok(storedBytes > 8 * largeBytes && used >= storedBytes && used < storedBytes + 10_000, `${used}`);
  });
});

describe("stream_creations_max_per_s", () => {
  const node = new RestartedNode(["--stream-creations-max-per-s", "5"]);
  before(() => node.start(), { timeout });
  after(() => node.stop("SIGTERM"));

  test("is a client's, whatever it calls by, and says when to come back", { timeout }, async () => {
    const byRest = (name: string) => fetch(`${node.url}/v1/streams/${name}/records`, { method: "POST", body: "x" });
    const all = await Promise.all(
      Array.from({ length: 20 }, async (_, at) => {
        if (at % 2 === 0) return (await byRest(`rest/${at}`)).status;
        const created = node.client.streams.createStream({ name: `rpc/${at}` });
        return created.then(
          () => 200,
          () => 429,
        );
      }),
    );
    const created = all.filter((status) => status === 200).length;
    assert.ok(created >= 5 && created < 15, `${created} of 20`);
    assert.ok(all.every((status) => status === 200 || status === 429));
    const { code, detail } = await refusal(
      (async () => {
        for (let at = 0; ; at++) await node.client.log.append({ stream: `more/${at}`, records: [{}] });
      })(),
    );
    assert.deepEqual([code, detail?.limit?.name], [Code.ResourceExhausted, "stream_creations_max_per_s"]);
    const waitMs = detail?.retryAfterMs ?? 0;
    assert.ok(waitMs > 0 && waitMs <= 200, `${waitMs} ms`);
    await until(async () => (await byRest("later")).status === 200);
    assert.equal((await byRest("later")).status, 200);
  });

  const oneAddress = "only Linux has all of 127.0.0.0/8 as addresses";
  test("tells clients apart by address, over HTTP/1.1 and HTTP/2", {
    timeout,
    ...unless(process.platform === "linux", oneAddress),
  }, async () => {
    const { hostname, port } = new URL(node.url);
    const path = (name: string) => `/v1/streams/${name}/records`;
    const overHttp1 = (localAddress: string, name: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const options = { hostname, port, localAddress, path: path(name), method: "POST" };
        const request = http.request(options, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        request.on("error", reject).end("x");
      });
    const overHttp2 = (localAddress: string, name: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const connect = () => net.connect({ host: hostname, port: Number(port), localAddress });
        const session = http2.connect(node.url, { createConnection: connect });
        const stream = session.request({ ":method": "POST", ":path": path(name) });
        stream.on("response", ({ ":status": status }) => resolve(status ?? 0));
        stream.on("error", reject).on("end", () => session.close());
        stream.resume().end("x");
      });
    for (const [number, call] of [overHttp1, overHttp2].entries()) {
      const from = (host: number) => `127.0.${number + 1}.${host}`;
      for (let at = 0; at < 5; at++) assert.equal(await call(from(1), `apart/${number}/${at}`), 200);
      const rest = await Promise.all(Array.from({ length: 20 }, (_, at) => call(from(1), `beyond/${number}/${at}`)));
      assert.ok(rest.includes(429), rest.join());
      assert.equal(await call(from(2), `other/${number}`), 200);
    }
  });
});
