/**
 * Gossip over Connect: one unary call a message, and nothing waits for its answer.
 * @module
 */
import { createClient, type ServiceImpl } from "@connectrpc/connect";
import type { Message } from "../../gossip/types.ts";
import { GossipService } from "../../wire/gen/tailrace/peer/v1/peer_pb.ts";
import { gossipRequest, readGossip } from "./gossip-messages.ts";
import { readCall } from "./peer-call.ts";
import type { Transports } from "./transports.ts";

/** A message that takes longer was lost. */
const sendTimeoutMs = 2_000;

/** What a peer port serves. @param receive Told of each message. */
export function gossipService(receive: (message: Message) => void): ServiceImpl<typeof GossipService> {
  return {
    gossip: (request, context) => {
      receive(readCall(context, () => readGossip(request)));
      return {};
    },
  };
}

/** Sends a message to a peer port, `HOST:PORT`. */
export function sendGossip(transports: Transports, to: string, message: Message): void {
  createClient(GossipService, transports.to(to))
    .gossip(gossipRequest(message), { timeoutMs: sendTimeoutMs })
    .catch(() => {
      // Gossip is made to lose messages; who does not answer is found out by it.
    });
}
