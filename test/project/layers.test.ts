/**
 * The layers, as a table: what each part of src/ may import, and where the world may be touched. Tests beside the
 * sources, and what lies in a testdata/ folder, are free; nothing but they may import a test.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

interface Layer {
  /** A folder or a file below src/; the longest that a file's path begins with is its layer. */
  readonly part: string;
  /** Other parts that it may import; its own always. `all` is for the composition root. */
  readonly imports: readonly string[] | "all";
  /** Parts of which it may import types, so that what they do comes in as an argument. */
  readonly typesOf?: readonly string[];
  /** Packages, and modules of the runtime, that it may import. */
  readonly packages?: readonly string[];
  /** It may ask the clock, set timers and draw random numbers by itself. */
  readonly touchesWorld?: true;
}

const layers: readonly Layer[] = [
  { part: "base", imports: [] },
  { part: "host", imports: ["base"], packages: ["node:*"], touchesWorld: true },
  { part: "wire", imports: ["base"], packages: ["@bufbuild/protobuf"] },
  { part: "log", imports: ["base"], typesOf: ["host"] },
  { part: "raft", imports: ["base"] },
  { part: "gossip", imports: ["base"] },
  { part: "placement", imports: ["raft", "base"] },
  { part: "replica", imports: ["raft", "gossip", "log", "wire", "base"], typesOf: ["host"] },
  {
    part: "membership",
    imports: ["replica", "raft", "gossip", "wire", "base"],
    typesOf: ["host"],
    packages: ["pino"],
  },
  { part: "stream", imports: ["replica", "wire", "base"], typesOf: ["host"] },
  {
    part: "server",
    imports: ["stream", "replica", "wire", "base"],
    typesOf: ["host"],
    packages: ["hono", "@hono/node-server", "@bufbuild/protobuf", "@connectrpc/*", "prom-client", "pino", "node:*"],
  },
  {
    part: "server/peer",
    imports: ["server", "stream", "membership", "replica", "wire", "base"],
    typesOf: ["host", "raft", "gossip"],
    packages: ["hono", "@hono/node-server", "@bufbuild/protobuf", "@connectrpc/*", "pino", "node:*"],
  },
  {
    part: "cluster",
    imports: [
      "server",
      "server/peer",
      "stream",
      "replica",
      "membership",
      "placement",
      "raft",
      "log",
      "host",
      "wire",
      "base",
    ],
    typesOf: ["gossip"],
    packages: ["pino", "prom-client", "@connectrpc/connect"],
  },
  {
    part: "client",
    imports: ["wire", "base"],
    packages: ["@bufbuild/protobuf", "@connectrpc/connect"],
    touchesWorld: true,
  },
  {
    part: "cli",
    imports: ["cli/serve", "cli/offline", "client", "host", "wire", "base"],
    packages: ["commander", "cli-progress", "@bufbuild/protobuf", "@connectrpc/*", "pino", "pino-pretty", "node:*"],
    touchesWorld: true,
  },
  {
    part: "cli/serve",
    imports: ["node.ts", "cli", "client", "wire", "base"],
    packages: ["commander", "pino", "pino-pretty", "node:*"],
    touchesWorld: true,
  },
  { part: "cli/offline", imports: ["cli", "log", "host", "wire", "base"], packages: ["commander", "node:*"] },
  { part: "sim", imports: "all", packages: ["node:*"], touchesWorld: true },
  { part: "sim/history", imports: ["base"] },
  { part: "node.ts", imports: "all", packages: ["hono", "pino", "pino-pretty", "prom-client", "node:*"] },
];

/** What nobody but the root and the simulator's users may import. */
const roots = ["node.ts", "sim", "sim/history"];

const world = /\b(?:Date\.now|new Date\(\)|(?:performance\.now|setTimeout|setInterval|setImmediate|Math\.random)\b)/;

interface Import {
  readonly from: string;
  readonly typesOnly: boolean;
}

const source = fileURLToPath(new URL("../../src/", import.meta.url));
const files = fs
  .readdirSync(source, { recursive: true, encoding: "utf8" })
  .map((file) => file.split(path.sep).join("/"))
  .filter((file) => file.endsWith(".ts"))
  .sort();
const isFree = (file: string) => file.endsWith(".test.ts") || file.split("/").includes("testdata");
const read = (file: string) => withoutComments(fs.readFileSync(path.join(source, file), "utf8"));

describe("layers", () => {
  test("every source file is in one", () => {
    assert.ok(files.length > 0);
    assert.deepEqual(
      files.filter((file) => layerOf(file) === undefined),
      [],
    );
  });

  for (const layer of layers) {
    test(`${layer.part} imports only what is below it`, () => {
      assert.deepEqual(
        sourcesOf(layer).flatMap((file) =>
          importsOf(read(file))
            .map((imported) => refusal(file, layer, imported))
            .filter((why) => why !== undefined),
        ),
        [],
      );
    });
  }

  for (const layer of layers.filter(({ touchesWorld }) => touchesWorld === undefined)) {
    test(`${layer.part} is given clock, timers and randomness`, () => {
      assert.deepEqual(
        sourcesOf(layer).filter((file) => world.test(read(file))),
        [],
      );
    });
  }
});

