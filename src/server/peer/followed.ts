/**
 * A session that this node opened to one that it follows: it speaks until either side ends it.
 * @module
 */
import { create } from "@bufbuild/protobuf";
import type { Hash } from "../../host/hash.ts";
import type { Hello } from "../../raft/inputs.ts";
import type { FollowerMessage, NodeId } from "../../raft/types.ts";
import { unverifiedBatch } from "../../replica/core-batch.ts";
import type { RaftDriver } from "../../replica/raft-driver.ts";
import { type SessionRequest, SessionRequestSchema } from "../../wire/gen/tailrace/peer/v1/peer_pb.ts";
import { followerMessage, helloMessage, readLeaderMessage } from "./messages.ts";
import { Outbox } from "./outbox.ts";
import type { PeerClient } from "./peer-network.ts";
import { isStrange } from "./strange.ts";

/** Whom it is with, and what it stands on. */
export interface FollowedOptions {
  readonly to: NodeId;
  readonly hello: Hello;
  readonly driver: RaftDriver;
  readonly clusterId: string;
  readonly hash: Hash;
  readonly isRefused: (error: unknown) => boolean;
  readonly strange: (node: NodeId, error: unknown) => void;
}

/** One session. */
export class Followed {
  readonly #options: FollowedOptions;
  readonly #abort = new AbortController();
  readonly #outbox = new Outbox<FollowerMessage>(0, () => this.end());

  constructor(client: PeerClient, options: FollowedOptions) {
    this.#options = options;
    void this.#run(client);
  }

  get number(): number {
    return this.#options.hello.number;
  }

  /** Says something, after all that was said before. */
  say(messages: readonly FollowerMessage[]): void {
    this.#outbox.add(messages);
  }

  /** Ends it. */
  end(): void {
    this.#outbox.end();
    this.#abort.abort();
  }

  async #run(client: PeerClient): Promise<void> {
    const { to, driver, hash, isRefused, strange } = this.#options;
    const batchOf = (bytes: Uint8Array, group: number) => unverifiedBatch(bytes, group, hash);
    let refused = false;
    let isOpen = false;
    try {
      for await (const { messages } of client.session(this.#requests(), { signal: this.#abort.signal })) {
        if (!isOpen) driver.sessionOpened(to, this.number);
        isOpen = true;
        driver.fromLeader(
          to,
          this.number,
          messages.map((message) => readLeaderMessage(message, batchOf)),
        );
      }
    } catch (error) {
      refused = isRefused(error);
      if (isStrange(error) && !this.#abort.signal.aborted) strange(to, error);
    }
    this.#outbox.end();
    driver.sessionClosed(to, this.number, refused);
  }

  async *#requests(): AsyncGenerator<SessionRequest> {
    yield create(SessionRequestSchema, { hello: helloMessage(this.#options.clusterId, this.#options.hello) });
    for await (const messages of this.#outbox) {
      yield create(SessionRequestSchema, { messages: messages.map(followerMessage) });
    }
  }
}
