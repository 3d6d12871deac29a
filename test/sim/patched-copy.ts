/**
 * A copy of the source in which a rule is undone: what runs there must break.
 * @module
 */
import { spawn } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");

/** One change of the source. */
export interface Change {
  readonly find: string;
  readonly replace: string;
}

/** How a rule is undone. */
export interface Patch {
  /** What does not hold any more. */
  readonly undone: string;
  /** What in the source becomes what. Each `find` stands exactly once in the folders, whichever file it is. */
  readonly patch: readonly Change[];
}

/** Where patches are looked for, and where they are written down. */
export interface PatchPlaces {
  readonly folders: readonly string[];
  readonly rules: string;
}

/** Works on a copy, which is gone then. @throws {Error} The patch does not fit the source any more: says what to do. */
export async function onPatchedCopy<T>(
  patch: Patch,
  places: PatchPlaces,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "tailrace-rule-"));
  try {
    for (const part of ["src", "test/sim", "test/support", "package.json"]) {
      await cp(join(root, part), join(folder, part), { recursive: true });
    }
    await symlink(join(root, "node_modules"), join(folder, "node_modules"));
    for (const change of patch.patch) await apply(folder, patch, places, change);
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function apply(folder: string, { undone }: Patch, places: PatchPlaces, { find, replace }: Change): Promise<void> {
  const found: { path: string; source: string }[] = [];
  for (const part of places.folders) {
    const names = await readdir(join(folder, part));
    for (const name of names.filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))) {
      const path = join(folder, part, name);
      const source = await readFile(path, "utf8");
      for (let times = source.split(find).length - 1; times > 0; times--) found.push({ path, source });
    }
  }
  const [only] = found;
  if (!only || found.length > 1) {
    throw new Error(
      `The patch that undoes "${undone}" does not fit any more: what it looks for stands ${found.length} times in ` +
        `${places.folders.join(", ")}, not once. Find where that rule is kept now and mend the patch in ${places.rules}; ` +
        `if it is kept by something else, or needed no more, change or remove the entry and say so in the commit.\n` +
        `It looks for:\n${find}`,
    );
  }
  // A function, or "$" would mean something.
  await writeFile(
    only.path,
    only.source.replace(find, () => replace),
  );
}

/** What a process did. */
export interface Ran {
  readonly status: number | null;
  readonly output: string;
  /** It said nothing for so long that we ended it: a microtask that never ends. */
  readonly hung: boolean;
}

/** How long a run may say nothing, on a busy machine. */
const silenceMs = 60_000;

/** Runs Bun in a copy. */
export function runThere(folder: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(root, "node_modules", ".bin", "bun"), args, { cwd: folder });
    let output = "";
    let hung = false;
    const end = () => {
      hung = true;
      // What never ends hears no other signal.
      child.kill("SIGKILL");
    };
    let silence = setTimeout(end, silenceMs);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        clearTimeout(silence);
        silence = setTimeout(end, silenceMs);
      });
    }
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(silence);
      resolve({ status, output, hung });
    });
  });
}

/** The first seed that failed, or at which a run never ended, as `first-failing-seed.ts` says it. */
export function failingSeed({ output, hung }: Ran): number | undefined {
  const failing = /^seed (\d+) fails:/m.exec(output)?.[1];
  const begun = hung ? [...output.matchAll(/^seed (\d+) begins$/gm)].at(-1)?.[1] : undefined;
  const seed = failing ?? begun;
  return seed === undefined ? undefined : Number(seed);
}

/** As a name stands in a pattern. */
export function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
