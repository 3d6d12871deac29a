import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FrameArena } from "./frame-writer.ts";

const border = 4096;

/** What is written to the ring, frame by frame: its length in borders, whether it goes to the ring, what is skipped. */
const frames = fc.array(
  fc.record({ borders: fc.integer({ min: 1, max: 4 }), isWritten: fc.boolean(), skipped: fc.nat({ max: 3 }) }),
  { minLength: 1, maxLength: 60 },
);

test("the arena gives what was written at a position, or nothing", () => {
  fc.assert(
    fc.property(frames, fc.integer({ min: 16, max: 21 }), fc.nat({ max: 9 }), (written, capacity, first) => {
      const arena = new FrameArena({ capacity: capacity * border, frameMaxBytes: 4 * border, first: first * border });
      const ring = new Map<number, number>();
      let position = first * border;
      let found = 0;
      for (const [i, { borders, isWritten, skipped }] of written.entries()) {
        const bytes = borders * border;
        const frame = arena.begin(position, bytes + border);
        frame.bytes.fill(i + 1);
        // A frame that is refused leaves its bytes in the arena; what stands in the ring is not changed by it.
        if (isWritten) {
          arena.end(bytes);
          for (let at = position; at < position + bytes; at += border) ring.set(at, i + 1);
          position += bytes + skipped * border;
        }
        for (const [at, expected] of ring) {
          const view = arena.bytesAt(at, border);
          if (!view) continue;
          found += 1;
          assert.ok(
            view.every((byte) => byte === expected),
            `position ${at} after frame ${i}`,
          );
        }
      }
      const newest = [...ring.keys()].at(-1);
      // The newest are in memory: that is what it is for.
      if (newest !== undefined && written.at(-1)?.isWritten) assert.ok(arena.bytesAt(newest, border) && found > 0);
    }),
  );
});
