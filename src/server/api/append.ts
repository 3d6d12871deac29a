import type { AppendAnswer } from "../../stream/types.ts";
import type { Call } from "./call.ts";
import { type ApiContext, openStreams } from "./context.ts";
import { renamed } from "./renamed.ts";
import type { AppendCommand } from "./requests.ts";

/**
 * Appends one batch. Fails with a ConnectError that says what became of it.
 * @param request Gives the command, or throws what is wrong with it.
 */
export async function append(api: ApiContext, request: () => AppendCommand, call: Call): Promise<AppendAnswer> {
  let fate: "nothing_written" | "unknown" = "nothing_written";
  try {
    const command = request();
    if (command.isRefusedElsewhere) call.refuseElsewhere();
    let stream = await call.raceDeadline(openStreams(api).getForAppend(command.stream, command.streamId, call));
    fate = "unknown";
    for (let isLast = command.streamId !== undefined; ; isLast = true) {
      try {
        const receipt = await call.raceDeadline(stream.append(command.payload, command.options));
        api.metrics.appended(receipt, command.payload.length);
        return receipt;
      } catch (error) {
        if (isLast) throw error;
        stream = await renamed(api, stream, error, call, (streams, name) =>
          streams.getForAppend(name, undefined, call),
        );
      }
    }
  } catch (error) {
    throw api.mapError(error, { callId: call.id, rpc: call.rpc, fate });
  }
}
