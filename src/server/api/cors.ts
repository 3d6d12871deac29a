import { cors as connectCors } from "@connectrpc/connect";
import type { MiddlewareHandler } from "hono";
import { cors as honoCors } from "hono/cors";
import type { Outgoing } from "../listen.ts";

/** How long a browser may keep the answer to its preflight, seconds: the most that the strictest one takes is 7,200. */
const preflightMaxAgeS = 7200;

/** What pages of other origins may do. */
export interface Cors {
  /** Answers preflights, and adds to what Hono answers. */
  readonly middleware: MiddlewareHandler;
  /** Adds to what is written past Hono. */
  expose(origin: string | undefined, outgoing: Outgoing): void;
}

/** Lets pages of these origins call all protocols, and see all headers that these need. */
export function createCors(origins: readonly string[]): Cors {
  const isAll = origins.includes("*");
  const exposed = [...connectCors.exposedHeaders, "retry-after"];
  const allowed = [...connectCors.allowedHeaders, "authorization", "x-request-id"];
  return {
    middleware: honoCors({
      origin: isAll ? "*" : [...origins],
      allowMethods: ["GET", "HEAD", "POST", "PATCH", "OPTIONS"],
      allowHeaders: allowed,
      exposeHeaders: exposed,
      maxAge: preflightMaxAgeS,
    }),
    expose(origin, outgoing) {
      if (origin === undefined) return;
      if (!isAll) outgoing.setHeader("vary", "Origin");
      if (!isAll && !origins.includes(origin)) return;
      outgoing.setHeader("access-control-allow-origin", isAll ? "*" : origin);
      outgoing.setHeader("access-control-expose-headers", exposed.join(","));
    },
  };
}
