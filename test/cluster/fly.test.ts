/**
 * A cluster from fly.toml's very command, environment, ports and checks: machines in network namespaces that find each other
 * by the AAAA records of a name, as these change.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after, before, describe, test } from "node:test";
import { connectTo } from "../../src/cli/connection.ts";
import type { TailraceClient } from "../../src/client/client.ts";
import { Consistency } from "../../src/wire/gen/tailrace/v1/log_pb.ts";
import { runCli } from "../support/cli.ts";
import { flyFile } from "../support/fly-file.ts";
import { unless } from "../support/skip.ts";
import { until } from "../support/until.ts";
import { FlyMachine, writeCommand } from "./support/fly-machine.ts";
import type { Hosts } from "./support/host.ts";
import { makeHosts, whyNoCuts } from "./support/hosts.ts";
import { NameServer, whyNoNameServer } from "./support/name-server.ts";

const whyNot = whyNoCuts ?? whyNoNameServer();
const timeout = 120_000;
const app = "tailrace-test";
const region = "fra";

describe("fly.toml", { ...unless(whyNot === undefined, whyNot ?? "") }, () => {
  const fly = flyFile();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-fly-"));
  const bin = path.join(folder, "bin");
  const machines: FlyMachine[] = [];
  let hosts: Hosts;
  let names: NameServer;

  before(async () => {
    writeCommand(bin);
    hosts = await makeHosts();
    names = await NameServer.start(await hosts.add("dns"), folder);
  });

  after(async () => {
    for (const machine of machines) machine.kill();
    names.close();
    await hosts.close();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  async function create(id: string): Promise<FlyMachine> {
    const host = await hosts.add(id);
    names.serve(host);
    const machine = new FlyMachine({ fly, app, region, host, volume: path.join(folder, id), bin });
    machines.push(machine);
    return machine;
  }

  /** Of the private name server: the machines that run. */
  function publish(running: readonly FlyMachine[]): void {
    names.answer(
      `${app}.internal`,
      running.map(({ ipv6 }) => ipv6),
    );
  }

  async function allPass(checked: readonly FlyMachine[]): Promise<void> {
    try {
      await until(async () => (await Promise.all(checked.map((one) => one.passesChecks()))).every((passes) => passes));
    } catch (error) {
      for (const { id, output } of machines) console.log(`---- ${id}\n${output.slice(-4000)}`);
      throw error;
    }
  }

  test("machines that come one after the other find each other by name, and are one cluster", { timeout }, async () => {
    const first = await create("m1");
    publish([first]);
    first.start();
    await until(() => first.output.includes("Listening at"));
    assert.equal(await first.passesChecks(), false);
    for (const id of ["m2", "m3"]) {
      (await create(id)).start();
      publish(machines);
    }
    await allPass(machines);
    await append("m2", ["one", "two"]);
    for (const id of ["m1", "m2", "m3"]) assert.deepEqual(await valuesAt(id), ["one", "two"]);
  });

  test("the nodes are known by what the platform calls them", { timeout }, async () => {
    const known = () => asking("m1", async ({ cluster }) => (await cluster.getServers({})).servers);
    // Who is ready knows a leader; of the others it hears by gossip.
    await until(async () => (await known()).length === machines.length);
    const servers = await known();
    assert.deepEqual(
      servers.map(({ id, region, apiUrl, peerAddress }) => ({ id, region, apiUrl, peerAddress })),
      machines.map(({ id, ipv6, privateUrl: apiUrl }) => ({ id, region, apiUrl, peerAddress: `[${ipv6}]:8401` })),
    );
  });

  test("a deployment stops one after the other, in its time, and appends go on", { timeout }, async () => {
    for (const machine of [...machines]) {
      const others = machines.filter((other) => other !== machine);
      assert.equal(await machine.stop(), 0);
      publish(others);
      await append(others[0]?.id ?? "", [`without ${machine.id}`]);
      machine.start();
      publish(machines);
      await allPass(machines);
    }
    const expected = ["one", "two", "without m1", "without m2", "without m3"];
    for (const { id } of machines) assert.deepEqual(await valuesAt(id), expected);
  });

  test("another machine takes the place of one that is gone with its volume", { timeout }, async () => {
    const gone = node("m3");
    gone.kill();
    machines.splice(machines.indexOf(gone), 1);
    const replacement = await create("m4");
    publish(machines);
    replacement.start();
    await allPass([replacement]);
    await asking("m1", ({ cluster }) => cluster.removeVoter({ nodeId: "m3" }));
    await until(() =>
      asking("m1", async ({ cluster }) => String((await cluster.getServers({})).cluster?.voters) === "m1,m2,m4"),
    );
    await append("m4", ["last"]);
    const expected = ["one", "two", "without m1", "without m2", "without m3", "last"];
    for (const { id } of machines) assert.deepEqual(await valuesAt(id), expected);
  });

  function node(id: string): FlyMachine {
    const found = machines.find((machine) => machine.id === id);
    assert.ok(found, id);
    return found;
  }

  async function append(id: string, values: readonly string[]): Promise<void> {
    const { code, stderr } = await runCli(
      node(id).url,
      ["append", "s", "--quiet"],
      Buffer.from(`${values.join("\n")}\n`),
    );
    assert.equal(code, 0, stderr);
  }

  async function valuesAt(id: string): Promise<string[]> {
    const { batches } = await asking(id, ({ log }) => log.read({ stream: "s", consistency: Consistency.LINEARIZABLE }));
    return batches.flatMap(({ records }) => records.map(({ value }) => Buffer.from(value).toString()));
  }

  async function asking<T>(id: string, question: (client: TailraceClient) => Promise<T>): Promise<T> {
    const { client, close } = connectTo(node(id).url);
    try {
      return await question(client);
    } finally {
      close();
    }
  }
});
