/**
 * A whole node on the real disk, for what needs no faults.
 * @module
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { pino } from "pino";
import type { Limits } from "../../../src/base/limits.ts";
import { createNode, type NodeOptions } from "../../../src/node.ts";
import { smallLog } from "../../support/data-folder.ts";

export interface RealNode {
  readonly url: string;
  readonly host: string;
  close(): Promise<void>;
}

export async function startRealNode(limits: Partial<Limits> = {}, api: NodeOptions["api"] = {}): Promise<RealNode> {
  const dataFolder = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-test-"));
  const node = await createNode({
    dataFolder,
    listen: { host: "127.0.0.1", port: 0 },
    logger: pino({ level: "error" }),
    limits,
    log: smallLog,
    api,
    shutdownGraceMs: 2500,
  });
  return {
    url: node.url,
    host: new URL(node.url).host,
    async close() {
      await node.close();
      fs.rmSync(dataFolder, { recursive: true });
    },
  };
}
