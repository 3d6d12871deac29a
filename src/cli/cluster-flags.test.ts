import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Command, CommanderError, Option } from "commander";
import type { ClusterOptions } from "../base/cluster-options.ts";
import { addClusterFlags, type ClusterFlags, clusterOptions, clusterWarnings } from "./cluster-flags.ts";
import { CommandError, exitCodes } from "./exit.ts";

/** What these words of a command line come to. */
function optionsOf(line: string): ClusterOptions | undefined {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  addClusterFlags(command, (flags, help) => new Option(flags, help));
  command.parse(line === "" ? [] : line.split(" "), { from: "user" });
  return clusterOptions(command.opts<ClusterFlags>());
}

const peerListen = { host: "10.0.0.1", port: 8401 };
const plain = { peerListen, seeds: [], region: "default", role: "voter", votersWanted: 3 };

describe("what the flags come to", () => {
  const cases = [
    { line: "", options: undefined },
    { line: "--peer-listen 10.0.0.1:8401", options: plain },
    {
      line: "--peer-listen 10.0.0.1:8401 --seeds a.internal,b:9,10.0.0.2,10.0.0.3:7,[fd00::1],[fd00::2]:5",
      options: {
        ...plain,
        seeds: ["a.internal:8401", "b:9", "10.0.0.2:8401", "10.0.0.3:7", "[fd00::1]:8401", "[fd00::2]:5"],
      },
    },
    {
      line: "--peer-listen [::]:0 --seeds a:8401 --bootstrap-expect 3 --region fra --voters-wanted 5",
      options: {
        ...plain,
        peerListen: { host: "::", port: 0 },
        seeds: ["a:8401"],
        bootstrapExpect: 3,
        region: "fra",
        votersWanted: 5,
      },
    },
    {
      line: "--peer-listen 10.0.0.1:8401 --seeds a --role observer --advertise-peer [fd00::1]:8401 --advertise-api https://a.example/",
      options: {
        ...plain,
        seeds: ["a:8401"],
        role: "observer",
        advertisePeer: "[fd00::1]:8401",
        advertiseApi: "https://a.example",
      },
    },
  ];
  for (const { line, options } of cases) {
    test(line === "" ? "no flags: alone" : line, () => assert.deepEqual(optionsOf(line), options));
  }
});

describe("flags that don't go together are refused, and it is said what to do", () => {
  const cases = [
    { line: "--seeds a:8401", said: "--seeds is for a node of a cluster: give --peer-listen HOST:PORT too." },
    {
      line: "--voters-wanted 5",
      said: "--voters-wanted is for a node of a cluster: give --peer-listen HOST:PORT too.",
    },
    {
      line: "--peer-listen 10.0.0.1:0 --seeds [fd00::1]",
      said: "The seed [fd00::1] has no port, and --peer-listen has none to take instead: give [fd00::1]:PORT.",
    },
    {
      line: "--peer-listen 10.0.0.1:8401 --role observer",
      said: "An observer follows a cluster: name nodes of it by --seeds.",
    },
    {
      line: "--peer-listen 10.0.0.1:8401 --role observer --seeds a --bootstrap-expect 3",
      said: "An observer begins no cluster: leave out --bootstrap-expect, or --role observer.",
    },
    {
      line: "--peer-listen 10.0.0.1:8401 --seeds a --bootstrap-expect 13",
      said: "A cluster begins with 12 voters at most: give a lower --bootstrap-expect, and let more nodes join.",
    },
  ];
  for (const { line, said } of cases) {
    test(line, () => {
      assert.throws(
        () => optionsOf(line),
        (error) => error instanceof CommandError && error.exitCode === exitCodes.usage && error.message === said,
      );
    });
  }
});

describe("a value that is none is refused", () => {
  const cases = [
    "--peer-listen 10.0.0.1",
    "--seeds ::1",
    "--seeds fd00::1:8401",
    "--seeds a:0",
    "--seeds a,,b",
    "--seeds http://a:8401",
    "--bootstrap-expect 0",
    "--bootstrap-expect -1",
    "--voters-wanted 0",
    "--region a/b",
    "--role leader",
    "--advertise-peer 0.0.0.0:8401",
    "--advertise-peer [::]:8401",
    "--advertise-peer 10.0.0.1:0",
    "--advertise-api 10.0.0.1:8400",
    "--advertise-api http://0.0.0.0:8400",
    "--advertise-api http://[::]:8400",
  ];
  for (const line of cases) {
    test(line, () => {
      assert.throws(() => optionsOf(line), CommanderError);
    });
  }
});

test("an even number of voters is warned of", () => {
  const warnings = (line: string) => {
    const options = optionsOf(`--peer-listen 10.0.0.1:8401 ${line}`);
    assert.ok(options);
    return clusterWarnings(options);
  };
  assert.deepEqual(warnings("--bootstrap-expect 3"), []);
  assert.deepEqual(warnings("--bootstrap-expect 4"), [
    "--bootstrap-expect 4: 4 voters survive the loss of no more nodes than 3 do; choose an odd number",
  ]);
  assert.deepEqual(warnings("--bootstrap-expect 2 --voters-wanted 2").length, 2);
});
