import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { clusterTimeMicros, newClusterId } from "./cluster-id.ts";

describe("a cluster's name", () => {
  const nowMicros = Date.UTC(2026, 0, 2, 3, 4, 5, 678) * 1000;

  test("is a UUID of version 7, whatever the random bytes are", () => {
    for (const byte of [0x00, 0x5a, 0xff]) {
      assert.match(
        newClusterId(nowMicros, new Uint8Array(16).fill(byte)),
        /^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/,
      );
    }
  });

  test("tells when it was made, and two made at once are different", () => {
    const one = newClusterId(nowMicros + 999, new Uint8Array(16).fill(1));
    assert.equal(clusterTimeMicros(one), nowMicros);
    assert.notEqual(one, newClusterId(nowMicros, new Uint8Array(16).fill(2)));
  });
});
