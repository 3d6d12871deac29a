/**
 * What a stream says no with.
 * @module
 */
import type { ProducerStamp } from "../base/batch.ts";
import { NoRoomError } from "../base/disk-errors.ts";
import { type ErrorFacts, invalidField, TailraceError } from "../base/errors.ts";
import { type StreamSettings, settingName, type VersionedSettings } from "../base/stream-settings.ts";
import type { Verdict } from "./producers.ts";
import { settingNames } from "./settings.ts";

/** There is no stream of the name, or the one that there was is gone. */
export function streamNotFound(
  name: string,
  why = "there is none of this name",
  facts: ErrorFacts = {},
): TailraceError {
  const todo = "Check the name, or create the stream first";
  const words = { what: `Cannot find stream "${name}"`, why, todo };
  return new TailraceError("stream_not_found", words, { ...facts, stream: name });
}

/** The stream that was meant is gone, and the name is another one's. */
export function streamReplaced(name: string, asked: number, id: number): TailraceError {
  return new TailraceError(
    "stream_replaced",
    {
      what: `Stream "${name}" is not the one that was asked for`,
      why: `stream ${asked} is gone, and the name belongs to stream ${id} now`,
      todo: `Ask for stream_id ${id}, or leave stream_id out, if the new stream is meant`,
    },
    { stream: name, streamId: id, fate: "nothing_written" },
  );
}

/** Nothing below log start is given any more. */
export function belowLogStart(name: string, offset: number, facts: { logStart: number; nextOffset: number }) {
  const words = {
    what: `Cannot read stream "${name}" from offset ${offset}`,
    why: `the first offset that is kept is ${facts.logStart}, the next one to be written ${facts.nextOffset}`,
    todo: `Read from ${facts.logStart}`,
  };
  return new TailraceError("below_log_start", words, { stream: name, ...facts });
}

/** Nothing is there yet, and not even next. */
export function pastEnd(name: string, offset: number, facts: { logStart: number; nextOffset: number }) {
  const words = {
    what: `Cannot read stream "${name}" from offset ${offset}`,
    why: `the next offset to be written is ${facts.nextOffset}, the first that is kept ${facts.logStart}`,
    todo: `Read from ${facts.nextOffset} at the most`,
  };
  return new TailraceError("past_end", words, { stream: name, ...facts });
}

/** Only what is there can be trimmed. */
export function trimPastEnd(name: string, offset: number, facts: { logStart: number; nextOffset: number }) {
  const words = {
    what: `Cannot trim stream "${name}" to offset ${offset}`,
    why: `the next offset to be written is ${facts.nextOffset}`,
    todo: `Trim to ${facts.nextOffset} at the most, which leaves no record`,
  };
  return new TailraceError("past_end", words, { stream: name, ...facts });
}

/** The stream is the system's. */
export function systemStream(name: string, field: string, verb: string): TailraceError {
  const todo = "Use a name that does not begin with _";
  return invalidField(field, `"${name}" is a name of the system's, which can't be ${verb}`, todo);
}

/** A stream of the name is there, and is not what was asked for. */
export function streamExists(name: string, has: StreamSettings, asked: StreamSettings): TailraceError {
  const words = {
    what: `Cannot create stream "${name}"`,
    why: `it is there with other settings: ${differences(has, asked)}`,
    todo: "Use it as it is, change its settings, create one of another name, or delete it first",
  };
  return new TailraceError("stream_exists", words, { stream: name });
}

function differences(has: StreamSettings, asked: StreamSettings): string {
  const different = settingNames.filter((setting) => has[setting] !== asked[setting]);
  return different.map((setting) => `${settingName(setting)} is ${has[setting]}, not ${asked[setting]}`).join("; ");
}

/** Someone else changed the settings first. */
export function settingsChanged(name: string, expected: number, has: VersionedSettings): TailraceError {
  const words = {
    what: `Cannot change the settings of stream "${name}"`,
    why: `their version is ${has.version}, not ${expected}`,
    todo: `See what they are now, then change version ${has.version}`,
  };
  return new TailraceError("settings_changed", words, { stream: name, settings: has });
}

