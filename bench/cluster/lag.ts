import { connectTo } from "../../src/cli/connection.ts";
import { percentiles } from "./load.ts";
import type { BenchNode } from "./node.ts";

const samples = 1_000;
const betweenMs = 10;

/** How long after its acknowledgement an append is read at a follower, where one comes every 10 ms. */
export async function measureLag(leader: BenchNode, follower: BenchNode, stream: string): Promise<string> {
  const [writer, reader] = [connectTo(leader.url), connectTo(follower.url)];
  try {
    const { nextOffset: first = 0n } = await writer.client.log.append({ stream, records: [{}] });
    const acknowledgedMs: number[] = [];
    const seenMs: number[] = [];
    const reading = (async () => {
      for (let next = first; seenMs.length < samples; ) {
        const answer = await reader.client.log.read({
          ...{ stream, start: { at: { case: "offset", value: next } }, waitMs: 5_000 },
        });
        const nowMs = performance.now();
        for (; next < answer.nextOffset; next++) seenMs.push(nowMs);
      }
    })();
    for (let i = 0; i < samples; i++) {
      await writer.client.log.append({ stream, records: [{ value: new Uint8Array(100) }] });
      acknowledgedMs.push(performance.now());
      await new Promise((resolve) => setTimeout(resolve, betweenMs));
    }
    await reading;
    const { p50Ms, p99Ms } = percentiles(seenMs.map((ms, i) => ms - (acknowledgedMs[i] ?? ms)));
    return `read there p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms after the acknowledgement`;
  } finally {
    writer.close();
    reader.close();
  }
}
