/** The command line itself: help, version, and what is said of a command that can't be understood. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as http from "node:http";
import * as net from "node:net";
import { describe, test } from "node:test";
import { runCli } from "../support/cli.ts";

const nowhere = "http://127.0.0.1:1";
const timeout = 30_000;

const helps = [
  {
    command: [],
    says: [
      "serve",
      "dev",
      "append",
      "read",
      "streams",
      "cluster",
      "inspect",
      "verify",
      "repair",
      "tailrace serve",
      "Exit codes:",
    ],
  },
  { command: ["serve"], says: ["--data <folder>", "TAILRACE_DATA", "--batch-max-bytes", "TAILRACE_BATCH_MAX_BYTES"] },
  {
    command: ["serve"],
    says: ["--peer-listen <host:port>", "TAILRACE_SEEDS", "--bootstrap-expect <n>", "--node-id <id>"],
  },
  { command: ["dev"], says: ["--nodes <n>", "--port <n>", "--data <folder>", "n1.pid"] },
  { command: ["append"], says: ["tail -F", "--quiet", "--json", "TAILRACE_SERVER", "http://127.0.0.1:8400"] },
  { command: ["append"], says: ["--producer", "--epoch", "--retries", "SHA-256", "--expected-offset", "--fence"] },
  { command: ["append"], says: ["--routing <how>", "pass-on", "refuse"] },
  { command: ["read"], says: ["--consistency <which>", "linearizable", "--at-least-offset <n>"] },
  { command: ["read"], says: ["--from", "earliest", "latest", "-10", "10m", "--follow", "--count", "valueBase64"] },
  { command: ["inspect"], says: ["--stream <name>", "--batch <index>", "--frames", "--json"] },
  { command: ["verify"], says: ["--receipt <file>", "--server <url>", "--quiet", "--json", "base64"] },
  { command: ["repair"], says: ["--accept-loss", "--new-disk-id", "--alone", "aside/"] },
  { command: ["streams"], says: ["ls", "create", "describe", "rm"] },
  { command: ["streams", "ls"], says: ["--prefix", "--json"] },
  { command: ["streams", "create"], says: ["--segment-max-bytes", "--segment-max-age"] },
  { command: ["streams", "describe"], says: ["--json"] },
  { command: ["streams", "fence"], says: ["--clear", "64 bytes"] },
  { command: ["streams", "rm"], says: ["<stream...>"] },
  { command: ["cluster"], says: ["status", "members", "transfer", "add", "remove"] },
  { command: ["cluster", "status"], says: ["--watch", "--json"] },
  { command: ["cluster", "members"], says: ["--json"] },
  { command: ["cluster", "transfer"], says: ["--from", "--spread", "--to", "_meta"] },
  { command: ["cluster", "add"], says: ["<node>", "--voters-wanted"] },
  { command: ["cluster", "remove"], says: ["<node>", "--force"] },
];

describe("--help", () => {
  for (const { command, says } of helps) {
    test(`tailrace ${[...command, "--help"].join(" ")} has examples, exit codes and every flag`, {
      timeout,
    }, async () => {
      const { code, stdout, stderr } = await runCli(nowhere, [...command, "--help"]);
      assert.equal(code, 0);
      assert.equal(stderr, "");
      const help = stdout.toString();
      for (const word of [...says, "Exit codes:", "not known"])
        assert.ok(help.includes(word), `no ${word} in\n${help}`);
      assert.match(help, /\nExamples?:\n {2}\S/);
      assert.deepEqual(
        help.split("\n").filter((line) => line.length > 120),
        [],
      );
    });
  }

  test("the version is the package's", { timeout }, async () => {
    const manifest = JSON.parse(fs.readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    assert.equal((await runCli(nowhere, ["--version"])).stdout.toString(), `${manifest.version}\n`);
  });

  test("no command at all shows the help, as an error", { timeout }, async () => {
    const { code, stdout, stderr } = await runCli(nowhere, []);
    assert.deepEqual([code, stdout.length], [2, 0]);
    assert.match(stderr, /^Usage: tailrace /);
  });
});

const mistakes = [
  {
    args: ["read", "s", "--form", "1"],
    says: "unknown option '--form' (Did you mean --from?). Add --help to see what there is.",
  },
  { args: ["raed", "s"], says: "unknown command 'raed' (Did you mean read?). Add --help to see what there is." },
  { args: ["read"], says: "missing required argument 'stream'. Add --help to see what there is." },
  {
    args: ["read", "s", "--count", "0"],
    says: "option '-n, --count <records>' argument '0' is invalid. Give a whole number from 1 on. Add --help to see what there is.",
  },
  {
    args: ["read", "s", "--from", "tomorrow"],
    says: "--from tomorrow is no position. Give earliest, latest, an offset, -N (N before the end), a time (2026-05-01T12:00:00Z), or an age (10m).",
  },
  {
    args: ["read", "s", "--server", "localhost:8400"],
    says: "option '--server <url>' argument 'localhost:8400' is invalid. Give a URL such as http://127.0.0.1:8400. Add --help to see what there is.",
  },
  {
    args: ["streams", "create", "s", "--segment-max-bytes", "much"],
    says: "option '--segment-max-bytes <size>' argument 'much' is invalid. Give a size such as 64MiB or 1000000. Add --help to see what there is.",
  },
  {
    args: ["append", "s", "--producer", ""],
    says: "option '--producer <id>' argument '' is invalid. Give a UUID, 32 hexadecimal digits, or any text. Add --help to see what there is.",
  },
  {
    args: ["append", "s", "--producer", "p", "--epoch", "4294967296"],
    says: "option '--epoch <n>' argument '4294967296' is invalid. Give a whole number below 4294967296. Add --help to see what there is.",
  },
  { args: ["append", "s", "--epoch", "1"], says: "--epoch goes with --producer. Add one, or leave it out." },
  { args: ["append", "s", "--retries", "1"], says: "--retries goes with --producer. Add one, or leave it out." },
  {
    args: ["append", "s", "--fence", "x".repeat(65)],
    says: `option '--fence <token>' argument '${"x".repeat(65)}' is invalid. Give a text of 1 to 64 bytes. Add --help to see what there is.`,
  },
  { args: ["streams", "fence", "s"], says: "give either a token or --clear. Add --help to see what there is." },
  {
    args: ["streams", "fence", "s", "w", "--clear"],
    says: "give either a token or --clear. Add --help to see what there is.",
  },
  {
    args: ["serve", "--listen", "8400"],
    says: "option '--listen <host:port>' argument '8400' is invalid. Give HOST:PORT, such as 127.0.0.1:8400. Add --help to see what there is.",
  },
  {
    args: ["dev", "--nodes", "26"],
    says: "option '--nodes <n>' argument '26' is invalid. Give 1 to 25. Add --help to see what there is.",
  },
  {
    args: ["serve", "--log-level", "loud"],
    says: "option '--log-level <level>' argument 'loud' is invalid. Allowed choices are trace, debug, info, warn, error, fatal, silent. Add --help to see what there is.",
  },
];

describe("mistakes in a command", () => {
  for (const { args, says } of mistakes) {
    test(`tailrace ${args.join(" ")}`, { timeout }, async () => {
      const { code, stdout, stderr } = await runCli(nowhere, args);
      assert.deepEqual(
        { code, stdout: stdout.toString(), stderr },
        { code: 2, stdout: "", stderr: `tailrace: ${says}\n` },
      );
    });
  }
});

describe("something else at the address", () => {
  const strangers = [
    { name: "HTTP/1.1", scheme: "http", why: "does not speak HTTP/2", create: () => http.createServer() },
    { name: "no TLS", scheme: "https", why: "does not speak TLS (", create: () => http.createServer() },
    { name: "hangs up", scheme: "http", why: "", create: () => net.createServer((socket) => socket.destroy()) },
  ];
  for (const { name, scheme, why, create } of strangers) {
    test(name, { timeout }, async () => {
      const server = create();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const address = server.address();
      assert.ok(address !== null && typeof address === "object");
      const url = `${scheme}://127.0.0.1:${address.port}`;
      const { code, stderr } = await runCli(url, ["read", "s"]);
      server.close();
      assert.equal(code, 3);
      assert.ok(stderr.startsWith(`tailrace: there is no node to talk to: ${url} ${why}`), stderr);
      assert.match(stderr, /^[^\n]*\n$/);
    });
  }

  test("a host name that is not found", { timeout }, async () => {
    const { code, stderr } = await runCli("http://no-such-host.invalid:8400", ["read", "s"]);
    assert.equal(code, 3);
    assert.match(stderr, /^tailrace: there is no node to talk to: http:\/\/no-such-host\.invalid:8400 .*\n$/);
  });
});

describe("a node that is not there", () => {
  const said =
    "tailrace: there is no node to talk to: http://127.0.0.1:1 refuses connections. " +
    'Start one with "tailrace serve", or give the address of another with --server.\n';
  const commands = [
    ["read", "s"],
    ["read", "s", "--follow"],
    ["append", "s"],
    ["append", "s", "--producer", "p"],
    ["streams", "fence", "s", "w"],
    ["streams", "ls"],
    ["streams", "create", "s"],
    ["streams", "describe", "s"],
    ["streams", "rm", "s"],
  ];
  for (const args of commands) {
    test(`tailrace ${args.join(" ")}`, { timeout }, async () => {
      const { code, stderr } = await runCli(nowhere, args, Buffer.from("a line\n"));
      assert.deepEqual({ code, stderr }, { code: 3, stderr: said });
    });
  }
});
