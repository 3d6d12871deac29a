import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { builtInSettings } from "../stream/settings.ts";
import type { StoredStream } from "../wire/catalogue.ts";
import { WantedReplicas } from "./wanted-replicas.ts";

const creation = { name: "s", startOffset: 0, checkpoint: new Uint8Array(0) };
const streams = (count: number): StoredStream[] =>
  Array.from({ length: count }, (_, at) => ({
    id: at + 1,
    createdMicros: 0,
    creation,
    nodes: ["a"],
    isDeleting: false,
  }));

/** Lets what was asked be answered. */
const answered = () => new Promise((resolve) => setImmediate(resolve));

describe("WantedReplicas", () => {
  test("asks for all, some at a time, and again after a while", async () => {
    const clock = new ManualClock();
    const asked: number[] = [];
    const ask = async ({ id }: StoredStream) => {
      asked.push(id);
      return { ...builtInSettings, version: asked.length, replicationFactor: asked.length };
    };
    const wanted = new WantedReplicas({ clock, ask });
    const all = streams(50);
    wanted.look(all);
    assert.equal(wanted.factorOf(1), undefined);
    await answered();
    assert.deepEqual([asked.length, wanted.factorOf(1), wanted.factorOf(50)], [32, 1, undefined]);
    wanted.look(all);
    await answered();
    assert.deepEqual([asked.length, wanted.factorOf(50)], [50, 50]);
    wanted.look(all);
    await answered();
    assert.equal(asked.length, 50);
    await clock.pass(5_000);
    wanted.look(all);
    await answered();
    assert.deepEqual([asked.length, wanted.factorOf(1)], [82, 51]);
    wanted.look(all.slice(1));
    assert.equal(wanted.factorOf(1), undefined);
  });

  test("goes by nothing older than what it knows, nor by what was asked before another node led", async () => {
    const clock = new ManualClock();
    let answer = { ...builtInSettings, version: 2, replicationFactor: 5 };
    const wanted = new WantedReplicas({ clock, ask: async () => answer });
    wanted.look(streams(1));
    await answered();
    answer = { ...answer, version: 1, replicationFactor: 1 };
    await clock.pass(5_000);
    wanted.look(streams(1));
    await answered();
    assert.equal(wanted.factorOf(1), 5);
    await clock.pass(5_000);
    wanted.look(streams(1));
    wanted.forget();
    await answered();
    assert.equal(wanted.factorOf(1), undefined);
  });
});
