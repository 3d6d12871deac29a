/** Where a node listens. */
export interface ListenAddress {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

/** The parts of `HOST:PORT`, an IPv6 host in brackets; undefined when it is nothing of the kind. */
export function parseAddress(text: string): ListenAddress | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-f:.]+(?:%\w+)?)\]|([^:[\]\s/@]+)):(\d{1,5})$/i.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  return host === undefined || port > 65535 ? undefined : { host, port };
}

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\./.test(host);
}

/** Why a node can't listen there, and what to do; undefined when the error is not about that. */
export function listenFailure(address: string, error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "EADDRINUSE":
      return `${address} is in use by another program. Stop that one, or take another port with --listen.`;
    case "EACCES":
      return `this user may not listen on ${address}. Take a port from 1024 on with --listen.`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `${address} is no address of this machine. Give one that is with --listen, such as 127.0.0.1:8400.`;
    default:
      return undefined;
  }
}
