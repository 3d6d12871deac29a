import { assert } from "../base/assert.ts";
import { sameBytes } from "../base/bytes.ts";
import type { LogContext } from "./context.ts";
import { floorBody, noteMaxBytes, RecordKind, stateBody, voteBody } from "./format.ts";
import { recordBytes } from "./frame-writer.ts";
import { noteBytes, writeFloor, writeNote, writeVote } from "./group-state.ts";
import type { LogState } from "./log-state.ts";
import type { Promised, Vote } from "./types.ts";
import { writeRecord } from "./urgent-record.ts";

/** Makes durable what a replica promised: a vote, a floor, a note. @throws {NoRoomError} Nothing of it is. */
export async function savePromised(state: LogState, context: LogContext, promised: Promised): Promise<void> {
  const { vote, floor, note } = promised;
  if (vote) checkVote(state, vote);
  if (note) assert(note.length <= noteMaxBytes, `the note of group ${state.group} is too long`);
  const bodies = [vote ? [voteBody.bytes] : [], floor ? [floorBody.bytes] : [], note ? [noteBytes(note)] : []].flat();
  if (bodies.length === 0) return;
  await writeRecord(context, state.group, {
    fits: (frame) => frame.fits(...bodies),
    add: (frame) => {
      const add = (kind: RecordKind, bytes: number) => frame.add(kind, state.group, state.logNumber, bytes);
      if (vote) writeVote(frame.bytes, add(RecordKind.vote, voteBody.bytes), vote);
      if (floor) writeFloor(frame.bytes, add(RecordKind.floor, floorBody.bytes), floor);
      if (note) writeNote(frame.bytes, add(RecordKind.note, noteBytes(note)), note);
    },
    written: () => {
      if (vote) state.vote = vote;
      if (floor) state.floor = floor;
      if (note) setNote(state, context, note);
    },
  });
}

/** The group's note is another from now on: it is durable. */
export function setNote(state: LogState, context: LogContext, note: Uint8Array): void {
  context.snapshotGrew(recordBytes(stateBody.bytes + note.length) - recordBytes(stateBody.bytes + state.note.length));
  state.note = note;
}

/** A term is never taken back, and neither is the vote in it. */
function checkVote({ group, vote: known }: LogState, vote: Vote): void {
  assert(vote.term >= known.term, `group ${group} votes in term ${vote.term}, and was in term ${known.term}`);
  const isOther = vote.term === known.term && known.votedFor !== undefined && !sameVote(known, vote);
  assert(!isOther, `group ${group} votes twice in term ${vote.term}`);
}

function sameVote({ votedFor: a }: Vote, { votedFor: b }: Vote): boolean {
  return a !== undefined && b !== undefined && a.life === b.life && sameBytes(a.diskId, b.diskId);
}
