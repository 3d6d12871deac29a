/**
 * What the tests of clusters stand on: hosts that hear each other, until a link is cut.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { describe, test } from "node:test";
import { unless } from "../support/skip.ts";
import { client, type Host } from "./support/host.ts";
import { between, makeHosts, whyNoCuts, whyNoWeather } from "./support/hosts.ts";

const timeout = 30_000;
const cuts = { ...unless(whyNoCuts === undefined, whyNoCuts ?? ""), timeout };
const weathers = { ...unless(whyNoWeather === undefined, whyNoWeather ?? ""), timeout };
const port = 9000;
/** A request over a link that is cut is given up after so long. */
const silenceMs = 700;

const program = `
  const asking = async (url) => (await fetch(url, { signal: AbortSignal.timeout(${silenceMs}) })).text();
  require("node:http").createServer((request, response) => {
    const to = new URL(request.url, "http://here").searchParams.get("to");
    if (to === null) response.end("here");
    else asking(to).then((said) => response.end(said), (error) => response.end(error.name));
  }).listen(${port}, "::", () => console.log("listens"));`;

/** Something on a host that answers, and asks others when it is told to. */
class Asker {
  readonly host: Host;
  readonly #child: ChildProcess;

  private constructor(host: Host) {
    this.host = host;
    const [command = "", ...args] = [...host.wrapper, process.execPath, "-e", program];
    this.#child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  }

  static async start(host: Host): Promise<Asker> {
    const asker = new Asker(host);
    const { stdout } = asker.#child;
    assert.ok(stdout);
    await once(stdout, "data");
    return asker;
  }

  get url(): string {
    return `http://${this.host.ipv4}:${port}`;
  }

  get urlOverIpv6(): string {
    return `http://[${this.host.ipv6}]:${port}`;
  }

  /** What it hears from another; "TimeoutError": nothing. */
  async ask(url: string): Promise<string> {
    return await ask(`${this.url}?to=${encodeURIComponent(url)}`);
  }

  end(): void {
    this.#child.kill("SIGKILL");
  }
}

async function ask(url: string): Promise<string> {
  try {
    return await (await fetch(url, { signal: AbortSignal.timeout(2 * silenceMs) })).text();
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
}

describe("hosts", () => {
  for (const switched of [false, true]) {
    test(
      `on a ${switched ? "switch in user space" : "bridge"} hear each other until a link is cut, in that direction`,
      switched ? weathers : cuts,
      async () => {
        const hosts = await makeHosts({ switched });
        const [a, b] = [await Asker.start(await hosts.add("a")), await Asker.start(await hosts.add("b"))];
        const all = async () => [await a.ask(b.url), await b.ask(a.url), await a.ask(b.urlOverIpv6), await ask(b.url)];
        try {
          assert.deepEqual(await all(), ["here", "here", "here", "here"]);
          await hosts.cut(between(["a"], ["b"]));
          assert.deepEqual(await all(), ["TimeoutError", "TimeoutError", "TimeoutError", "here"]);
          await hosts.mend([{ from: "a", to: "b" }]);
          assert.equal(await a.ask(b.url), "TimeoutError", "answers do not come through");
          await hosts.mend([{ from: "b", to: "a" }]);
          await hosts.cut([{ from: client, to: "b" }]);
          assert.deepEqual([await a.ask(b.url), await ask(b.url)], ["here", "TimeoutError"]);
          await hosts.mend(between([client], ["b"]));
          assert.equal(await ask(b.url), "here");
        } finally {
          for (const asker of [a, b]) asker.end();
          await hosts.close();
        }
      },
    );
  }

  test("on a switch in user space have links as slow as they are told to be", weathers, async () => {
    const hosts = await makeHosts({ switched: true });
    const a = await Asker.start(await hosts.add("a"));
    const timeMs = async () => {
      const begin = performance.now();
      assert.equal(await ask(a.url), "here");
      return performance.now() - begin;
    };
    try {
      await timeMs();
      const delayMs = 100;
      await hosts.weather({ delayMs, jitterMs: 0, loss: 0 });
      const slow = await timeMs();
      assert.ok(slow >= 2 * delayMs - 2, `there and back took ${slow} ms`);
      await hosts.weather({ delayMs: 0, jitterMs: 0, loss: 1 });
      assert.equal(await ask(a.url), "TimeoutError");
    } finally {
      a.end();
      await hosts.close();
    }
  });
});
