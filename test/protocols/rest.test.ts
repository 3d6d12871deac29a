/**
 * The REST face, as curl and fetch see it.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { rawRequest } from "./support/raw-call.ts";
import { type RealNode, startRealNode } from "./support/real-node.ts";
import { passed } from "./support/slow-streams.ts";

let node: RealNode;
before(async () => {
  node = await startRealNode({ recordMaxBytes: 1000, requestMaxBytes: 10_000 });
});
after(() => node.close());

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly detail: { reason?: string; field?: string; todo: string; requestId: string; limit?: { name: string } };
}

const text = { "content-type": "text/plain" };
const post = (stream: string, body: string | Uint8Array, headers: Record<string, string> = text) =>
  fetch(`${node.url}/v1/streams/${stream}/records`, {
    method: "POST",
    headers,
    body: new Uint8Array(Buffer.from(body)),
  });
const get = (stream: string, query = "", accept = "*/*") =>
  fetch(`${node.url}/v1/streams/${stream}/records${query}`, { headers: { accept } });
const lines = async (stream: string, query = "") => (await (await get(stream, query, "text/plain")).text()).split("\n");

describe("REST", () => {
  test("a body is one record, and the answer is an append's as JSON", async () => {
    const response = await post("first", "hello\nworld");
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "application/json");
    const { digest, appendTime, ...rest } = (await response.json()) as Record<string, string>;
    assert.deepEqual(rest, { streamId: "2", startOffset: "0", nextOffset: "1", index: "2" });
    assert.equal(Buffer.from(digest ?? "", "base64").length, 32);
    assert.match(appendTime ?? "", /^\d{4}-/);
    const read = (await (await get("first")).json()) as { batches: { records: { value: string }[] }[] };
    assert.equal(Buffer.from(read.batches[0]?.records[0]?.value ?? "", "base64").toString(), "hello\nworld");
  });

  test("any bytes come back as they were, also none", async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
    for (const [offset, value] of [bytes, new Uint8Array(0)].entries()) {
      await post("bytes", value, { "content-type": "application/octet-stream" });
      const response = await get("bytes", `?from=${offset}`, "application/octet-stream");
      assert.deepEqual(
        [response.status, response.headers.get("content-type"), response.headers.get("tailrace-next-offset")],
        [200, "application/octet-stream", String(offset + 1)],
      );
      assert.deepEqual(new Uint8Array(await response.arrayBuffer()), value);
    }
    const none = await get("bytes", "?from=latest", "application/octet-stream");
    assert.deepEqual([none.status, (await none.arrayBuffer()).byteLength], [204, 0]);
  });

  test("reads from and to where it is told", async () => {
    for (const value of ["a", "b", "c", "d"]) await post("places", value);
    const cases = [
      ["", ["a", "b", "c", "d", ""]],
      ["?from=earliest", ["a", "b", "c", "d", ""]],
      ["?from=2", ["c", "d", ""]],
      ["?from=-1", ["d", ""]],
      ["?from=-99", ["a", "b", "c", "d", ""]],
      ["?from=latest", [""]],
      ["?from=1&end=3", ["b", "c", ""]],
      ["?max_records=1", ["a", ""]],
      ["?from=1970-01-01T00:00:00Z", ["a", "b", "c", "d", ""]],
      ["?from=2970-01-01T00:00:00Z", [""]],
    ] as const;
    for (const [query, expected] of cases) assert.deepEqual(await lines("places", query), expected, query);
  });

  test("waits for a record", { timeout: 10_000 }, async () => {
    await post("waits", "old");
    const waiting = lines("waits", "?from=latest&wait_ms=8000");
    await passed(100);
    await post("waits", "new");
    assert.deepEqual(await waiting, ["new", ""]);
    const begin = performance.now();
    assert.deepEqual(await lines("waits", "?from=latest&wait_ms=200"), [""]);
    assert.ok(performance.now() - begin > 150);
  });

  test("works over HTTP/2", async () => {
    const path = "/v1/streams/over/h2/records";
    const sent = await rawRequest(node.url, { path, headers: text, body: Buffer.from("x") });
    assert.equal(sent.status, 200);
    const read = await rawRequest(node.url, { path, method: "GET", headers: { accept: "text/plain" } });
    assert.equal(read.body.toString(), "x\n");
  });
});

