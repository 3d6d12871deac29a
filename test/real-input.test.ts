/**
 * Real input, end to end: what goes in through `tailrace append` comes back as the same bytes through `tailrace read`,
 * a stock gRPC client and REST, also while it is being appended.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { present } from "../src/base/assert.ts";
import { runCli, startCli } from "./support/cli.ts";
import { readByGrpc } from "./support/grpc-reader.ts";
import { startNode } from "./support/node-process.ts";
import { readByRest, textByRest } from "./support/rest-reader.ts";
import { chooseSeed, seeded } from "./support/seeded.ts";

/** How much real text is taken, and the least that counts as some. */
const text = { mostBytes: 8 << 20, leastBytes: 2 << 20, logsLeastBytes: 1 << 20 };
const generatedLines = 20_000;
/** A line's record may have 1 MiB at most. */
const lineMaxBytes = 1_000_000;
/** While following, so many pieces of the text are appended, with a pause after each. */
const pieces = { count: 40, pauseMs: 25 };

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-input-"));
const timeout = 120_000;
const starting = startNode({ data: path.join(folder, "data") });

after(async () => {
  await (await starting).end("SIGTERM");
  fs.rmSync(folder, { recursive: true, force: true });
});

const real = realText();
const odd = oddLines();

const inputs = [
  { name: "real text of this machine", stream: "real/text", bytes: real },
  { name: "the same without its last newline", stream: "real/cut", bytes: withoutLastNewline(real) },
  { name: "bytes that are not UTF-8, empty lines, \\r\\n", stream: "odd/lines", bytes: odd },
  { name: "the same without its last newline", stream: "odd/cut", bytes: withoutLastNewline(odd) },
  { name: "one line", stream: "one/line", bytes: Buffer.from("hello\n") },
  { name: "one line without newline", stream: "one/cut", bytes: Buffer.from("hello") },
  { name: "an empty line", stream: "one/empty", bytes: Buffer.from("\n") },
  { name: "empty lines at both ends", stream: "one/ends", bytes: Buffer.from("\n\na\r\n\r\n\n") },
];

describe("what is appended from a file comes back as it was", () => {
  for (const { name, stream, bytes } of inputs) {
    test(`${name} (${bytes.length} bytes)`, { timeout }, async () => {
      const { url } = await starting;
      const file = path.join(folder, "input");
      fs.writeFileSync(file, bytes);
      const appended = await runCli(url, ["append", stream, file, "--json"]);
      assert.equal(appended.code, 0, appended.stderr);
      const lines = linesOf(bytes);
      assert.equal(JSON.parse(appended.stdout.toString()).records, lines.length);

      const read = await runCli(url, ["read", stream]);
      assert.equal(read.code, 0, read.stderr);
      assertSame(read.stdout, bytes);

      const records = await readByGrpc(url, stream);
      assertSameLines(
        records.map(({ value }) => value),
        lines,
      );
      const open = records.filter(({ headers }) => headers.some(({ name }) => name === "tailrace-newline"));
      assert.equal(open.length, bytes.at(-1) === 10 ? 0 : 1);
      assertSameLines(await readByRest(url, stream), lines);
      const ended = bytes.at(-1) === 10 ? bytes : Buffer.concat([bytes, Buffer.from("\n")]);
      assertSame(await textByRest(url, stream), ended);
    });
  }

  test("through a pipe too, and what follows a file without last newline begins a line", { timeout }, async () => {
    const { url } = await starting;
    for (const input of ["first\nsecond", "third\n", "fourth"]) {
      const appended = await runCli(url, ["append", "piped"], Buffer.from(input));
      assert.equal(appended.code, 0, appended.stderr);
    }
    const read = await runCli(url, ["read", "piped"]);
    assert.equal(read.stdout.toString(), "first\nsecond\nthird\nfourth");
  });
});

describe("following while it is appended", () => {
  test("gives the same bytes to each follower, from the start and from the middle", { timeout }, async () => {
    const { url } = await starting;
    const stream = "followed";
    const first = Buffer.from("the first line\n");
    assert.equal((await runCli(url, ["append", stream], first)).code, 0);
    const lines = linesOf(real).length;
    const early = startCli(url, ["read", stream, "--follow", "--count", String(lines + 1)]);
    const writer = startCli(url, ["append", stream, "--quiet"]);
    const size = Math.ceil(real.length / pieces.count);
    let late: ReturnType<typeof startCli> | undefined;
    for (let number = 0; number < pieces.count; number++) {
      await writer.write(real.subarray(number * size, (number + 1) * size));
      await new Promise((resolve) => setTimeout(resolve, pieces.pauseMs));
      // It has to find its way from records that are stored to records that come.
      if (number === pieces.count >> 1) {
        assert.ok(early.stdoutBytes() > 0, "what was appended is seen before its writer ends");
        late = startCli(url, ["read", stream, "--follow", "--from", "1", "--count", String(lines)]);
      }
    }
    writer.closeInput();
    const written = await writer.ended;
    assert.equal(written.code, 0, written.stderr);
    assertSame((await early.ended).stdout, Buffer.concat([first, real]));
    assertSame((await present(late, "it was started").ended).stdout, real);
  });
});

