/** A host, and a port of it. */
export interface HostPort {
  /** A name or an address; of IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Reads `HOST:PORT`, with an address of IPv6 in brackets; `undefined`: it is none. @param minPort 0 where any free one may be meant. */
export function readHostPort(text: string, minPort: 0 | 1 = 1): HostPort | undefined {
  const [, inBrackets, plain, digits] = /^(?:\[([0-9a-fA-F:.]+(?:%\w+)?)\]|([^:[\]/\s@]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = inBrackets ?? plain;
  const port = Number(digits);
  return host === undefined || port < minPort || port > 65_535 ? undefined : { host, port };
}

/** Writes it. */
export function writeHostPort({ host, port }: HostPort): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