describe("REST: names in paths", () => {
  const same = ["a/b", "a%2Fb", "a%2fb", "%61/b"];
  test("each part is decoded once, and %2F is a slash", async () => {
    await post("a/b", "here");
    for (const name of same) assert.deepEqual(await lines(name), ["here", ""], name);
    await post("a/records/b", "there");
    assert.deepEqual(await lines("a/records/b"), ["there", ""]);
  });

  const bad = [
    "a%252Fb",
    "%2e%2e%2fetc",
    "a%5Cb",
    "a%",
    "a%zz",
    "a%ff",
    "a%00b",
    "a//b",
    "%20",
    "a%2F",
    "a%2F%2Fb",
    "_meta",
  ];
  for (const name of bad)
    test(`${name} is refused`, async () => {
      const { status, body } = await rawRequest(node.url, {
        path: `/v1/streams/${name}/records`,
        headers: text,
        body: Buffer.from("x"),
      });
      const refusal = JSON.parse(body.toString()) as Refusal;
      assert.deepEqual([status, refusal.code, refusal.detail.field], [400, "invalid_argument", "stream"]);
    });

  for (const path of ["/v1/streams//records", "/v1/streams/records", "/v1/streams/a/record", "/v1/streams/a/records/"])
    test(`${path} is no stream's`, async () => {
      const { status } = await rawRequest(node.url, { path, method: "GET" });
      assert.equal(status, 400);
    });
});

describe("REST: refusals", () => {
  const rows: { name: string; ask: () => Promise<Response>; status: number; code: string; detail: object }[] = [
    {
      name: "a stream that is not there",
      ask: () => get("gone"),
      status: 404,
      code: "not_found",
      detail: { reason: "REASON_STREAM_NOT_FOUND" },
    },
    {
      name: "past the end",
      ask: () => get("one", "?from=9"),
      status: 400,
      code: "out_of_range",
      detail: { reason: "REASON_PAST_END" },
    },
    {
      name: "an offset of 2^53 and more",
      ask: () => get("one", "?from=9007199254740993"),
      status: 400,
      code: "invalid_argument",
      detail: { field: "start.offset" },
    },
    {
      name: "half an offset",
      ask: () => get("one", "?from=1.5"),
      status: 400,
      code: "invalid_argument",
      detail: { field: "from" },
    },
    {
      name: "an offset in hex",
      ask: () => get("one", "?from=0x10"),
      status: 400,
      code: "invalid_argument",
      detail: { field: "from" },
    },
    {
      name: "no offset",
      ask: () => get("one", "?from="),
      status: 400,
      code: "invalid_argument",
      detail: { field: "from" },
    },
    {
      name: "a count below 0",
      ask: () => get("one", "?max_records=-1"),
      status: 400,
      code: "invalid_argument",
      detail: { field: "max_records" },
    },
    {
      name: "a count of 2^32",
      ask: () => get("one", "?max_records=4294967296"),
      status: 400,
      code: "invalid_argument",
      detail: { field: "max_records" },
    },
    {
      name: "an unknown parameter",
      ask: () => get("one", "?limit=1"),
      status: 400,
      code: "invalid_argument",
      detail: { field: "limit" },
    },
    {
      name: "too long a wait",
      ask: () => get("one", "?wait_ms=99999"),
      status: 429,
      code: "resource_exhausted",
      detail: { field: "wait_ms" },
    },
    {
      name: "another stream's id",
      ask: () => get("one", "?stream_id=1"),
      status: 404,
      code: "not_found",
      detail: { reason: "REASON_STREAM_REPLACED" },
    },
    {
      name: "a form as a body",
      ask: () => post("one", "a=b", { "content-type": "application/x-www-form-urlencoded" }),
      status: 400,
      code: "invalid_argument",
      detail: { field: "content-type" },
    },
    {
      name: "a record that is too large",
      ask: () => post("one", "x".repeat(1001)),
      status: 413,
      code: "resource_exhausted",
      detail: { field: "body", reason: "REASON_LIMIT" },
    },
    {
      name: "a body that is too large",
      ask: () => post("one", "x".repeat(10_001)),
      status: 413,
      code: "resource_exhausted",
      detail: { reason: "REASON_LIMIT" },
    },
  ];
  for (const { name, ask, status, code, detail } of rows)
    test(name, async () => {
      await post("one", "x");
      const response = await ask();
      const refusal = (await response.json()) as Refusal;
      assert.deepEqual([response.status, refusal.code], [status, code], refusal.message);
      assert.deepEqual({ ...refusal.detail, ...detail }, refusal.detail);
      assert.match(refusal.detail.todo, /^[A-Z]/);
      assert.equal(response.headers.get("cache-control"), "no-store");
    });
});

