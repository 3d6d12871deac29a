/**
 * The live view of a cluster. It goes on with another node when the one that it asks goes away.
 * @module
 */
import { toRequestError } from "../client/index.ts";
import { namesMax, type Picture, picture } from "./cluster-picture.ts";
import { connectTo } from "./connection.ts";
import { whatFailed } from "./failure.ts";
import type { Output } from "./output.ts";

const intervalMs = 2000;
/** Before another node is asked. */
const pauseMs = 200;
/** For the terminal: to the upper left; clear what is left of the line; of the screen. */
const [home, clearLine, clearRest] = ["\u001b[H", "\u001b[K", "\u001b[J"];

/**
 * Prints the cluster again and again, in place where a terminal watches, until the process is ended.
 * @throws {RequestError} No node ever answered.
 */
export async function watchCluster(server: string, output: Output, text: (seen: Picture) => string): Promise<never> {
  const isLive = process.stdout.isTTY === true;
  const show = (shown: string) =>
    output.write(isLive ? `${home}${shown.replaceAll("\n", `${clearLine}\n`)}${clearRest}` : shown);
  let urls: readonly string[] = [server];
  let last: string | undefined;
  for (let at = 0; ; at++) {
    const url = urls[at % urls.length] ?? server;
    const { client, close } = connectTo(url);
    try {
      for await (const answer of client.cluster.watchServers({ namesMax, intervalMs })) {
        const seen = await picture(answer);
        const known = seen.servers.map(({ apiUrl }) => apiUrl).filter((found) => URL.canParse(found));
        urls = [...new Set([url, ...known, server])];
        at = 0;
        last = text(seen);
        await show(last);
      }
    } catch (error) {
      const failure = toRequestError(error);
      if (last === undefined || !failure.isPassing) throw failure;
      if (isLive) await show(`${url}: ${whatFailed(failure)}; asking another node\n${last}`);
    } finally {
      close();
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
