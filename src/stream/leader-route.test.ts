import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assertRefused } from "../../test/support/refusal.ts";
import { TailraceError } from "../base/errors.ts";
import { ClosedError, FateUnknownError, NotLeaderError, RefusedError } from "../replica/replica-errors.ts";
import { LeaderRoute } from "./leader-route.ts";
import { LostError, UnreachableError } from "./peers.ts";
import { streamNotFound } from "./refusals.ts";
import { fateUnknown, notLeader } from "./routed-refusals.ts";
import { Answers, homeOf, quickLimits, ScriptedGroup } from "./testdata/scripted-route.ts";
import type { Routing } from "./types.ts";

const asked = { what: 'Cannot append to stream "s"', stream: "s" };
const timeout = 10_000;

interface Way {
  readonly group: ScriptedGroup;
  readonly answers: Answers;
  lead(options?: { repeats?: boolean; routing?: Routing; here?: () => Promise<string> }): Promise<string>;
}

function wayOf(holders: readonly string[] = [], isHeld = true): Way {
  const group = new ScriptedGroup(isHeld);
  const answers = new Answers();
  const home = homeOf({}, holders);
  const notHere = () => Promise.reject(new NotLeaderError(7, null));
  return {
    ...{ group, answers },
    lead: ({ repeats = true, routing = "pass_on", here = notHere } = {}) =>
      new LeaderRoute(home, group, { address: "", routing }).lead({ asked, here, there: answers.ask, repeats }),
  };
}

const say = (text: string) => () => Promise.resolve(text);
const fail = (error: Error) => () => Promise.reject(error);
const points = (to: string | undefined) =>
  fail(notLeader(asked, to === undefined ? undefined : { nodeId: to, url: "" }));

