/**
 * Payloads of control batches, with numbers where `tailrace.storage.v1` has 64-bit integers.
 * @module
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { VersionedSettings } from "../base/stream-settings.ts";
import { decodeCatalogue, encodeCatalogue, type StoredCatalogue } from "./catalogue.ts";
import {
  type Checkpoint,
  CheckpointSchema,
  LeaderChangeSchema,
  type Replica,
  ReplicaSchema,
  SettingsSchema,
  TrimSchema,
  VotersSchema,
} from "./gen/tailrace/storage/v1/storage_pb.ts";
import { fromPosition, toPosition } from "./position.ts";
import { settingsMessage, settingsOf } from "./settings.ts";

/** A checkpoint's payload begins with so many bytes that are `log/`'s: term and digest of the batch before. */
export const checkpointPrefixBytes = 40;

/** A copy of a group's log on one disk. */
export interface StoredReplica {
  readonly diskId: Uint8Array;
  readonly life: number;
}

/** Where a term begins: the index of its first batch. */
export interface TermStart {
  readonly term: number;
  readonly index: number;
}

/** All that a log up to a checkpoint determines. */
export interface CheckpointState {
  readonly name: string;
  readonly voters: readonly StoredReplica[];
  readonly settings: VersionedSettings;
  /** First offset that readers are given. */
  readonly logStart: number;
  readonly termStarts: readonly TermStart[];
  /** Of `_meta` only. */
  readonly catalogue?: StoredCatalogue;
}

/** What follows a checkpoint's first 40 bytes. */
export function encodeCheckpoint(state: CheckpointState): Uint8Array {
  const { catalogue } = state;
  return toBinary(
    CheckpointSchema,
    create(CheckpointSchema, {
      name: state.name,
      voters: state.voters.map(toReplica),
      settings: settingsMessage(state.settings),
      logStart: fromPosition(state.logStart),
      termStarts: state.termStarts.map(({ term, index }) => ({ term: fromPosition(term), index: fromPosition(index) })),
      ...(catalogue === undefined ? {} : { catalogue: encodeCatalogue(catalogue) }),
    }),
  );
}

/** A checkpoint as read, and whether it says what this version can't carry on. */
export interface DecodedCheckpoint extends CheckpointState {
  /** Producers or a fence are there. */
  readonly hasMore: boolean;
}

/** Reads what follows a checkpoint's first 40 bytes. Throws on bytes that are no Checkpoint. */
export function decodeCheckpoint(bytes: Uint8Array): DecodedCheckpoint {
  const message: Checkpoint = fromBinary(CheckpointSchema, bytes);
  const { settings, catalogue } = message;
  return {
    name: message.name,
    voters: message.voters.map(fromReplica),
    settings: settingsOf(settings ?? create(SettingsSchema)),
    logStart: toPosition(message.logStart, "log_start"),
    termStarts: message.termStarts.map(({ term, index }) => ({
      term: toPosition(term, "term_starts.term"),
      index: toPosition(index, "term_starts.index"),
    })),
    ...(catalogue === undefined ? {} : { catalogue: decodeCatalogue(catalogue) }),
    hasMore: message.producers.length > 0 || message.fence.length > 0,
  };
}

/** The payload of a leader change. */
export function encodeLeaderChange(leader: StoredReplica): Uint8Array {
  return toBinary(LeaderChangeSchema, create(LeaderChangeSchema, { leader: toReplica(leader) }));
}

/** A set of voters: a voters batch's payload, and a group's note. */
export function encodeVoters(voters: readonly StoredReplica[]): Uint8Array {
  return toBinary(VotersSchema, create(VotersSchema, { voters: voters.map(toReplica) }));
}

/** Reads a set of voters. Throws on bytes that are none. */
export function decodeVoters(payload: Uint8Array): StoredReplica[] {
  return fromBinary(VotersSchema, payload).voters.map(fromReplica);
}

/** What readers and files begin with from a trim on. */
export interface StoredTrim {
  /** First offset that readers are given. */
  readonly logStart: number;
  /** Index of the checkpoint that files begin with. */
  readonly baseIndex: number;
}

/** The payload of a trim. */
export function encodeTrim({ logStart, baseIndex }: StoredTrim): Uint8Array {
  const message = create(TrimSchema, { logStart: fromPosition(logStart), baseIndex: fromPosition(baseIndex) });
  return toBinary(TrimSchema, message);
}

/** Reads the payload of a trim. Throws on bytes that are none. */
export function decodeTrim(payload: Uint8Array): StoredTrim {
  const { logStart, baseIndex } = fromBinary(TrimSchema, payload);
  return { logStart: toPosition(logStart, "log_start"), baseIndex: toPosition(baseIndex, "base_index") };
}

function toReplica({ diskId, life }: StoredReplica): Replica {
  return create(ReplicaSchema, { diskId, life });
}

function fromReplica({ diskId, life }: Replica): StoredReplica {
  return { diskId, life };
}
