/**
 * Links between hosts are cut: both ways, one way, again and again. What is cut is silent.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { unless } from "../support/skip.ts";
import { Machine } from "./support/figures.ts";
import { client, type Link } from "./support/host.ts";
import { whyNoCuts } from "./support/hosts.ts";
import { backMaxMs, passed, type Scene, underLoad } from "./support/under-load.ts";

const options = { ...unless(whyNoCuts === undefined, whyNoCuts ?? ""), timeout: 120_000 };
const cutMs = 4_000;
const silences = 7;
const flaps = 25;

describe("links that are cut", () => {
  test(`${silences} times the leader's machine falls silent: appends go on within 2.5 s, mostly`, options, async () => {
    const machine = await Machine.look();
    const timesMs: number[] = [];
    await underLoad("silent machine", { nodes: 3 }, async ({ cluster, load, stream }) => {
      for (let time = 0; time < silences; time++) {
        const leader = await cluster.leaderOf(stream);
        const links = cluster.linksOf(leader);
        await cluster.hosts.cut(links);
        timesMs.push(await load.nextAck(backMaxMs));
        await cluster.hosts.mend(links);
        await passed(1_500);
      }
    });
    const { medianMs } = machine.tell("from a silent machine to the next acknowledged append", timesMs);
    assert.ok(medianMs < 2_500 * machine.factor, `median ${medianMs} ms`);
  });

  test(
    "a leader that clients reach, and no other node does, acknowledges nothing; the others go on",
    options,
    async () => {
      await underLoad("leader cut off", { nodes: 3 }, async (scene) => {
        const { cluster, load, stream } = scene;
        const leader = await cluster.leaderOf(stream);
        load.readAt(leader);
        await whileCut(scene, cluster.linksBetween([leader], cluster.others(leader)), async () => {
          await load.nextAck(backMaxMs);
          assert.notEqual(await cluster.leaderOf(stream, cluster.others(leader)), leader);
        });
      });
    },
  );

  for (const way of ["to", "from"] as const) {
    test(
      `a leader whose packets ${way === "to" ? "reach no other node" : "arrive, and who hears of no other node,"} is replaced`,
      options,
      async () => {
        await underLoad(`one way ${way} the others`, { nodes: 3 }, async (scene) => {
          const { cluster, load, stream } = scene;
          const leader = await cluster.leaderOf(stream);
          load.readAt(leader);
          const links = cluster
            .linksBetween([leader], cluster.others(leader))
            .filter((link) => (way === "to" ? link.from : link.to) === leader.host.name);
          await whileCut(scene, links, async () => {
            await load.nextAck(backMaxMs);
            assert.notEqual(await cluster.leaderOf(stream, cluster.others(leader)), leader);
          });
        });
      },
    );
  }

  test("one link between the leader and a follower is cut, or the followers' own: appends go on", options, async () => {
    await underLoad("one link", { nodes: 3 }, async (scene) => {
      const { cluster, load, stream } = scene;
      for (let time = 0; time < 2; time++) {
        const leader = await cluster.leaderOf(stream);
        const [one, other] = cluster.others(leader);
        assert.ok(one && other);
        const links = cluster.linksBetween([time === 0 ? leader : other], [one]);
        await whileCut(scene, links, async () => void (await load.nextAck(backMaxMs)));
        await load.nextAck(backMaxMs);
      }
    });
  });

  test("a follower hears the others, and is not heard: the leader stays, and appends go on", options, async () => {
    await underLoad("follower not heard", { nodes: 3 }, async (scene) => {
      const { cluster, load, stream } = scene;
      const leader = await cluster.leaderOf(stream);
      const [follower] = cluster.others(leader);
      assert.ok(follower);
      const all = cluster.linksBetween([follower], cluster.others(follower));
      const links = all.filter(({ from }) => from === follower.host.name);
      await whileCut(scene, links, async () => {
        const before = load.acks;
        await passed(1_000);
        assert.ok(load.acks > before, "no append was acknowledged within a second");
        assert.equal(await cluster.leaderOf(stream, [leader]), leader);
      });
    });
  });

  test("links that flap stop nothing for long, and harm nothing", options, async () => {
    await underLoad("flapping", { nodes: 3 }, async ({ cluster, load, stream }) => {
      const leader = await cluster.leaderOf(stream);
      const links = cluster.linksBetween([leader], cluster.others(leader));
      const before = load.acks;
      for (let flap = 0; flap < flaps; flap++) {
        await cluster.hosts.cut(links);
        await passed(100 + 20 * flap);
        await cluster.hosts.mend(links);
        await passed(300);
      }
      console.log(`${load.acks - before} appends were acknowledged while links flapped`);
      assert.ok(load.acks > before);
    });
  });

  test("three nodes that can't hear each other acknowledge nothing, and elect one when they can", options, async () => {
    await underLoad("all apart", { nodes: 3 }, async (scene) => {
      const { cluster, load } = scene;
      await whileCut(scene, cluster.linksBetween(cluster.nodes, cluster.nodes), async () => {
        await assert.rejects(load.nextAck(cutMs), "an append was acknowledged by one alone");
      });
    });
  });

  test("clients that reach one follower only append and read through it", options, async () => {
    await underLoad("behind a follower", { nodes: 3 }, async (scene) => {
      const { cluster, load, stream } = scene;
      const leader = await cluster.leaderOf(stream);
      const [, other] = cluster.others(leader);
      assert.ok(other);
      const names = [leader, other].map(({ host }) => host.name);
      const links = names.flatMap((name) => [
        { from: name, to: client },
        { from: client, to: name },
      ]);
      await whileCut(scene, links, async () => void (await load.nextAck(backMaxMs)));
    });
  });
});

/** Cuts the links while `body` runs, and for a while longer. */
async function whileCut({ cluster }: Scene, links: readonly Link[], body: () => Promise<void>): Promise<void> {
  await cluster.hosts.cut(links);
  const until = passed(cutMs);
  await body();
  await until;
  await cluster.hosts.mend(links);
}