describe("a request for a leader", () => {
  test("is served here where this node leads", { timeout }, async () => {
    const { group, answers, lead } = wayOf();
    group.lead();
    assert.equal(await lead({ here: say("done here") }), "done here");
    assert.deepEqual(answers.asked, []);
  });

  test("goes to the node that is known to lead", { timeout }, async () => {
    const { group, answers, lead } = wayOf();
    group.follow("a");
    answers.of("a", say("done"));
    assert.equal(await lead({ repeats: false }), "done");
  });

  test("follows the name in a refusal", { timeout }, async () => {
    const { group, answers, lead } = wayOf();
    group.follow("a");
    answers.of("a", points("b")).of("b", say("done by b"));
    assert.equal(await lead({ repeats: false }), "done by b");
    assert.deepEqual(answers.asked, ["a", "b"]);
  });

  test("is not served here because another says so, where this node does not have the stream", {
    timeout,
  }, async () => {
    const { answers, lead } = wayOf(["a"], false);
    answers.of("a", points("here")).of("a", say("done by a"));
    assert.equal(await lead({ here: fail(new Error("a log would be made")), repeats: false }), "done by a");
    assert.deepEqual(answers.asked, ["a", "a"]);
  });

  test("keeps in mind who leads no more streams than there may be", { timeout }, async () => {
    const home = homeOf({}, ["a"], { ...quickLimits, streamsMax: 2 });
    for (const id of [1, 2, 1, 3]) {
      const group = { id, door: undefined, gone: () => streamNotFound("s") };
      const route = new LeaderRoute(home, group, { address: "" });
      await route.lead({ asked, here: fail(new NotLeaderError(id, null)), there: say("done"), repeats: true });
    }
    assert.deepEqual([...home.leaders.keys()], [1, 3]);
  });

  test("that is refused here goes where the refusal says", { timeout }, async () => {
    const { group, answers, lead } = wayOf();
    group.lead();
    answers.of("b", say("done by b"));
    assert.equal(await lead({ here: fail(new NotLeaderError(7, "b/00/0")), repeats: false }), "done by b");
  });

  test("waits for a leader, and wants one", { timeout }, async () => {
    const { group, lead } = wayOf();
    const led = lead({ here: say("done") });
    assert.equal(group.wanted, 1);
    group.lead();
    assert.equal(await led, "done");
  });

  test("is passed on again when who was asked never had it", { timeout }, async () => {
    for (const error of [new UnreachableError("down"), notLeader(asked, undefined)]) {
      const { group, answers, lead } = wayOf();
      group.follow("a");
      answers.of("a", fail(error)).of("a", say("done"));
      assert.equal(await lead({ repeats: false }), "done");
    }
  });

  test("may be done here after another was asked", { timeout }, async () => {
    const { group, answers, lead } = wayOf();
    group.follow("a");
    answers.of("a", () => {
      group.lead();
      return Promise.reject(new UnreachableError("down"));
    });
    assert.equal(await lead({ here: say("done here"), repeats: false }), "done here");
  });

  test("asks nodes that hold the stream where it is not here", { timeout }, async () => {
    const { answers, lead } = wayOf(["a", "b"], false);
    answers.of("b", say("done by b"));
    assert.equal(await lead({ repeats: false }), "done by b");
    assert.deepEqual(answers.asked, ["a", "b"]);
    answers.of("b", say("again"));
    assert.equal(await lead({ repeats: false }), "again");
    assert.deepEqual(answers.asked, ["a", "b", "b"], "who led is asked first");
  });

  test("gives up in time, having done nothing", { timeout }, async () => {
    const { lead } = wayOf();
    const beginMs = performance.now();
    await assertRefused(lead(), {
      reason: "not_ready",
      message: /nobody leads it now, and the limit leader_max_wait_ms is 300/,
      facts: { fate: "nothing_written", stream: "s", retryAfterMs: 200 },
    });
    assert.ok(performance.now() - beginMs >= 290);
  });

  test("ends with what a leader says", { timeout }, async () => {
    const { group, answers, lead } = wayOf();
    group.follow("a");
    const limit = new TailraceError(
      "limit",
      { what: "Cannot", why: "too much", todo: "Wait" },
      { fate: "nothing_written" },
    );
    answers.of("a", fail(limit));
    await assertRefused(lead(), { reason: "limit", facts: { fate: "nothing_written" } });
    assert.deepEqual(answers.asked, ["a"]);
  });

  test("of a stream that ends is told so once that is committed", { timeout }, async () => {
    const { group, lead } = wayOf();
    group.lead();
    await assertRefused(lead({ here: fail(new ClosedError(7, 4)) }), {
      reason: "stream_not_found",
      facts: { fate: "nothing_written" },
    });
    assert.equal(group.settledIndex, 3);
  });
});

