/**
 * How a checked folder is told, to people and to programs.
 * @module
 */
import { formatBytes, formatCount, formatRecords, formatSeconds } from "../units.ts";
import { type Finding, lostWords } from "./finding.ts";
import type { CheckedFolder } from "./folder-check.ts";
import { printable } from "./plain-text.ts";

/** Whether anything in a folder is damaged. */
export function isDamaged({ findings }: CheckedFolder): boolean {
  return findings.some(({ kind }) => kind === "damage");
}

/** A finding as lines. */
export function findingLines(checked: CheckedFolder, finding: Finding): string[] {
  const { kind, file, position, what, group, lost } = finding;
  const place = position > 0 || kind === "damage" ? `${file}, byte ${position}` : file;
  const lines = [printable(`${kind.padEnd(6)}  ${place}: ${what}`)];
  if (kind !== "damage") return lines;
  const of = group === undefined ? "" : ` of ${streamWords(checked, group)}`;
  if (lost) lines.push(`        lost${of}: ${lostWords(lost)}`);
  else if (group !== undefined) lines.push(`        it is${of}`);
  return lines;
}

/** A stream by name and id. */
export function streamWords({ names }: CheckedFolder, group: number): string {
  const name = names.of(group);
  return name === undefined ? `the stream with id ${group}` : `stream "${printable(name)}" (id ${group})`;
}

/** The last line of a check. */
export function summaryLine(checked: CheckedFolder, elapsedMs: number): string {
  const { logs, findings, bytes } = checked;
  const count = findings.filter(({ kind }) => kind === "damage").length;
  const verdict = count === 0 ? "whole" : `damaged in ${count} ${count === 1 ? "place" : "places"}`;
  const { batches, records } = sums(checked);
  const rate = `${formatBytes(Math.round((bytes / Math.max(elapsedMs, 1)) * 1000))}/s`;
  const what = `${formatCount(logs.length)} logs, ${formatCount(batches)} batches, ${formatRecords(records)}`;
  return `${verdict}: ${what}, ${formatBytes(bytes)} in ${formatSeconds(elapsedMs)}, ${rate}`;
}

/** A checked folder for a program. */
export function jsonOfCheck(checked: CheckedFolder, elapsedMs: number): object {
  const { path, journal, logs, findings, names, bytes } = checked;
  return {
    folder: path,
    whole: !isDamaged(checked),
    cleanStop: journal?.isClean ?? false,
    logs: logs.length,
    ...sums(checked),
    bytes,
    seconds: Math.round(elapsedMs) / 1000,
    findings: findings.map(({ kind, file, position, group, what, lost }) => ({
      ...{ kind, file, position },
      ...(group === undefined ? {} : { streamId: group, ...nameOf(names.of(group)) }),
      what,
      ...(lost ? { lost } : {}),
    })),
  };
}

function nameOf(name: string | undefined): { stream?: string } {
  return name === undefined ? {} : { stream: name };
}

function sums({ logs }: CheckedFolder): { batches: number; records: number; tailBatches: number } {
  const total = { batches: 0, records: 0, tailBatches: 0 };
  for (const log of logs) {
    total.batches += log.batches;
    total.records += log.records;
    total.tailBatches += log.tailBatches;
  }
  return total;
}
