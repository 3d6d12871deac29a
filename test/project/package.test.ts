/** What is published: packed, installed into an empty folder, and run with Node. */
import assert from "node:assert/strict";
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runCli } from "../support/cli.ts";
import { startNode } from "../support/node-process.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const manifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-package-"));
const installed = path.join(folder, "node_modules", "tailrace");
const program = path.join(folder, "node_modules", ".bin", "tailrace");

/** Packing builds, and installing may have to ask the registry. */
const timeout = 240_000;

describe("the published package", () => {
  test("is packed and installed", { timeout }, () => {
    run("npm", ["pack", "--pack-destination", folder], root);
    const [tarball = ""] = fs.readdirSync(folder);
    assert.equal(tarball, `tailrace-${manifest.version}.tgz`);
    fs.writeFileSync(path.join(folder, "package.json"), '{ "private": true, "type": "module" }');
    run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", `./${tarball}`], folder);
  });
  after(() => fs.rmSync(folder, { recursive: true, force: true }));

  test("has what a user needs, and no test", () => {
    const files = fs.readdirSync(installed, { recursive: true, encoding: "utf8" });
    for (const name of ["LICENSE", "README.md", "CHANGELOG.md", "dist/cli/main.js", "proto/tailrace/v1/log.proto"]) {
      assert.ok(files.includes(name), `${name} is missing`);
    }
    assert.deepEqual(
      files.filter((file) => /\.test\.|testdata|^src|^test|^node_modules/.test(file)),
      [],
    );
  });

  test("tells its version and its commands", { timeout: 20_000 }, () => {
    assert.equal(run(program, ["--version"], folder), `${manifest.version}\n`);
    const help = run(program, ["--help"], folder);
    for (const command of ["serve", "append", "read", "streams"]) assert.match(help, new RegExp(`^ +${command} `, "m"));
  });

  test("says in a line what is wrong with a command", { timeout: 20_000 }, () => {
    const { status, stderr } = spawned(program, ["append", "--no-such-flag"], folder);
    assert.equal(status, 2);
    assert.match(stderr, /^tailrace: .*--no-such-flag.*\n$/);
  });

  test("has types for the library and the client", { timeout: 60_000 }, () => {
    fs.writeFileSync(
      path.join(folder, "user.ts"),
      `import { createNode } from "tailrace";
       import { createClient } from "tailrace/client";
       export const all: [typeof createNode, typeof createClient] = [createNode, createClient];
       // A type that did not come with the package would be any, and this no error.
       // @ts-expect-error A limit is a number.
       export const limits: Parameters<typeof createNode>[0]["limits"] = { batchMaxBytes: "much" };
       // @ts-expect-error A name is a string.
       export const read = (client: ReturnType<typeof createClient>) => client.log.read({ stream: 1 });\n`,
    );
    const compiler = path.join(root, "node_modules", ".bin", "tsc");
    const flags = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2022"];
    const types = ["--types", "node", "--typeRoots", path.join(root, "node_modules", "@types")];
    run(compiler, [...flags, ...types, "user.ts"], folder);
  });

  test("serves, appends and reads", { timeout: 60_000 }, async () => {
    const node = await startNode({ data: path.join(folder, "data"), program: [program] });
    const input = Buffer.from("one\ntwo\n");
    const appended = await runCli(node.url, ["append", "greetings"], input, [program]);
    assert.equal(appended.code, 0, appended.stderr);
    const read = await runCli(node.url, ["read", "greetings"], undefined, [program]);
    assert.deepEqual(read.stdout, input);
    assert.equal(await node.end("SIGTERM"), 0, node.output());
  });

  test("loads as a library", { timeout: 20_000 }, () => {
    const script = `
      const { createNode } = await import("tailrace");
      const { createClient } = await import("tailrace/client");
      console.log(typeof createNode, typeof createClient);`;
    assert.equal(run("node", ["--input-type=module", "-e", script], folder), "function function\n");
  });
});

function spawned(command: string, args: readonly string[], cwd: string): SpawnSyncReturns<string> {
  return spawnSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawned(command, args, cwd);
  assert.equal(status, 0, `${command} ${args.join(" ")} failed: ${error?.message ?? ""}\n${stdout}${stderr}`);
  return stdout;
}
