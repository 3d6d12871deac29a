import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isLoopback, parseAddress } from "./listen-address.ts";

describe("parseAddress()", () => {
  const cases = [
    { text: "127.0.0.1:8400", address: { host: "127.0.0.1", port: 8400 } },
    { text: "localhost:0", address: { host: "localhost", port: 0 } },
    { text: "[::1]:8400", address: { host: "::1", port: 8400 } },
    { text: "[fe80::1%eth0]:65535", address: { host: "fe80::1%eth0", port: 65535 } },
    { text: "[::]:1", address: { host: "::", port: 1 } },
    { text: "127.0.0.1", address: undefined },
    { text: ":8400", address: undefined },
    { text: "8400", address: undefined },
    { text: "::1:8400", address: undefined },
    { text: "127.0.0.1:65536", address: undefined },
    { text: "127.0.0.1:-1", address: undefined },
    { text: "http://127.0.0.1:8400", address: undefined },
    { text: "", address: undefined },
  ];
  for (const { text, address } of cases) test(`"${text}"`, () => assert.deepEqual(parseAddress(text), address));
});

test("isLoopback()", () => {
  const hosts = ["127.0.0.1", "127.8.9.1", "::1", "localhost", "0.0.0.0", "::", "10.0.0.1", "example.com"];
  assert.deepEqual(hosts.filter(isLoopback), ["127.0.0.1", "127.8.9.1", "::1", "localhost"]);
});
