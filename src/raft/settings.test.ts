import assert from "node:assert/strict";
import { test } from "node:test";
import { lanSettings, wanSettings } from "./types.ts";

test("in both presets several beats come within the shortest election timeout, and timeouts differ by more than a beat", () => {
  for (const { beatMs, electionMinMs, electionMaxMs, refusedMaxMs, rankMs } of [lanSettings, wanSettings]) {
    assert.ok(electionMinMs >= 8 * beatMs);
    assert.ok(electionMaxMs - electionMinMs > beatMs);
    // Who knows that a leader died need not wait as long as who only hears nothing.
    assert.ok(refusedMaxMs + rankMs < electionMinMs);
  }
});
