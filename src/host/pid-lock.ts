/**
 * A lock for systems without `flock`: a file that names its holder by process id and start time, so that one left by
 * a killed process is known as such, even where its id has been given to another.
 * It is for development: it cannot see holders in other containers or on other machines, and of three processes that
 * start in the same instant over a killed one's file two might get it.
 * @module
 */
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import type { FolderLock } from "./disk.ts";
import { codeOf, diskFailure } from "./system-errors.ts";

/** Takes the lock that the file at `path` stands for. `undefined`: somebody else has it. */
export async function takePidLock(path: string): Promise<FolderLock | undefined> {
  try {
    const mine = `${process.pid} ${await startTimeMs(process.pid)}\n`;
    if (await claim(path, mine)) return { release: () => fs.promises.unlink(path) };
    const holder = await fs.promises.readFile(path, "utf8");
    if (await isAlive(holder)) return undefined;
    if (!(await moveAside(path, holder))) return undefined;
    return (await claim(path, mine)) ? { release: () => fs.promises.unlink(path) } : undefined;
  } catch (error) {
    throw diskFailure("Cannot lock", path, error);
  }
}

/** Whether a process that is alive has the lock. Changes nothing. */
export async function isPidLocked(path: string): Promise<boolean> {
  try {
    return await isAlive(await fs.promises.readFile(path, "utf8"));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw diskFailure("Cannot read the lock", path, error);
  }
}

/** Makes the file with its whole text in one step, unless it is there: by a link, as `wx` alone leaves an empty one. */
async function claim(path: string, text: string): Promise<boolean> {
  const draft = `${path}.${process.pid}`;
  await fs.promises.writeFile(draft, text);
  try {
    await fs.promises.link(draft, path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  } finally {
    await fs.promises.unlink(draft);
  }
}

/** `ps` reckons start times from the machine's uptime on some systems: two answers may differ by a second. */
const startToleranceMs = 2_000;

async function isAlive(holder: string): Promise<boolean> {
  const [pid, started] = holder.split(" ").map(Number);
  const running = await startTimeMs(Number(pid));
  return Math.abs(running - Number(started)) <= startToleranceMs;
}

/** Takes a dead holder's file away; false, and all as before, if it is another's by now. */
async function moveAside(path: string, expected: string): Promise<boolean> {
  const aside = `${path}.left.${process.pid}`;
  try {
    await fs.promises.rename(path, aside);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return true;
    throw error;
  }
  const same = (await fs.promises.readFile(aside, "utf8")) === expected;
  if (!same) await fs.promises.link(aside, path);
  await fs.promises.unlink(aside);
  return same;
}

/** When a process began, milliseconds since 1970; NaN if there is none. */
function startTimeMs(pid: number): Promise<number> {
  const env = { ...process.env, LC_ALL: "C", TZ: "UTC" };
  return new Promise((resolve, reject) => {
    execFile("ps", ["-o", "lstart=", "-p", String(pid)], { env }, (error, stdout) => {
      // `ps` exits 1 for a process that is not there; an error without a status is that it could not be run.
      if (error && typeof error.code !== "number") reject(error);
      else resolve(Date.parse(`${stdout.trim()} UTC`));
    });
  });
}
