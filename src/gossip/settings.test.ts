import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type GossipSettings, gossipSettings, presets } from "./settings.ts";
import { createGossip } from "./state.ts";
import { step } from "./step.ts";

describe("settings of gossip", () => {
  test("are the preset's where nothing is said", () => {
    assert.deepEqual(gossipSettings("lan"), presets.lan);
    assert.deepEqual(gossipSettings("wan", { gossipFanout: 9 }), { ...presets.wan, gossipFanout: 9 });
  });

  const refused: readonly Partial<GossipSettings>[] = [
    { probeTimeoutMs: 1_000 },
    { probeTimeoutMs: 0 },
    { packetMaxBytes: 1_000 },
    { pageMaxBytes: 1_000 },
    { tagsMaxBytes: 300 },
    { suspicionMaxMult: 0.5 },
  ];
  for (const changes of refused) {
    test(`refuse ${JSON.stringify(changes)}`, () => assert.throws(() => gossipSettings("lan", changes), RangeError));
  }

  test("tags too large are refused by the limit's name, when a member is made and when it changes", () => {
    const tags = { apiAddress: "a", region: "r", role: "voter", version: "1" };
    const settings = gossipSettings("lan");
    const options = { settings, cluster: "c", id: "a", peerAddress: "a", tags, random: () => 0.5, nowMs: 0 };
    assert.throws(() => createGossip({ ...options, id: "x".repeat(257) }), /tagsMaxBytes is 256/);
    const g = createGossip(options);
    const before = g.self;
    const region = "ä".repeat(120);
    const change = { kind: "change", nowMs: 1, peerAddress: "a", tags: { ...tags, region } } as const;
    assert.throws(() => step(g, change), /tagsMaxBytes is 256/);
    assert.equal(g.self, before);
  });
});
