import { type Logger, pino } from "pino";

/**
 * Logs to stdout: for people when a terminal watches, as JSON, a line each, elsewhere. Each line is written before the
 * next statement runs, so that the last words of a process are there.
 */
export async function createLogger(level: string): Promise<Logger> {
  if (!process.stdout.isTTY) return pino({ level, timestamp: pino.stdTimeFunctions.isoTime });
  const { default: pretty } = await import("pino-pretty");
  return pino({ level }, pretty({ ...forPeople, sync: true }));
}

/** Shows lines of a log that another process wrote as JSON as `createLogger` would show them here. */
export async function createLinePrinter(): Promise<(line: string) => string> {
  if (!process.stdout.isTTY) return (line) => line;
  const { prettyFactory } = await import("pino-pretty");
  const show = prettyFactory({ ...forPeople, colorize: true });
  return (line) => show(line).trimEnd();
}

const forPeople = { include: "level,time,err", translateTime: "SYS:HH:MM:ss.l" };
