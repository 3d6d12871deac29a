import assert from "node:assert/strict";
import * as os from "node:os";
import { test } from "node:test";
import { costlyFileSystem } from "./file-system.ts";

test("costlyFileSystem() knows nothing against /proc, and can be asked of any folder", () => {
  assert.equal(process.platform === "linux" ? costlyFileSystem("/proc") : undefined, undefined);
  assert.doesNotThrow(() => costlyFileSystem(os.tmpdir()));
});
