import type { ReplicaId } from "./types.ts";

/**
 * What replicas of a group are ranked by, the lowest first: the same wherever it is drawn, and spread over groups, so that nodes
 * agree on who goes first in each without asking, and each goes first in about as many. FNV-1a, 32 bits (Fowler, Noll and Vo).
 */
export function lotIn(group: number, replica: ReplicaId): number {
  const text = `${group}/${replica}`;
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
