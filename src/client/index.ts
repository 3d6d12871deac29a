/**
 * The client library, `tailrace/client`: runs in browsers too, except for the appender, which needs HTTP/2 streams.
 * @module
 */
export { type AppendOptions, appendBatch, fenceStream, type Producer, producerPlace } from "./append.ts";
export { type AppendBatch, AppendError, Appender, type AppenderOptions } from "./appender.ts";
export { createClient, type TailraceClient } from "./client.ts";
export {
  type Conflict,
  type FailureKind,
  NotConnectedError,
  type ProducerPlace,
  RequestError,
  toRequestError,
} from "./errors.ts";
export { type FollowOptions, followParts } from "./follower.ts";
export {
  atOffset,
  type Freshness,
  type ReadOptions,
  type ReadPart,
  readParts,
  recordsOf,
  type StartPosition,
} from "./reader.ts";
