import assert from "node:assert/strict";
import { test } from "node:test";
import { readHostPort, writeHostPort } from "./host-port.ts";

const cases = [
  { text: "127.0.0.1:8500", is: { host: "127.0.0.1", port: 8500 } },
  { text: "node-1.app.internal:1", is: { host: "node-1.app.internal", port: 1 } },
  { text: "[::1]:65535", is: { host: "::1", port: 65_535 } },
  { text: "[fe80::1%eth0]:80", is: { host: "fe80::1%eth0", port: 80 } },
  { text: "::1:8500", is: undefined },
  { text: "a", is: undefined },
  { text: "a:", is: undefined },
  { text: ":1", is: undefined },
  { text: "a:0", is: undefined },
  { text: "a:65536", is: undefined },
  { text: "a:1x", is: undefined },
  { text: "http://a:1", is: undefined },
  { text: "a b:1", is: undefined },
];
for (const { text, is } of cases) {
  test(`"${text}" is ${is ? `port ${is.port} of ${is.host}` : "no host and port"}`, () => {
    assert.deepEqual(readHostPort(text), is);
    assert.equal(is && writeHostPort(is), is && text);
  });
}
