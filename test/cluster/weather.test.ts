/**
 * Links that are slow, and lose packets.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { unless } from "../support/skip.ts";
import { whyNoWeather } from "./support/hosts.ts";
import { backMaxMs, passed, underLoad } from "./support/under-load.ts";

const options = { ...unless(whyNoWeather === undefined, whyNoWeather ?? ""), timeout: 120_000 };
const lastsMs = 5_000;

describe("links with delay and loss", () => {
  for (const weather of [
    { delayMs: 20, jitterMs: 10, loss: 0 },
    { delayMs: 2, jitterMs: 2, loss: 0.05 },
    { delayMs: 20, jitterMs: 40, loss: 0.1 },
  ]) {
    const { delayMs, jitterMs, loss } = weather;
    test(
      `of ${delayMs} to ${delayMs + jitterMs} ms and ${loss * 100} %: appends go on, also when the leader dies`,
      options,
      async () => {
        await underLoad("weather", { nodes: 3, switched: true }, async ({ cluster, load, stream }) => {
          await cluster.hosts.weather(weather);
          const before = load.acks;
          await passed(lastsMs);
          console.log(`${load.acks - before} appends were acknowledged in ${lastsMs} ms`);
          assert.ok(load.acks > before);
          const leader = await cluster.leaderOf(stream);
          await leader.end("SIGKILL");
          console.log(
            `an append was acknowledged ${(await load.nextAck(backMaxMs)).toFixed(0)} ms after the leader died`,
          );
          leader.start();
          await leader.ready();
          await cluster.hosts.weather({ delayMs: 0, jitterMs: 0, loss: 0 });
        });
      },
    );
  }
});
