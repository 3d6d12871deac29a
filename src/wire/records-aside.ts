/**
 * LogService as a server of protobuf sees it: AppendRequest and AppendStreamRequest without their field 1. So protobuf-es
 * leaves the records undecoded among the unknown fields, and their bytes can be stored as they came.
 * @module
 */
import { clone, createFileRegistry, type DescMessage, type FileRegistry, type Message } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { present } from "../base/assert.ts";
import { recordsTag } from "../base/records.ts";
import {
  AppendRequestSchema,
  AppendStreamRequestSchema,
  file_tailrace_v1_log,
  LogService,
} from "./gen/tailrace/v1/log_pb.ts";
import { malformedRequest } from "./split-records.ts";

const recordsField = recordsTag >>> 3;

const messages = withoutRecords();

/** Append and AppendStream with requests that come without `records`; answers are the same. */
export const appendMethod = { ...LogService.method.append, input: messageOf(AppendRequestSchema) };
export const appendStreamMethod = { ...LogService.method.appendStream, input: messageOf(AppendStreamRequestSchema) };

/**
 * The records of a request of these methods: a serialized Records, not checked. A view where they touch, as they do in
 * what any protobuf library writes.
 * @throws {TailraceError} `invalid_field`: field 1 is of another type.
 */
export function recordsAside(request: Message): Uint8Array {
  const fields = (request.$unknown ?? []).filter(({ no }) => no === recordsField);
  const [first] = fields;
  if (first === undefined) return new Uint8Array(0);
  let bytes = 0;
  for (const { wireType, data } of fields) {
    if (wireType !== WireType.LengthDelimited) throw malformedRequest("its field records is not one of messages");
    bytes += 1 + data.length;
  }
  const touching = new Uint8Array(first.data.buffer, first.data.byteOffset - 1, 1);
  let end = touching.byteOffset;
  const doTouch = fields.every(({ data }) => {
    const follows = data.buffer === touching.buffer && data.byteOffset === end + 1;
    end = data.byteOffset + data.length;
    return follows;
  });
  if (doTouch) return new Uint8Array(touching.buffer, touching.byteOffset, bytes);
  const joined = new Uint8Array(bytes);
  let at = 0;
  for (const { data } of fields) {
    joined[at] = recordsTag;
    joined.set(data, at + 1);
    at += 1 + data.length;
  }
  return joined;
}

function withoutRecords(): FileRegistry {
  const file = clone(FileDescriptorProtoSchema, file_tailrace_v1_log.proto);
  for (const message of file.messageType) {
    const isAppend = message.name === AppendRequestSchema.name || message.name === AppendStreamRequestSchema.name;
    if (isAppend) message.field = message.field.filter(({ number }) => number !== recordsField);
  }
  const dependencies = new Map(
    file_tailrace_v1_log.dependencies.map((dependency) => [`${dependency.name}.proto`, dependency]),
  );
  return createFileRegistry(file, (name) => dependencies.get(name));
}

function messageOf({ typeName }: DescMessage): DescMessage {
  return present(messages.getMessage(typeName), "the message is in its file");
}