/** Another append came first. */
export function offsetTaken(name: string, expected: number, nextOffset: number): TailraceError {
  const words = {
    what: `Cannot append to stream "${name}" at offset ${expected}`,
    why: `the next offset is ${nextOffset}`,
    todo: `See what is at the end of the stream, then append at ${nextOffset}`,
  };
  return new TailraceError("offset_taken", words, { stream: name, nextOffset, fate: "nothing_written" });
}

/** The stream is another writer's, or nobody's. */
export function fenced(name: string, given: Uint8Array, inForce: Uint8Array): TailraceError {
  const has = inForce.length > 0 ? "another fence token is in force" : "no fence token is in force";
  const why = given.length === 0 ? "a fence token is in force, and the append names none" : has;
  const todo = "Stop: another writer has the stream; to take it over set a fence token of your own";
  const words = { what: `Cannot append to stream "${name}"`, why, todo };
  return new TailraceError("fenced", words, { stream: name, fence: inForce, fate: "nothing_written" });
}

/** One of a series of appends was refused, and so are those behind it. */
export function seriesBroken(name: string): TailraceError {
  const words = {
    what: `Cannot append to stream "${name}"`,
    why: "an append before it was refused",
    todo: "See why that one was refused",
  };
  return new TailraceError("not_ready", words, { stream: name, fate: "nothing_written" });
}

/** What a producer sent is not its next batch. */
export function notNext(
  name: string,
  sent: ProducerStamp,
  verdict: Exclude<Verdict, { kind: "next" | "duplicate" }>,
): TailraceError {
  const { epoch, sequence } = verdict.expected;
  const facts = { stream: name, producer: { id: sent.id, epoch, sequence }, fate: "nothing_written" } as const;
  const what = `Cannot append batch ${sent.sequence} of the producer's epoch ${sent.epoch} to stream "${name}"`;
  switch (verdict.kind) {
    case "stale_epoch": {
      const todo = "Stop: another writer has taken over as this producer; to take over again begin a higher epoch";
      return new TailraceError("stale_epoch", { what, why: `the producer is in epoch ${epoch}`, todo }, facts);
    }
    case "sequence_gap": {
      const todo = "Send the batches before it first; if they are lost begin a higher epoch";
      return new TailraceError("sequence_gap", { what, why: `batch ${sequence} is the next one`, todo }, facts);
    }
    case "unknown_producer": {
      const todo = "Begin at sequence 0, after looking whether the batches before it are there";
      const why = "the producer is not known: it never appended, or so long ago that it is forgotten";
      return new TailraceError("unknown_producer", { what, why, todo }, facts);
    }
  }
}

/** The node takes nothing new. */
export function nodeStops(): TailraceError {
  const words = {
    what: "Cannot serve streams",
    why: "the node stops",
    todo: "Send it again, to another node or later",
  };
  return new TailraceError("not_ready", words, { retryAfterMs: 1000, fate: "nothing_written" });
}

/** What an error of the log is to who asked: want of room becomes a refusal, the rest stays as it is. */
export function explainNoRoom(error: unknown, what: string, facts: ErrorFacts): unknown {
  if (!(error instanceof NoRoomError)) return error;
  return new TailraceError("disk_full", { what, ...noRoomWords(error) }, { ...facts, fate: "nothing_written" });
}

/** Why there is no room, without the paths of the node's machine. */
function noRoomWords({ code }: NoRoomError): { why: string; todo: string } {
  const todo = "Free space on the node's disk, then try again; reads and deletions go on meanwhile";
  switch (code) {
    case "free_space_reserve":
      return { why: "the node's disk has less free space than the limit free_space_reserve keeps", todo };
    case "EMFILE":
    case "ENFILE":
      return { why: `the node has too many files open (${code})`, todo: "Raise the node's limit of open files" };
    case "EFBIG":
      return { why: "the node may not write files so large (EFBIG)", todo: "Raise the node's limit of file size" };
    case undefined:
      return { why: "the node has no room for it on its disk", todo };
    default:
      return { why: `the node has no room for it on its disk (${code})`, todo };
  }
}
