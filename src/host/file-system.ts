import * as fs from "node:fs";

/** A file system that a node runs on, at a price. */
export interface CostlyFileSystem {
  readonly name: string;
  /** What it costs, as a sentence's end. */
  readonly cost: string;
}

const network = "each sync goes over the network, and the lock of the data folder may not hold";
const copyOnWrite = "each sync of the journal writes it to another place, so that syncs are slower";

/** Linux's numbers of file systems (statfs(2)). */
const costly = new Map<number, CostlyFileSystem>([
  [0x6969, { name: "NFS", cost: network }],
  [0xff534d42, { name: "CIFS", cost: network }],
  [0xfe534d42, { name: "SMB", cost: network }],
  [0x517b, { name: "SMB", cost: network }],
  [0x00c36400, { name: "Ceph", cost: network }],
  [0x01021997, { name: "9P", cost: "each sync goes to another system" }],
  [0x65735546, { name: "FUSE", cost: "what a sync means is decided by a program that may not keep what it promises" }],
  [0x9123683e, { name: "Btrfs", cost: copyOnWrite }],
  [0x2fc12fc1, { name: "ZFS", cost: copyOnWrite }],
  [0xca451a4e, { name: "bcachefs", cost: copyOnWrite }],
]);

/** The file system of a path, if it is one that costs more than it seems. Known on Linux only. */
export function costlyFileSystem(path: string): CostlyFileSystem | undefined {
  if (process.platform !== "linux") return undefined;
  // Runtimes give it as a signed number, or not.
  return costly.get(fs.statfsSync(path).type >>> 0);
}
