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
  FenceSchema,
  LeaderChangeSchema,
  type ProducerState as Producer,
  ProducerStateSchema,
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
  /** The node that has the disk; absent where a node is alone. */
  readonly nodeId?: string;
}

/** Where a term begins: the index of its first batch. */
export interface TermStart {
  readonly term: number;
  readonly index: number;
}

/** The last batch of a producer. */
export interface StoredProducer {
  /** 16 bytes. */
  readonly id: Uint8Array;
  readonly epoch: number;
  readonly sequence: number;
  readonly index: number;
  readonly startOffset: number;
  readonly recordCount: number;
  readonly appendTimeMicros: number;
  /** 32 bytes. */
  readonly digest: Uint8Array;
}

/** All that a log up to a checkpoint determines. */
export interface CheckpointState {
  readonly name: string;
  readonly voters: readonly StoredReplica[];
  readonly settings: VersionedSettings;
  /** First offset that readers are given. */
  readonly logStart: number;
  readonly termStarts: readonly TermStart[];
  readonly producers: readonly StoredProducer[];
  /** The fence token in force; empty: none. */
  readonly fence: Uint8Array;
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
      producers: state.producers.map(producerMessage),
      fence: state.fence,
      ...(catalogue === undefined ? {} : { catalogue: encodeCatalogue(catalogue) }),
    }),
  );
}

function producerMessage({ id, epoch, recordCount, digest, ...positions }: StoredProducer): Producer {
  return create(ProducerStateSchema, {
    ...{ id, epoch, recordCount, digest },
    sequence: fromPosition(positions.sequence),
    index: fromPosition(positions.index),
    startOffset: fromPosition(positions.startOffset),
    appendTimeUs: fromPosition(positions.appendTimeMicros),
  });
}

function producerOf({ id, epoch, recordCount, digest, ...positions }: Producer): StoredProducer {
  return {
    ...{ id, epoch, recordCount, digest },
    sequence: toPosition(positions.sequence, "producers.sequence"),
    index: toPosition(positions.index, "producers.index"),
    startOffset: toPosition(positions.startOffset, "producers.start_offset"),
    appendTimeMicros: toPosition(positions.appendTimeUs, "producers.append_time_us"),
  };
}

/** Reads what follows a checkpoint's first 40 bytes. Throws on bytes that are no Checkpoint. */
export function decodeCheckpoint(bytes: Uint8Array): CheckpointState {
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
    producers: message.producers.map(producerOf),
    fence: message.fence,
    ...(catalogue === undefined ? {} : { catalogue: decodeCatalogue(catalogue) }),
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

/** The payload of a fence: the token in force from there on; empty: none. */
export function encodeFence(token: Uint8Array): Uint8Array {
  return toBinary(FenceSchema, create(FenceSchema, { token }));
}

/** Reads the payload of a fence. Throws on bytes that are none. */
export function decodeFence(payload: Uint8Array): Uint8Array {
  return fromBinary(FenceSchema, payload).token;
}

function toReplica({ diskId, life, nodeId = "" }: StoredReplica): Replica {
  return create(ReplicaSchema, { diskId, life, nodeId });
}

function fromReplica({ diskId, life, nodeId }: Replica): StoredReplica {
  return { diskId, life, ...(nodeId === "" ? {} : { nodeId }) };
}