describe("an answer that is lost", () => {
  const losses = [new LostError("cut"), fateUnknown(asked)];

  test("leaves what may not be done twice with an unknown fate, and it is not sent again", { timeout }, async () => {
    for (const loss of losses) {
      const { group, answers, lead } = wayOf();
      group.follow("a");
      answers.of("a", fail(loss)).of("a", say("twice"));
      await assertRefused(lead({ repeats: false }), {
        reason: "fate_unknown",
        facts: { fate: "unknown", stream: "s" },
      });
      assert.deepEqual(answers.asked, ["a"]);
    }
  });

  test("lets what may be done twice be sent again", { timeout }, async () => {
    for (const loss of losses) {
      const { group, answers, lead } = wayOf();
      group.follow("a");
      answers.of("a", fail(loss)).of("a", say("once"));
      assert.equal(await lead(), "once");
      assert.deepEqual(answers.asked, ["a", "a"]);
    }
  });

  test("makes the fate unknown of all that is said later", { timeout }, async () => {
    const { group, answers, lead } = wayOf();
    group.follow("a");
    const fenced = new TailraceError(
      "fenced",
      { what: "Cannot", why: "no", todo: "Stop" },
      { fate: "nothing_written" },
    );
    answers.of("a", fail(new LostError("cut"))).of("a", fail(fenced));
    await assertRefused(lead(), { reason: "fenced", message: /^Cannot: no$/, facts: { fate: "unknown" } });
  });

  test("stays unknown when nobody answers in time", { timeout }, async () => {
    const { group, answers, lead } = wayOf();
    group.follow("a");
    answers.of("a", fail(new LostError("cut")));
    await assertRefused(lead(), { reason: "fate_unknown", facts: { fate: "unknown" } });
  });

  test("is not waited for where another leads by then", { timeout }, async () => {
    const { group, answers } = wayOf();
    group.follow("a");
    const home = homeOf({});
    answers.of("b", say("done by b"));
    const there = (node: string, { signal }: { signal: AbortSignal }) => {
      if (node !== "a") return answers.ask(node);
      group.follow("b");
      return new Promise<string>((_, reject) =>
        signal.addEventListener("abort", () => reject(new LostError("given up"))),
      );
    };
    const route = new LeaderRoute(home, group, { address: "" });
    const here = say("here");
    assert.equal(await route.lead({ asked, here, there, repeats: true }), "done by b");
    assert.deepEqual(answers.asked, ["b"]);
  });

  test("of a log here that knows no leader any more comes to an end", { timeout }, async () => {
    const { group, lead } = wayOf();
    group.lead();
    const never = () => {
      group.follow(undefined);
      return new Promise<string>(() => {});
    };
    await assertRefused(lead({ here: never, repeats: false }), { reason: "fate_unknown", facts: { fate: "unknown" } });
  });

  test("is unknown here too, and what surely was not written is sent again", { timeout }, async () => {
    const { group, lead } = wayOf();
    group.lead();
    const lost = fail(new FateUnknownError("the node stopped"));
    await assertRefused(lead({ here: lost, repeats: false }), { reason: "fate_unknown" });
    let tries = 0;
    const second = () => {
      tries += 1;
      return tries === 1 ? Promise.reject(new RefusedError("another batch has its place")) : Promise.resolve("done");
    };
    assert.equal(await lead({ here: second, repeats: false }), "done");
  });
});

describe("a request that is not to be passed on", () => {
  test("is refused at once, with a node that holds it, where its log is not here", { timeout }, async () => {
    const { lead } = wayOf(["b", "c"], false);
    const beginMs = performance.now();
    const facts = { leader: { nodeId: "b", url: "http://b:8400" } };
    await assertRefused(lead({ routing: "refuse" }), { reason: "not_leader", facts });
    assert.ok(performance.now() - beginMs < quickLimits.leaderMaxWaitMs / 2);
  });

  test("is refused with who leads", { timeout }, async () => {
    const { group, answers, lead } = wayOf();
    group.follow("a");
    for (const routing of ["refuse", "forwarded"] as const) {
      await assertRefused(lead({ routing }), {
        reason: "not_leader",
        message: /this node does not lead it, a does/,
        facts: { fate: "nothing_written", leader: { nodeId: "a", url: "http://a:8400" } },
      });
    }
    assert.deepEqual(answers.asked, []);
  });

  test("waits for a leader where a client wants it, and not where another node does", { timeout }, async () => {
    const { group, lead } = wayOf();
    await assertRefused(lead({ routing: "forwarded" }), { reason: "not_leader" });
    const led = lead({ routing: "refuse", here: say("done") });
    group.lead();
    assert.equal(await led, "done");
    group.follow(undefined);
    await assertRefused(lead({ routing: "refuse" }), { reason: "not_ready", facts: { fate: "nothing_written" } });
  });

  test("is told of an unknown fate, and never tried twice", { timeout }, async () => {
    const { group, lead } = wayOf();
    group.lead();
    let tries = 0;
    const lost = () => {
      tries += 1;
      return Promise.reject(new FateUnknownError("cut off"));
    };
    await assertRefused(lead({ routing: "forwarded", here: lost }), {
      reason: "fate_unknown",
      facts: { fate: "unknown" },
    });
    assert.equal(tries, 1);
  });
});
