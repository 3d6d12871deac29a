/**
 * The flags of `serve` that make a node one of a cluster, and what they come to together.
 * @module
 */
import { type Command, InvalidArgumentError, type Option } from "commander";
import { present } from "../base/assert.ts";
import { type ClusterOptions, foundersMax } from "../base/cluster-options.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { type ListenAddress, parseAddress } from "./listen-address.ts";
import { parseCount } from "./options.ts";

/** The flags. What was not given is not there. */
export interface ClusterFlags {
  /** HOST:PORT, checked. */
  readonly peerListen?: string;
  readonly seeds?: readonly Seed[];
  readonly bootstrapExpect?: number;
  readonly region?: string;
  readonly role?: "voter" | "observer";
  readonly votersWanted?: number;
  readonly advertisePeer?: string;
  readonly advertiseApi?: string;
}

/** Where other nodes may be. Without a port: the same one as this node's. */
export interface Seed {
  readonly host: string;
  readonly port: number | undefined;
}

const votersWantedByDefault = 3;
/** For a node that was not told where it is. */
const regionByDefault = "default";

/** Adds them. `setting` makes an option that the environment can give too. */
export function addClusterFlags(command: Command, setting: (flags: string, help: string) => Option): void {
  const role = setting("--role <role>", "a voter may be counted in majorities, an observer never (voter)");
  command
    .optionsGroup("To be one of a cluster:")
    .addOption(
      setting("--peer-listen <host:port>", "address for other nodes; without it the node is alone").argParser(
        checkAddress,
      ),
    )
    .addOption(
      setting("--seeds <list>", "where others may be: NAME[:PORT],ADDRESS[:PORT],[IPV6][:PORT]").argParser(parseSeeds),
    )
    .addOption(
      setting("--bootstrap-expect <n>", "begin a cluster as soon as so many are there, if there is none").argParser(
        parseCount,
      ),
    )
    .addOption(setting("--region <name>", `where the node is (${regionByDefault})`).argParser(parseName))
    .addOption(role.choices(["voter", "observer"]))
    .addOption(
      setting(
        "--voters-wanted <n>",
        `nodes that join become voters up to so many (${votersWantedByDefault})`,
      ).argParser(parseCount),
    )
    .addOption(
      setting("--advertise-peer <host:port>", "where others find its peer port (where it listens)").argParser(
        checkReachable,
      ),
    )
    .addOption(
      setting("--advertise-api <url>", "where clients find it (where it listens)").argParser(checkReachableUrl),
    );
}

/** A node's id, a region: what goes into addresses of replicas, file names and labels of metrics. */
export function parseName(text: string): string {
  if (!/^[a-zA-Z0-9._-]{1,63}$/.test(text)) {
    throw new InvalidArgumentError("Give 1 to 63 of the characters a-z, A-Z, 0-9, '.', '_' and '-'.");
  }
  return text;
}

/**
 * What the flags come to; undefined for a node that is alone.
 * @throws {CommandError} They don't go together.
 */
export function clusterOptions(flags: ClusterFlags): ClusterOptions | undefined {
  if (flags.peerListen === undefined) {
    const idle = flagNames.find((name) => flags[name] !== undefined);
    if (idle === undefined) return undefined;
    throw usage(`${flagOf(idle)} is for a node of a cluster: give --peer-listen HOST:PORT too`);
  }
  const peerListen = addressOf(flags.peerListen);
  const { seeds = [], bootstrapExpect, role = "voter", advertisePeer, advertiseApi } = flags;
  if (role === "observer" && bootstrapExpect !== undefined) {
    throw usage("An observer begins no cluster: leave out --bootstrap-expect, or --role observer");
  }
  if (role === "observer" && seeds.length === 0) {
    throw usage("An observer follows a cluster: name nodes of it by --seeds");
  }
  if (bootstrapExpect !== undefined && bootstrapExpect > foundersMax) {
    throw usage(
      `A cluster begins with ${foundersMax} voters at most: give a lower --bootstrap-expect, and let more nodes join`,
    );
  }
  return {
    peerListen,
    seeds: seeds.map((seed) => seedText(seed, peerListen.port)),
    ...(bootstrapExpect === undefined ? {} : { bootstrapExpect }),
    region: flags.region ?? regionByDefault,
    role,
    votersWanted: flags.votersWanted ?? votersWantedByDefault,
    ...(advertisePeer === undefined ? {} : { advertisePeer }),
    ...(advertiseApi === undefined ? {} : { advertiseApi }),
  };
}

/** What a person should know of what they chose, though it works. */
export function clusterWarnings({ bootstrapExpect, votersWanted }: ClusterOptions): string[] {
  const warnings: string[] = [];
  const even = (flag: string, count: number) =>
    `${flag} ${count}: ${count} voters survive the loss of no more nodes than ${count - 1} do; choose an odd number`;
  if (bootstrapExpect !== undefined && bootstrapExpect % 2 === 0) {
    warnings.push(even("--bootstrap-expect", bootstrapExpect));
  }
  if (votersWanted % 2 === 0) warnings.push(even("--voters-wanted", votersWanted));
  return warnings;
}

const flagNames = [
  "seeds",
  "bootstrapExpect",
  "region",
  "role",
  "votersWanted",
  "advertisePeer",
  "advertiseApi",
] as const satisfies readonly (keyof ClusterFlags)[];

function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function usage(message: string): CommandError {
  return new CommandError(`${message}.`, exitCodes.usage);
}

/** Checks `HOST:PORT`, and leaves it as text: the default and the environment's are text too. */
export function checkAddress(text: string): string {
  if (parseAddress(text) === undefined) throw new InvalidArgumentError("Give HOST:PORT, such as 127.0.0.1:8400.");
  return text;
}

function checkReachable(text: string): string {
  const address = parseAddress(text);
  if (address === undefined || address.port === 0 || isWildcard(address.host)) {
    throw new InvalidArgumentError("Give HOST:PORT as others can reach it, such as 10.0.0.1:8401.");
  }
  return text;
}

function checkReachableUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url?.protocol === "http:" || url?.protocol === "https:";
  if (!isHttp || isWildcard(url.hostname.replace(/^\[|\]$/g, ""))) {
    throw new InvalidArgumentError("Give a URL as clients can reach it, such as http://10.0.0.1:8400.");
  }
  return text.replace(/\/+$/, "");
}

/** All addresses of a machine together: to listen on, not to be found at. */
function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

function parseSeeds(text: string): Seed[] {
  return text.split(",").map((entry) => parseSeed(entry.trim()));
}

function parseSeed(text: string): Seed {
  const address = parseAddress(text);
  if (address !== undefined && address.port > 0) return address;
  // A host alone is what an address with a port begins with.
  const alone = parseAddress(`${text}:1`);
  if (alone === undefined || address !== undefined) {
    throw new InvalidArgumentError(`"${text}" is no seed: give NAME, NAME:PORT, 10.0.0.1:PORT or [fd00::1]:PORT.`);
  }
  return { host: alone.host, port: undefined };
}

function seedText({ host, port }: Seed, ownPort: number): string {
  const shown = host.includes(":") ? `[${host}]` : host;
  if (port === undefined && ownPort === 0) {
    throw usage(`The seed ${shown} has no port, and --peer-listen has none to take instead: give ${shown}:PORT`);
  }
  return `${shown}:${port ?? ownPort}`;
}

function addressOf(checked: string): ListenAddress {
  return present(parseAddress(checked), "the flag was checked");
}
