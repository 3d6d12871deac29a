import type { Logger } from "pino";

/** What a node that is ready says of itself. */
export interface Greeting {
  readonly url: string;
  /** Absolute path. */
  readonly dataFolder: string;
}

const defaultUrl = "http://127.0.0.1:8400";

/** Says that the node is ready, and what to try next: on a terminal for people, elsewhere as one line of the log. */
export function greet({ url, dataFolder }: Greeting, logger: Logger): void {
  const commands = whatToTry(url);
  if (!process.stdout.isTTY) {
    logger.info({ url, dataFolder, try: commands }, `Ready at ${url}`);
    return;
  }
  const lines = [
    `tailrace is ready at ${url}, with its data in ${dataFolder}`,
    "",
    "Try, in another terminal:",
    ...commands.map((command) => `  ${command}`),
    "",
  ];
  process.stdout.write(`${lines.map((line) => `${line}\n`).join("")}`);
}

/** How the command line is called from where this one was run. */
export function tailraceCommandLine(): string {
  return import.meta.url.endsWith(".ts") ? "npm run -s tailrace --" : "tailrace";
}

/** Commands that work as they are, from where this one was run. */
function whatToTry(url: string): string[] {
  const tailrace = tailraceCommandLine();
  const server = url === defaultUrl ? "" : ` --server ${url}`;
  return [
    `echo hello | ${tailrace} append greetings${server}`,
    `${tailrace} read greetings --follow${server}`,
    `curl ${url}/v1/streams/greetings/records`,
  ];
}
