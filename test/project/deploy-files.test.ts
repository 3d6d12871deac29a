/** fly.toml, deploy/Dockerfile and .dockerignore fit each other and what a node is: as far as can be seen without building. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "../support/data-folder.ts";
import { flyFile } from "../support/fly-file.ts";
import { until } from "../support/until.ts";

const read = (name: string) => fs.readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");
const dockerfile = read("deploy/Dockerfile");
const lines = dockerfile.split("\n");

test("the image has the version of Bun that everything is tested with", () => {
  const { bun } = JSON.parse(read("package.json")).devDependencies;
  const images = lines.filter((line) => line.startsWith("FROM ")).map((line) => line.split(" ")[1]);
  assert.deepEqual(new Set(images), new Set([`oven/bun:${bun}-slim`]));
});

test("what the image copies is there, and is not ignored", () => {
  const copied = lines
    .filter((line) => line.startsWith("COPY ") && !line.includes("--from="))
    .flatMap((line) =>
      line
        .split(" ")
        .slice(1, -1)
        .filter((word) => !word.startsWith("--")),
    );
  assert.ok(copied.length > 3);
  const kept = read(".dockerignore")
    .split("\n")
    .filter((line) => line.startsWith("!"));
  for (const name of copied) {
    assert.ok(fs.existsSync(new URL(`../../${name}`, import.meta.url)), name);
    assert.ok(kept.includes(`!${name}`), `${name} is ignored`);
  }
});

test("the image runs a node as another user than root, and nothing before it", () => {
  assert.deepEqual(
    lines.filter((line) => /^(?:USER|ENTRYPOINT|CMD) /.test(line)),
    ["USER bun", "ENTRYPOINT []", 'CMD ["tailrace", "serve"]'],
  );
});

test("what the image installs is all that a node needs to run", { timeout: 120_000 }, async () => {
  const folder = temporaryFolder();
  for (const name of ["package.json", "package-lock.json", "src"]) {
    fs.cpSync(new URL(`../../${name}`, import.meta.url), path.join(folder, name), { recursive: true });
  }
  const install = lines.find((line) => line.startsWith("RUN bun install"))?.slice("RUN ".length) ?? "";
  const bin = fileURLToPath(new URL("../../node_modules/.bin", import.meta.url));
  const env = { ...process.env, PATH: `${bin}:${process.env["PATH"]}` };
  const installed = spawnSync("sh", ["-c", install], { cwd: folder, env, encoding: "utf8" });
  assert.equal(installed.status, 0, installed.stderr);
  const args = ["src/cli/main.ts", "serve", "--data", path.join(folder, "data"), "--listen", "127.0.0.1:0"];
  const node = spawn("bun", args, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [node.stdout, node.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk;
    });
  }
  const ended = new Promise((resolve) => node.once("exit", resolve));
  await until(() => output.includes("Ready at") || node.exitCode !== null).finally(() => node.kill("SIGTERM"));
  assert.equal(await ended, 0, output);
});

test("the platform waits longer for a node to stop than it takes, and its volume is where the data is", () => {
  const fly = flyFile();
  assert.equal(fly.text("kill_signal"), "SIGTERM");
  assert.ok(fly.seconds("kill_timeout") > fly.seconds("env.TAILRACE_SHUTDOWN_GRACE"));
  assert.equal(fly.text("mounts.destination"), fly.text("env.TAILRACE_DATA"));
  assert.equal(fly.text("build.dockerfile"), "deploy/Dockerfile");
});

test("the platform's proxy comes to the api port, by HTTP/2 too, and to no other", () => {
  const fly = flyFile();
  const port = fly.number("http_service.internal_port");
  assert.equal(fly.text("env.TAILRACE_LISTEN"), `[::]:${port}`);
  assert.equal(fly.number("metrics.port"), port);
  assert.equal(fly.value("http_service.http_options.h2_backend"), true);
  assert.deepEqual(fly.value("http_service.tls_options.alpn"), ["h2", "http/1.1"]);
  assert.equal(fly.value("services"), undefined);
});
