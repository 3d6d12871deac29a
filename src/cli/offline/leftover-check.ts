/**
 * Files that nothing calls for: what a crash left between a record and the files that follow it, and strangers.
 * @module
 */
import type { DiskReads } from "../../host/disk.ts";
import { indexName, isSegmentFile, segmentName } from "../../log/format.ts";
import type { Finding } from "./finding.ts";
import type { CheckedLog } from "./log-check.ts";
import { draftName } from "./new-journal.ts";

const ours = new Set(["id", "lock", "journal", "groups", "bootstrap", "bootstrap.new"]);
/** What a start removes. */
const passing = new Set(["leftover", "id.new"]);

/** Names at the folder's top that are not a part of it. */
export async function strangers(disk: DiskReads, path: string): Promise<Finding[]> {
  const names = (await disk.list(path)) ?? [];
  return names.sort().flatMap((name): Finding[] => {
    if (ours.has(name)) return [];
    if (passing.has(name))
      return [{ kind: "note", file: name, position: 0, what: "left over; the next start removes it" }];
    if (name === draftName) {
      return [{ kind: "note", file: name, position: 0, what: "of a repair that was cut short: run it again" }];
    }
    if (name === "aside") return [{ kind: "note", file: name, position: 0, what: "what a repair moved aside" }];
    return [{ kind: "note", file: name, position: 0, what: "no part of a data folder" }];
  });
}

/** Files of a group that are none of its log's. */
export async function uncalledFiles(disk: DiskReads, path: string, log: CheckedLog): Promise<Finding[]> {
  const { group, logNumber } = log.known;
  const groupFolder = `groups/${group}`;
  const left = (file: string, what: string): Finding => ({ kind: "crash", file, position: 0, group, what });
  const numbers = ((await disk.list(`${path}/${groupFolder}`)) ?? []).filter((name) => name !== String(logNumber));
  const found = numbers.sort().map((name) => left(`${groupFolder}/${name}`, "of a log that is replaced"));
  const folder = `${groupFolder}/${logNumber}`;
  const called = new Set(log.segments.flatMap(({ firstIndex }) => [segmentName(firstIndex), indexName(firstIndex)]));
  for (const name of ((await disk.list(`${path}/${folder}`)) ?? []).sort()) {
    if (called.has(name)) continue;
    if (isSegmentFile(name)) found.push(left(`${folder}/${name}`, "a file that the journal does not call for"));
    else found.push({ ...left(`${folder}/${name}`, "no part of a data folder"), kind: "note" });
  }
  return found;
}