describe("REST: settings", () => {
  const settingsOf = (stream: string, query = "", init: RequestInit = {}) =>
    fetch(`${node.url}/v1/streams/${stream}/settings${query}`, init);
  const patch = (stream: string, body: string, query = "") => settingsOf(stream, query, { method: "PATCH", body });

  test("are told and changed, those that are given", async () => {
    await post("set/records", "x");
    const told = (await (await settingsOf("set/records")).json()) as { name: string; settings: object };
    const settings = {
      segmentMaxBytes: "67108864",
      segmentMaxAgeS: "604800",
      retentionBytes: "0",
      retentionAgeS: "0",
      recordMaxBytes: "0",
      batchMaxBytes: "0",
      replicationFactor: "0",
    };
    assert.deepEqual([told.name, told.settings], ["set/records", settings]);
    const response = await patch("set/records", '{"retentionAgeS": 60, "retention_bytes": "1073741824"}');
    assert.deepEqual([response.status, response.headers.get("cache-control")], [200, "no-store"]);
    const changed = (await response.json()) as { settings: object; settingsVersion: string };
    const expected = { ...settings, retentionAgeS: "60", retentionBytes: "1073741824" };
    assert.deepEqual([changed.settings, changed.settingsVersion], [expected, "2"]);
  });

  test("of another version are refused with those there are", async () => {
    await post("versioned", "x");
    const response = await patch("versioned", '{"retentionAgeS": "60"}', "?expected_version=3");
    const { code, detail } = (await response.json()) as { code: string; detail: Record<string, unknown> };
    assert.deepEqual(
      [response.status, code, detail["reason"], detail["settingsVersion"]],
      [400, "failed_precondition", "REASON_SETTINGS_CHANGED", "1"],
    );
  });

  for (const [body, query, field, status] of [
    ["", "", "body", 400],
    ["[]", "", "body", 400],
    ['{"retentionAge": 60}', "", "body", 400],
    ['{"retentionAgeS": -1}', "", "body", 400],
    ["{}", "", "settings", 400],
    ['{"retentionBytes": 1}', "", "settings.retention_bytes", 400],
    ['{"retentionAgeS": 60}', "?version=1", "version", 400],
    ['{"retentionAgeS": 60}', "?expected_version=x", "expected_version", 400],
  ] as const) {
    test(`${body || "nothing"} with ${query || "no query"} is refused`, async () => {
      await post("refused", "x");
      const response = await patch("refused", body, query);
      const { detail } = (await response.json()) as Refusal;
      assert.deepEqual([response.status, detail.field], [status, field]);
    });
  }

  test("of a stream that is not there are not there, and records are not patched", async () => {
    assert.equal((await settingsOf("not/there")).status, 404);
    assert.equal((await patch("not/there", '{"retentionAgeS": 60}')).status, 404);
    const response = await fetch(`${node.url}/v1/streams/refused/records`, { method: "PATCH", body: "{}" });
    assert.equal(response.status, 400);
  });
});

describe("what caches may keep", () => {
  const immutable = "public, max-age=31536000, immutable";
  const rows: { name: string; query: (id: string) => string; caching: string }[] = [
    {
      name: "a range below the high watermark, of a stream by its id",
      query: (id) => `?from=0&end=2&stream_id=${id}`,
      caching: immutable,
    },
    {
      name: "a part of such a range",
      query: (id) => `?from=0&end=2&max_records=1&stream_id=${id}`,
      caching: immutable,
    },
    {
      name: "a range by the name alone, which may come to mean another stream",
      query: () => "?from=0&end=2",
      caching: "no-store",
    },
    { name: "a range that is not full yet", query: (id) => `?from=0&end=3&stream_id=${id}`, caching: "no-store" },
    { name: "an empty range", query: (id) => `?from=2&end=2&stream_id=${id}`, caching: "no-store" },
    { name: "the end", query: (id) => `?from=latest&stream_id=${id}`, caching: "no-store" },
    { name: "all from a place on", query: (id) => `?from=0&stream_id=${id}`, caching: "no-store" },
    { name: "from the first that is kept", query: (id) => `?end=2&stream_id=${id}`, caching: "no-store" },
  ];
  let id = "";
  before(async () => {
    await post("cached", "a");
    id = ((await (await post("cached", "b")).json()) as { streamId: string }).streamId;
  });
  for (const { name, query, caching } of rows)
    test(`REST: ${name}`, async () => {
      const response = await get("cached", query(id));
      await response.arrayBuffer();
      assert.deepEqual([response.status, response.headers.get("cache-control")], [200, caching]);
    });

  test("REST: an answer is of the form that was asked for", async () => {
    const response = await get("cached", `?from=0&end=2&stream_id=${id}`, "text/plain");
    await response.arrayBuffer();
    assert.match(response.headers.get("vary") ?? "", /accept/i);
  });

  const rpc = async (message: object) => {
    const query = new URLSearchParams({ connect: "v1", encoding: "json", message: JSON.stringify(message) });
    const response = await fetch(`${node.url}/tailrace.v1.LogService/Read?${query}`);
    await response.arrayBuffer();
    return [response.status, response.headers.get("cache-control")];
  };
  test("Connect GET: the same", async () => {
    const range = { stream: "cached", start: { offset: "0" }, endOffset: "2" };
    assert.deepEqual(await rpc({ ...range, streamId: id }), [200, immutable]);
    assert.deepEqual(await rpc(range), [200, "no-store"]);
    assert.deepEqual(await rpc({ stream: "gone" }), [404, "no-store"]);
  });

  test("a poll at the end finds what came since", async () => {
    const poll = async () => (await get("cached", "?from=2", "text/plain")).text();
    assert.equal(await poll(), "");
    await post("cached", "c");
    assert.equal(await poll(), "c\n");
  });
});
