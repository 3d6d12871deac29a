import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pino } from "pino";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { Strangers } from "./strangers.ts";

function make(): { strangers: Strangers; clock: ManualClock; lines: string[] } {
  const lines: string[] = [];
  const logger = pino({ base: null, timestamp: false }, { write: (line: string) => lines.push(JSON.parse(line).msg) });
  const clock = new ManualClock();
  return { strangers: new Strangers(logger, clock), clock, lines };
}

describe("strangers", () => {
  test("are named once a minute each, and counted each time", () => {
    const { strangers, clock, lines } = make();
    for (let i = 0; i < 1_000; i++) {
      strangers.met("a", "a says nonsense");
      if (i % 2 === 0) strangers.met("b", "b says nonsense", "error");
    }
    assert.deepEqual(lines, ["a says nonsense", "b says nonsense"]);
    assert.equal(strangers.count, 1_500);
    clock.take(59_999);
    strangers.met("a", "a says nonsense");
    assert.equal(lines.length, 2);
    clock.take(1);
    strangers.met("a", "a says nonsense");
    assert.equal(lines.length, 3);
  });

  test("that come in thousands cost a hundred lines a minute, and one that says so", () => {
    const { strangers, clock, lines } = make();
    for (let i = 0; i < 5_000; i++) strangers.met(`peer ${i}`, `peer ${i} says nonsense`);
    assert.equal(lines.length, 101);
    assert.equal(lines[100], "More than 100 strangers came within a minute: no more are named for now");
    clock.take(60_000);
    strangers.met("peer 4999", "peer 4999 says nonsense");
    assert.equal(lines[101], "peer 4999 says nonsense");
  });

  test("that say more than a line has room for are heard up to there", () => {
    const { strangers, lines } = make();
    const name = "n".repeat(300);
    strangers.met(name, "x".repeat(1 << 20));
    strangers.met(`${name}, too`, "y");
    assert.deepEqual(lines, ["x".repeat(2_000)]);
  });
});
