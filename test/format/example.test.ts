/**
 * The example of docs/format.md is what the code writes, byte for byte: it makes the same folder with a fixed clock and
 * fixed random bytes. When this fails because a format changed, the page has to say so; the difference shows its lines.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { BatchKind } from "../../src/base/batch.ts";
import { defaultLimits } from "../../src/base/limits.ts";
import { systemClock } from "../../src/host/clock.ts";
import { systemHash } from "../../src/host/hash.ts";
import { nodeDisk } from "../../src/host/node-disk.ts";
import { openDataFolder } from "../../src/log/data-folder.ts";
import { emptyPart } from "../../src/replica/log-door.ts";
import { loneLogs } from "../../src/replica/lone.ts";
import { builtInSettings } from "../../src/stream/settings.ts";
import { temporaryFolder } from "../support/data-folder.ts";
import { payloadOf } from "../support/streams.ts";

const page = fs.readFileSync(new URL("../../docs/format.md", import.meta.url), "utf8");

describe("the example of docs/format.md", () => {
  const folder = temporaryFolder();
  let making: Promise<void> | undefined;

  for (const file of ["id", "journal/0"]) {
    test(file, async () => {
      making ??= makeExample(folder);
      await making;
      const bytes = fs.readFileSync(path.join(folder, file));
      const shown = exampleOf(file);
      const { text, end } = withBytes(shown, bytes);
      assert.equal(shown, text);
      assert.equal(end, bytes.length);
    });
  }
});

async function makeExample(folder: string): Promise<void> {
  const nowMicros = 1_700_000_000_000_000;
  const opened = await openDataFolder({
    path: folder,
    disk: nodeDisk(),
    clock: { ...systemClock, nowMicros: () => nowMicros },
    hash: systemHash,
    random: { bytes: (count) => Uint8Array.from({ length: count }, (_, at) => count + at) },
    settings: { journalFileBytes: 1 << 20, journalFiles: 2, arenaBytes: 1 << 20 },
  });
  const logs = loneLogs(opened, defaultLimits);
  const part = { name: "a", settings: { version: 1, ...builtInSettings }, ...emptyPart };
  const { creation } = logs.describeNew(part, 0);
  const { door } = logs.create(
    { group: 2, creation, appendTimeMicros: nowMicros },
    { checkpointPart: () => part, restored: () => {}, restoring: () => {}, produced: () => {} },
  );
  await door.append({ kind: BatchKind.records, payload: payloadOf("hello"), recordCount: 1 });
  await opened.close();
}

/** The lines that the page shows of a file. */
function exampleOf(file: string): string {
  const [, lines = ""] = new RegExp(`\n\`\`\`example ${file}\n([^\`]*)\`\`\`\n`).exec(page) ?? [];
  assert.notEqual(lines, "", `docs/format.md has no example of ${file}`);
  return lines;
}

/** The same lines with what is in the file, each from where the line before ends; and where the last one ends. */
function withBytes(lines: string, bytes: Uint8Array): { text: string; end: number } {
  let at = 0;
  const rewritten = lines
    .trimEnd()
    .split("\n")
    .map((line) => {
      const position = at.toString(16).padStart(4, "0");
      const zeros = /^[0-9a-f]{4,} {2}zeros to ([0-9a-f]+)(.*)$/.exec(line);
      if (zeros) {
        const [, to = "", meaning = ""] = zeros;
        const end = Number.parseInt(to, 16);
        const isZero = bytes.subarray(at, end).every((byte) => byte === 0);
        at = end;
        return `${position}  ${isZero ? "zeros" : "not only zeros"} to ${to}${meaning}`;
      }
      const [, shown = "", meaning = ""] = /^[0-9a-f]{4,} {2}((?: {0,2}[0-9a-f]{2})+)( {3}.*)?$/.exec(line) ?? [];
      assert.notEqual(shown, "", `this line of the page shows no bytes: ${line}`);
      const inFile = shown.replace(/[0-9a-f]{2}/g, () => (bytes[at++] ?? 0).toString(16).padStart(2, "0"));
      return `${position}  ${inFile}${meaning}`;
    });
  return { text: `${rewritten.join("\n")}\n`, end: at };
}
