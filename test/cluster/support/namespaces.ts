/**
 * Hosts as network namespaces of Linux, each with one link to a switch: a bridge in a namespace of its own, or a program
 * that can delay and lose packets (`tap-switch.ts`).
 * - Neighbours are entered by hand, for good: nobody asks for addresses. So a link is cut in one direction by telling
 *   the sender an address of the switch's network that nobody has, which neither kernel nor program can notice.
 * - Names and addresses have the process's id: runs beside each other do not meet, and what a killed run left is found
 *   by the next one and removed.
 * @module
 */
import { execFile, execFileSync } from "node:child_process";
import { client, type Host, type Hosts, type Link, type Weather } from "./host.ts";
import { TapSwitch } from "./tap-switch-process.ts";

/** Namespaces of this process begin so; then comes whose. */
const prefix = "tailrace-";
/** The hardware address that nobody has. */
const nobody = "02:54:52:ff:ff:ff";
const hostsMax = 200;

/** The networks of this process that are there now. */
const open = new Set<Namespaces>();
let made = 0;
process.once("exit", () => {
  for (const namespaces of open) namespaces.remove();
});

/** Why this machine can't have them; undefined: it can. Removes what killed runs left. */
export function whyNoNamespaces(): string | undefined {
  if (process.platform !== "linux") return "there are no network namespaces but on Linux";
  const probe = `${prefix}${process.pid}-probe`;
  try {
    removeLeftOvers();
    ip(["netns", "add", probe]);
    try {
      ip(["-n", probe, "link", "add", "name", "hub", "type", "bridge"]);
    } finally {
      ip(["netns", "del", probe]);
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.trim().replaceAll("\n", " ") : String(error);
  }
}

interface Member extends Host {
  readonly ipv6: string;
  readonly hardware: string;
  /** Absent: where the test runs. */
  readonly namespace?: string;
  /** Its link's name there. */
  readonly device: string;
}

/** See the module's description. */
export class Namespaces implements Hosts {
  readonly kind = "network namespaces";
  readonly #name: string;
  readonly #network: { readonly ipv4: string; readonly ipv6: string };
  readonly #members: Member[] = [];
  readonly #tap: TapSwitch | undefined;

  private constructor(number: number, tap: TapSwitch | undefined) {
    this.#name = `${prefix}${process.pid}-${number}`;
    this.#network = freeNetwork(process.pid + number);
    this.#tap = tap;
    open.add(this);
  }

  /** Makes an empty network with the test as its first host. */
  static async make(switched: boolean): Promise<Namespaces> {
    const number = made++;
    const namespaces = new Namespaces(number, switched ? await TapSwitch.start() : undefined);
    try {
      if (!switched) {
        ip(["netns", "add", namespaces.#hub]);
        ipBatch(["link add name hub type bridge mcast_snooping 0", "link set hub up"], namespaces.#hub);
      }
      await namespaces.#join(client, undefined);
    } catch (error) {
      await namespaces.close();
      throw error;
    }
    return namespaces;
  }

  async add(name: string): Promise<Host> {
    const namespace = `${this.#name}-${name}`;
    ip(["netns", "add", namespace]);
    ip(["-n", namespace, "link", "set", "lo", "up"]);
    return await this.#join(name, namespace);
  }

  async cut(links: readonly Link[]): Promise<void> {
    await this.#tell(links, () => nobody);
  }

  async mend(links: readonly Link[]): Promise<void> {
    await this.#tell(links, ({ hardware }) => hardware);
  }

  async weather(weather: Weather): Promise<void> {
    if (!this.#tap) throw new Error("a bridge has no weather: make the hosts with `switched`");
    await this.#tap.weather(weather);
  }

  async close(): Promise<void> {
    await this.#tap?.end();
    this.remove();
  }

  /** Removes all of it, at once. */
  remove(): void {
    open.delete(this);
    this.#tap?.kill();
    for (const name of namespacesOf(`${this.#name}-`)) ip(["netns", "del", name]);
  }

  get #hub(): string {
    return `${this.#name}-hub`;
  }

  async #join(name: string, namespace: string | undefined): Promise<Member> {
    const number = this.#members.length + 1;
    if (number > hostsMax) throw new Error(`a network of a test has at most ${hostsMax} hosts`);
    const member: Member = {
      name,
      ipv4: `${this.#network.ipv4}.${number}`,
      ipv6: `${this.#network.ipv6}::${number.toString(16)}`,
      hardware: `02:54:52:00:00:${number.toString(16).padStart(2, "0")}`,
      // The test's namespace may have links of other tests, and an eth0 of its own.
      device: namespace === undefined ? `tr${process.pid}n${made}` : "eth0",
      wrapper: namespace === undefined ? [] : ["ip", "netns", "exec", namespace],
      ...(namespace === undefined ? {} : { namespace }),
    };
    await this.#plug(member, number);
    const { device, ipv4, ipv6 } = member;
    ipBatch(
      [
        `addr add ${ipv4}/24 dev ${device}`,
        `addr add ${ipv6}/64 dev ${device} nodad`,
        `link set ${device} up`,
        ...this.#members.flatMap((other) => neighbour(member, other, other.hardware)),
      ],
      namespace,
    );
    for (const other of this.#members) ipBatch(neighbour(other, member, member.hardware), other.namespace);
    this.#members.push(member);
    return member;
  }

  /** Makes the member's link, the other end of which is in the switch. */
  async #plug(member: Member, number: number): Promise<void> {
    const { device, hardware, namespace } = member;
    const where = namespace === undefined ? [] : ["netns", namespace];
    if (this.#tap) {
      const port = `tr${process.pid}t${number}`;
      await this.#tap.plug(port, number);
      ip(["link", "set", port, ...where, "name", device, "address", hardware]);
      return;
    }
    const link = ["link", "add", "name", device, ...where, "address", hardware, "type", "veth"];
    ip([...link, "peer", "name", `port${number}`, "netns", this.#hub]);
    ip(["-n", this.#hub, "link", "set", `port${number}`, "master", "hub", "up"]);
  }

  async #tell(links: readonly Link[], hardwareOf: (to: Member) => string): Promise<void> {
    const bySender = new Map<Member, string[]>();
    for (const link of links) {
      const [from, to] = [this.#member(link.from), this.#member(link.to)];
      bySender.set(from, [...(bySender.get(from) ?? []), ...neighbour(from, to, hardwareOf(to))]);
    }
    await Promise.all([...bySender].map(([from, lines]) => ipBatchAside(lines, from.namespace)));
  }

  #member(name: string): Member {
    const found = this.#members.find((member) => member.name === name);
    if (!found) throw new Error(`there is no host ${name}`);
    return found;
  }
}

function neighbour({ device }: Member, { ipv4, ipv6 }: Member, hardware: string): string[] {
  return [ipv4, ipv6].map((address) => `neigh replace ${address} lladdr ${hardware} dev ${device} nud permanent`);
}

/** 198.18.0.0/15 is kept for tests of networks (RFC 2544), fd00::/8 for networks of one's own (RFC 4193). */
function freeNetwork(start: number): { ipv4: string; ipv6: string } {
  const taken = ip(["-o", "-4", "addr", "show"]);
  for (let i = start; i < start + 512; i++) {
    const ipv4 = `198.${18 + ((i >> 8) & 1)}.${i & 255}`;
    if (!taken.includes(` ${ipv4}.`)) return { ipv4, ipv6: `fd54:5452:${(i & 0xffff).toString(16)}` };
  }
  throw new Error("all networks for tests are taken: 198.18.0.0/15");
}

function namespacesOf(start: string): string[] {
  const names = ip(["netns", "list"]).split("\n");
  return names.map((line) => line.split(" ")[0] ?? "").filter((name) => name.startsWith(start));
}

function removeLeftOvers(): void {
  for (const name of namespacesOf(prefix)) {
    const owner = Number(name.slice(prefix.length).split("-")[0]);
    if (isAlive(owner)) continue;
    for (const pid of ip(["netns", "pids", name]).split("\n").filter(Boolean)) process.kill(Number(pid), "SIGKILL");
    ip(["netns", "del", name]);
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function ip(args: readonly string[]): string {
  return execFileSync("ip", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

function batchArgs(namespace: string | undefined): string[] {
  return [...(namespace === undefined ? [] : ["-n", namespace]), "-batch", "-"];
}

function ipBatch(lines: readonly string[], namespace: string | undefined): void {
  execFileSync("ip", batchArgs(namespace), { input: lines.join("\n"), stdio: ["pipe", "ignore", "pipe"] });
}

/** The same while the test goes on. */
function ipBatchAside(lines: readonly string[], namespace: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = execFile("ip", batchArgs(namespace), (error) => (error ? reject(error) : resolve()));
    child.stdin?.end(lines.join("\n"));
  });
}
