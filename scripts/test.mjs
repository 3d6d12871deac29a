/**
 * `npm test`: everything; `node scripts/test.mjs FOLDER`: the tests of a folder, without the static checks. The last line is `N passed, N failed`, and the exit status is 0 when nothing failed.
 * Every test file runs in a process of its own, so that none finds another's leftovers and a crash costs one file.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import { staticChecks } from "./checks.mjs";
import { report, root, run, testTimeout } from "./run.mjs";

/** Files that load the machine or measure it: each runs when no other does. */
const alone = [
  ...["test/durability/", "test/project/package.test.ts", "test/real-input.test.ts", "test/sim/rules.test.ts"],
  ...["test/sim/cluster-rules.test.ts", "test/cluster/"],
];

/** How many of the others run at once. */
const atOnce = 2;

/** A file that takes longer than this is ended and counts as failed. */
const fileTimeoutMs = 15 * 60_000;

/** Of a file that failed the last lines of a run tell so many, each of so many characters. */
const toldLinesMax = 12;
const toldLineMax = 300;

const [only = ""] = process.argv.slice(2);

const results = [];
const skips = [];

installTools();
for (const { name, wrong } of only === "" ? staticChecks : []) {
  const begin = performance.now();
  const said = await wrong();
  add({ name, passed: said === "" ? 1 : 0, failed: said === "" ? 0 : 1, output: said, since: begin });
}

const reports = await mkdtemp(join(tmpdir(), "tailrace-test-"));
const files = await testFiles();
const light = files.filter((file) => !isAlone(file));
await Promise.all(Array.from({ length: atOnce }, takeLight));
for (const file of files.filter(isAlone)) add(await runFile(file));
await rm(reports, { recursive: true });

if (files.length === 0)
  add({ name: "test files", passed: 0, failed: 1, output: "none found", since: performance.now() });
if (skips.length > 0) {
  console.log(`\nNot run on this machine: ${skips.length}`);
  for (const skip of skips) console.log(`  ${skip}`);
}
const failures = results.filter((result) => result.failed > 0);
if (failures.length > 0) {
  console.log("\nFailed:");
  for (const { name, failed, output } of failures) {
    console.log(`  ${name} (${failed})`);
    for (const line of tellingLines(output)) console.log(`    ${line}`);
  }
}
const sum = (key) => results.reduce((total, result) => total + result[key], 0);
const failed = sum("failed");
console.log(`\n${sum("passed")} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/**
 * strace counts and fails system calls for some tests, iproute2 makes the hosts of others, and dnsmasq is their name server;
 * where they can't be had these say that they skip.
 */
function installTools() {
  const has = (command) => spawnSync("sh", ["-c", `command -v ${command}`], { stdio: "ignore" }).status === 0;
  const tools = { strace: "strace", ip: "iproute2", dnsmasq: "dnsmasq-base" };
  const missing = Object.entries(tools).flatMap(([command, name]) => (has(command) ? [] : [name]));
  if (process.platform !== "linux" || missing.length === 0 || process.getuid() !== 0 || !has("apt-get")) return;
  console.log(`Installing what some tests need: ${missing.join(", ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  for (const args of [
    ["update", "-qq"],
    ["install", "-y", "-qq", "--no-install-recommends", ...missing],
  ]) {
    const { status, stderr } = spawnSync("apt-get", args, { env, encoding: "utf8", timeout: 300_000 });
    if (status !== 0) console.log(`apt-get ${args[0]} failed, going on without: ${stderr.trim()}`);
  }
}

async function testFiles() {
  const found = [];
  for (const folder of ["src", "test"]) {
    const names = await readdir(join(root, folder), { recursive: true });
    found.push(...names.filter((name) => name.endsWith(".test.ts")).map((name) => join(folder, name)));
  }
  return found
    .map((name) => name.split(sep).join("/"))
    .filter((file) => file.startsWith(only))
    .sort();
}

function isAlone(file) {
  return alone.some((start) => file.startsWith(start));
}

async function takeLight() {
  for (let file = light.shift(); file !== undefined; file = light.shift()) add(await runFile(file));
}

/** Runs one test file; what it counts comes from the report that the runner wrote, never from what tests print. */
async function runFile(file) {
  const since = performance.now();
  const junit = join(reports, `${file.replaceAll("/", "_")}.xml`);
  const args = ["test", `./${file}`, testTimeout, "--reporter=junit", `--reporter-outfile=${junit}`];
  const { status, output } = await run("bun", args, { timeoutMs: fileTimeoutMs });
  const xml = await readFile(junit, "utf8").catch(() => "");
  const [, head = ""] = /<testsuites ([^>]*)>/.exec(xml) ?? [];
  const count = (attribute) => Number(new RegExp(`\\b${attribute}="(\\d+)"`).exec(head)?.[1] ?? 0);
  const [tests, failures, skipped] = [count("tests"), count("failures"), count("skipped")];
  noteSkips(file, skipped, output);
  // The runner ends with an error without a failed test when the file crashed, and without one when it has no tests.
  const crashed = (status !== 0 && failures === 0) || tests === 0;
  const why = tests === 0 && status === 0 ? "\nThere is no test in this file.\n" : "";
  return {
    name: file,
    passed: tests - failures - skipped,
    failed: failures + (crashed ? 1 : 0),
    output: output + why,
    since,
  };
}

function noteSkips(file, skipped, output) {
  if (skipped === 0) return;
  const reasons = [...output.matchAll(/^# skip: (.*)$/gm)].map(([, reason]) => reason);
  const why = reasons.length === 0 ? "no reason given" : [...new Set(reasons)].join("; ");
  for (const [, name] of output.matchAll(/^\((?:skip|todo)\) (.*?)(?: \[[\d.]+ms\])?$/gm)) {
    skips.push(`${file} > ${name}: ${why}`);
  }
}

/** Which tests failed and of what, short enough to be found at the end of a long log. */
function tellingLines(output) {
  const lines = output.split("\n").filter((line) => /^(\(fail\)|error: |\w*Error: )/.test(line));
  return lines.slice(0, toldLinesMax).map((line) => line.slice(0, toldLineMax));
}

function add(result) {
  results.push(result);
  const counts = `${result.passed} passed${result.failed > 0 ? `, ${result.failed} failed` : ""}`;
  report(result.failed === 0, relative(".", result.name), counts, (performance.now() - result.since) / 1000);
  if (result.failed > 0) console.log(result.output.replace(/^/gm, "    ").trimEnd());
}
