/**
 * Names of replicas that other nodes say. A promise to one is kept by its disk and life, in so many bytes of the journal: a name
 * that has others must not come so far.
 * @module
 */
import { invalidField } from "../../base/errors.ts";
import { isNodeId } from "../../base/node-id.ts";
import type { ReplicaId } from "../../raft/types.ts";

const lifeMax = 2 ** 32 - 1;

/** @throws {TailraceError} It is no `NODE/DISK/LIFE`. */
export function checkReplica(replica: ReplicaId, field: string): void {
  const [node = "", disk = "", life = "", ...rest] = replica.split("/");
  const isLife = /^(0|[1-9]\d{0,9})$/.test(life) && Number(life) <= lifeMax;
  const isOne = isNodeId(node) && /^[0-9a-f]{32}$/.test(disk) && isLife;
  if (!isOne || rest.length > 0) throw invalidField(field, "it names no replica", "Send NODE/DISK/LIFE");
}
