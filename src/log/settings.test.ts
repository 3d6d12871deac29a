import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { logSettings } from "./settings.ts";

const mebibyte = 1 << 20;

describe("settings of a data folder", () => {
  test("are design.md's where nothing is said", () => {
    const { journalFiles, journalFileBytes, flushBytes, frameMaxBytes, markDelayMs, segmentHandles } = logSettings();
    assert.deepEqual(
      { journalFiles, journalFileBytes, flushBytes, frameMaxBytes, markDelayMs, segmentHandles },
      {
        journalFiles: 4,
        journalFileBytes: 64 * mebibyte,
        flushBytes: mebibyte / 4,
        frameMaxBytes: 4 * mebibyte,
        markDelayMs: 100,
        segmentHandles: 1024,
      },
    );
  });

  const cases = [
    { file: 1, frame: 0.25, flush: 1 / 16, heldBack: 1 / 8, arena: 32 },
    { file: 4, frame: 1, flush: 0.25, heldBack: 0.5, arena: 32 },
    { file: 16, frame: 4, flush: 0.25, heldBack: 1, arena: 32 },
    { file: 1024, frame: 4, flush: 0.25, heldBack: 1, arena: 32 },
  ];
  for (const { file, frame, flush, heldBack, arena } of cases) {
    test(`follow from files of ${file} MiB`, () => {
      const settings = logSettings({ journalFileBytes: file * mebibyte });
      assert.equal(settings.frameMaxBytes, frame * mebibyte);
      assert.equal(settings.flushBytes, flush * mebibyte);
      assert.equal(settings.heldBackBytes, heldBack * mebibyte);
      assert.equal(settings.arenaBytes, arena * mebibyte);
    });
  }

  test("keep memory for four frames at least", () => {
    assert.equal(logSettings({ arenaBytes: 1 }).arenaBytes, 16 * mebibyte);
  });

  for (const options of [
    { journalFiles: 1 },
    { journalFileBytes: mebibyte + 4096 },
    { journalFiles: 65, journalFileBytes: 64 * mebibyte },
  ]) {
    test(`refuse ${JSON.stringify(options)}`, () => assert.throws(() => logSettings(options), RangeError));
  }
});
