import type { Protocol } from "./metrics.ts";

/** What a request is, by its method and content type. */
export interface RequestKind {
  readonly protocol: Protocol;
  readonly isJson: boolean;
  /** Whether messages come in envelopes with a length before each, as they do everywhere but in Connect's unary calls. */
  readonly isEnveloped: boolean;
}

const enveloped: [prefix: string, protocol: Protocol][] = [
  ["application/grpc-web", "grpc-web"],
  ["application/grpc", "grpc"],
  ["application/connect", "connect"],
];

/** @param query What follows the `?`: it says the encoding of a Connect GET. */
export function requestKind(method: string | undefined, contentType: string | undefined, query: string): RequestKind {
  if (method === "GET")
    return { protocol: "connect", isJson: !/(^|&)encoding=proto(&|$)/.test(query), isEnveloped: false };
  const type = contentType ?? "";
  for (const [prefix, protocol] of enveloped) {
    if (type.startsWith(prefix)) return { protocol, isJson: type.includes("+json"), isEnveloped: true };
  }
  return { protocol: "connect", isJson: !type.startsWith("application/proto"), isEnveloped: false };
}
