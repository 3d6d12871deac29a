/**
 * The cluster by plain HTTP, for curl and for what has no protobuf:
 *
 *     GET /v1/cluster?names_max=      200 with a GetServersResponse as JSON
 * @module
 */
import { create, toJsonString } from "@bufbuild/protobuf";
import type { Context } from "hono";
import { GetServersRequestSchema, GetServersResponseSchema } from "../../wire/gen/tailrace/v1/cluster_pb.ts";
import type { ApiEnv } from "./app.ts";
import { noStore } from "./caching.ts";
import type { Call } from "./call.ts";
import { getServers } from "./cluster.ts";
import type { ApiContext } from "./context.ts";
import { json, numberOf, queryOf } from "./rest-request.ts";

/** Tells of all nodes. */
export async function tellCluster(c: Context<ApiEnv>, api: ApiContext, call: Call): Promise<Response> {
  const namesMax = numberOf(queryOf(c, ["names_max"]), "names_max") ?? 0;
  const answer = await getServers(api, create(GetServersRequestSchema, { namesMax }), call);
  return json(toJsonString(GetServersResponseSchema, answer), { "cache-control": noStore });
}