describe("the test itself", () => {
  const cases = [
    { text: 'import { a } from "./b.ts";', imports: [{ from: "./b.ts", typesOnly: false }] },
    { text: 'import type { A } from "./b.ts";', imports: [{ from: "./b.ts", typesOnly: true }] },
    { text: 'import {\n  a,\n  type B,\n} from "../b.ts";', imports: [{ from: "../b.ts", typesOnly: false }] },
    { text: 'import "./b.ts";', imports: [{ from: "./b.ts", typesOnly: false }] },
    { text: 'export { a } from "./b.ts";', imports: [{ from: "./b.ts", typesOnly: false }] },
    { text: 'export type { A } from "./b.ts";', imports: [{ from: "./b.ts", typesOnly: true }] },
    { text: 'const b = await import("node:fs");', imports: [{ from: "node:fs", typesOnly: false }] },
    { text: '// import { a } from "./b.ts";\n/* import "./c.ts"; */', imports: [] },
  ];
  for (const { text, imports } of cases) {
    test(`finds what is imported by ${JSON.stringify(text)}`, () => {
      assert.deepEqual(importsOf(withoutComments(text)), imports);
    });
  }

  const refused = [
    { file: "log/x.ts", from: "../host/disk.ts", typesOnly: true, ok: true },
    { file: "log/x.ts", from: "../host/node-disk.ts", typesOnly: false, ok: false },
    { file: "log/x.ts", from: "../stream/types.ts", typesOnly: true, ok: false },
    { file: "log/x.ts", from: "node:fs", typesOnly: false, ok: false },
    { file: "base/x.ts", from: "./x.test.ts", typesOnly: false, ok: false },
    { file: "cli/read.ts", from: "../node.ts", typesOnly: false, ok: false },
    { file: "cli/serve.ts", from: "../node.ts", typesOnly: false, ok: true },
    { file: "node.ts", from: "./sim/disk.ts", typesOnly: false, ok: false },
    { file: "node.ts", from: "./sim/history/check.ts", typesOnly: false, ok: false },
    { file: "sim/x.ts", from: "./history/check.ts", typesOnly: false, ok: true },
    { file: "sim/history/x.ts", from: "../disk.ts", typesOnly: false, ok: false },
    { file: "server/api/x.ts", from: "@connectrpc/connect/protocol", typesOnly: false, ok: true },
  ];
  for (const { file, ok, ...imported } of refused) {
    test(`${ok ? "lets" : "does not let"} ${file} import ${imported.from}`, () => {
      const layer = layerOf(file);
      assert.ok(layer);
      assert.equal(refusal(file, layer, imported) === undefined, ok);
    });
  }
});

function layerOf(file: string): Layer | undefined {
  return layers
    .filter(({ part }) => file === part || file.startsWith(`${part}/`) || file.startsWith(`${part}.`))
    .sort((one, other) => other.part.length - one.part.length)[0];
}

function sourcesOf(layer: Layer): string[] {
  return files.filter((file) => layerOf(file) === layer && !isFree(file));
}

/** Why `file` may not have this import; `undefined`: it may. */
function refusal(file: string, layer: Layer, { from, typesOnly }: Import): string | undefined {
  const why = `src/${file} imports ${from}`;
  if (!from.startsWith(".")) {
    return layer.packages?.some((allowed) => isOf(allowed, from)) ? undefined : why;
  }
  const target = path.posix.normalize(path.posix.join(path.posix.dirname(file), from));
  const targetLayer = layerOf(target);
  if (targetLayer === undefined || isFree(target)) return why;
  if (targetLayer === layer) return undefined;
  if (layer.imports === "all") return isOf("sim", targetLayer.part) && layer.part !== "sim" ? why : undefined;
  if (layer.imports.includes(targetLayer.part)) return undefined;
  if (roots.includes(targetLayer.part)) return why;
  return typesOnly && layer.typesOf?.includes(targetLayer.part) ? undefined : why;
}

function isOf(allowed: string, from: string): boolean {
  if (allowed.endsWith("*")) return from.startsWith(allowed.slice(0, -1));
  return from === allowed || from.startsWith(`${allowed}/`);
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, "");
}

function importsOf(text: string): Import[] {
  const statement = /^\s*(?:import|export)\s+(type\s+)?(?:[\w*\s{},$]*?\sfrom\s+)?"([^"]+)"/gm;
  const call = /\bimport\("([^"]+)"\)/g;
  return [
    ...[...text.matchAll(statement)].map(([, type, from = ""]) => ({ from, typesOnly: type !== undefined })),
    ...[...text.matchAll(call)].map(([, from = ""]) => ({ from, typesOnly: false })),
  ];
}
