/**
 * Running the tools of a checkout: the ones that `npm ci` installed come before the system's.
 */
import { spawn } from "node:child_process";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout's folder. */
export const root = fileURLToPath(new URL("..", import.meta.url));

/** For `bun test`: a test that sets no time of its own and takes longer hangs, on a busy machine too. */
export const testTimeout = "--timeout=60000";

const path = [join(root, "node_modules", ".bin"), process.env.PATH].join(delimiter);

/**
 * Runs a command in the checkout and gathers what it says.
 * @returns its exit status (1 when a signal ended it or it could not be started), output, and seconds.
 */
export function run(command, args, { timeoutMs = 0, env = {} } = {}) {
  const begin = performance.now();
  return new Promise((resolve) => {
    const output = [];
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, PATH: path, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let timer;
    if (timeoutMs > 0) {
      timer = setTimeout(() => {
        output.push(`\n${command} did not end within ${timeoutMs / 1000} s\n`);
        child.kill("SIGKILL");
      }, timeoutMs);
    }
    child.stdout.on("data", (chunk) => output.push(chunk));
    child.stderr.on("data", (chunk) => output.push(chunk));
    child.once("error", (error) => output.push(`${error.message}\n`));
    child.once("close", (status) => {
      clearTimeout(timer);
      resolve({ status: status ?? 1, output: output.join(""), seconds: (performance.now() - begin) / 1000 });
    });
  });
}

/** One line of a report: what, how it went, how long it took. */
export function report(ok, what, detail, seconds) {
  console.log(`${ok ? "ok    " : "FAILED"}  ${what}${detail === "" ? "" : `: ${detail}`} (${seconds.toFixed(1)} s)`);
}