/** Lines as `tailrace append` understands them. */
function linesOf(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(10, start);
    const end = newline < 0 ? bytes.length : newline;
    lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return lines;
}

/** As deepEqual, which would print megabytes. */
function assertSame(actual: Buffer, expected: Buffer): void {
  if (actual.equals(expected)) return;
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  assert.fail(`${actual.length} bytes instead of ${expected.length}, first other byte at ${at}`);
}

function assertSameLines(actual: readonly Uint8Array[], expected: readonly Buffer[]): void {
  const other = expected.findIndex((line, index) => !line.equals(actual[index] ?? new Uint8Array(0)));
  assert.equal(other, -1, `record ${other} is another`);
  assert.equal(actual.length, expected.length);
}

function withoutLastNewline(bytes: Buffer): Buffer {
  assert.equal(bytes.at(-1), 10);
  return bytes.subarray(0, -1);
}

/** Each kind of line that a careless reader spoils, in an order by chance. */
function oddLines(): Buffer {
  const random = seeded(chooseSeed("real-input"), 4096);
  const kinds = [
    () => Buffer.alloc(0),
    () => Buffer.from("\r"),
    () => Buffer.from("ends in \r"),
    () => Buffer.from("plain"),
    () => Buffer.from("ünïcödé 漢字 🚰"),
    () => Buffer.from([0xff, 0xfe, 0x00, 0xc3, 0x28, 0x80]),
    () => Buffer.from([0xef, 0xbb, 0xbf]),
    () => Buffer.from('{"json": "\\n", "tail": true}'),
    () => Buffer.from(random.bytes(random.between(1, 4096))).filter((byte) => byte !== 10),
  ];
  const lines = Array.from({ length: generatedLines }, () => kinds[random.between(0, kinds.length - 1)]?.() ?? "");
  return Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from("\n")]));
}

/** The machine's logs, where it has some; else texts that it certainly has: of its packages, then of ours. */
function realText(): Buffer {
  const logs = textsBelow("/var/log", () => true);
  const logBytes = logs.reduce((sum, log) => sum + log.length, 0);
  const found = logBytes >= text.logsLeastBytes ? logs : [];
  const modules = fileURLToPath(new URL("../node_modules", import.meta.url));
  const more = [
    () => textsBelow("/usr/share/doc", (name) => !name.endsWith(".html")),
    () => textsBelow(modules, (name) => /(^|\/)(LICENSE|README|CHANGELOG|package)[^/]*$/.test(name)),
  ];
  let size = found.reduce((sum, bytes) => sum + bytes.length, 0);
  for (const source of more) {
    if (size >= text.leastBytes) break;
    for (const bytes of source()) {
      if (size >= text.mostBytes) break;
      found.push(bytes);
      size += bytes.length;
    }
  }
  console.log(
    `real input: ${size} bytes of ${found.length} files, logs of this machine: ${logBytes >= text.logsLeastBytes}`,
  );
  assert.ok(size >= text.leastBytes, "this machine has no text");
  return Buffer.concat(found);
}

/** Files below a folder that are text, each ended by a newline; those that can't be read are none. */
function textsBelow(top: string, wanted: (name: string) => boolean): Buffer[] {
  const texts: Buffer[] = [];
  let size = 0;
  for (const name of filesBelow(top)) {
    if (size >= text.mostBytes) break;
    if (!wanted(name)) continue;
    const bytes = unlessRefused(() => (fs.statSync(name).size > text.mostBytes ? undefined : fs.readFileSync(name)));
    if (bytes === undefined || bytes.length === 0 || bytes.includes(0)) continue;
    if (linesOf(bytes).some(({ length }) => length > lineMaxBytes)) continue;
    texts.push(bytes.at(-1) === 10 ? bytes : Buffer.concat([bytes, Buffer.from("\n")]));
    size += bytes.length;
  }
  return texts;
}

function* filesBelow(folder: string): Generator<string> {
  const entries = unlessRefused(() => fs.readdirSync(folder, { withFileTypes: true })) ?? [];
  for (const entry of entries.sort((one, other) => (one.name < other.name ? -1 : 1))) {
    const place = path.join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(place);
    else if (entry.isFile()) yield place;
  }
}

function unlessRefused<T>(use: () => T): T | undefined {
  try {
    return use();
  } catch {
    return undefined;
  }
}
