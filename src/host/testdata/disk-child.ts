/**
 * A process that uses the real disk as its arguments say and tells the outcome as one line of JSON: for what needs a
 * process of its own, since limits are a process's and its locks end with it.
 */
import { nodeDisk } from "../node-disk.ts";

const [command = "", path = "", bytes = "0"] = process.argv.slice(2);
const disk = nodeDisk();

async function openFile() {
  const file = await disk.open(path, { create: true });
  if (file === undefined) throw new Error(`${path} was not made`);
  return file;
}

async function run(): Promise<string> {
  switch (command) {
    case "lock":
      return (await disk.lock(path)) === undefined ? "held" : "taken";
    case "write":
      await (await openFile()).write([new Uint8Array(Number(bytes))], 0);
      return "written";
    case "sync": {
      const file = await openFile();
      await file.write([new Uint8Array(Number(bytes))], 0);
      await file.sync();
      return "synced";
    }
    default:
      throw new Error(`no such command: ${command}`);
  }
}

const outcome = await run().catch((error) => `${error.name} ${error.code}`);
console.log(JSON.stringify(outcome));
// Stays until told, since the lock is the process's.
if (outcome === "taken") process.stdin.on("data", () => process.exit(0));
