import assert from "node:assert/strict";
import { test } from "node:test";
import type { MachineAddress } from "../host/addresses.ts";
import { advertisedAddress } from "./advertised.ts";

const machine: readonly MachineAddress[] = [
  { address: "127.0.0.1", family: "IPv4", isInternal: true },
  { address: "::1", family: "IPv6", isInternal: true },
  { address: "10.0.0.5", family: "IPv4", isInternal: false },
  { address: "fd77::5", family: "IPv6", isInternal: false },
];
const cases = [
  { listens: "10.0.0.7", on: machine, tells: "10.0.0.7:1" },
  { listens: "127.0.0.1", on: machine, tells: "127.0.0.1:1" },
  { listens: "node.internal", on: machine, tells: "node.internal:1" },
  { listens: "fd77::7", on: machine, tells: "[fd77::7]:1" },
  { listens: "0.0.0.0", on: machine, tells: "10.0.0.5:1" },
  { listens: "::", on: machine, tells: "[fd77::5]:1" },
  { listens: "::", on: machine.slice(0, 3), tells: "10.0.0.5:1" },
  { listens: "0.0.0.0", on: machine.slice(0, 2), tells: "127.0.0.1:1" },
  { listens: "0.0.0.0", on: [...machine.slice(0, 2), ...machine.slice(3)], tells: "127.0.0.1:1" },
  { listens: "::", on: machine.slice(0, 2), tells: "[::1]:1" },
];
for (const { listens, on, tells } of cases) {
  test(`who listens on ${listens} of a machine with ${on.map(({ address }) => address).join(", ")} tells ${tells}`, () => {
    assert.equal(advertisedAddress(listens, 1, on), tells);
  });
}
