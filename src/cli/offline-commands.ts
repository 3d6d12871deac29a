/**
 * The commands that look into a data folder: their flags and help. What they do is imported when they run.
 * @module
 */
import type { Command } from "commander";
import type { VerifyOptions } from "./offline/verify.ts";
import { type Ended, exitCodeHelp } from "./options.ts";

/** Adds `verify`. */
export function addVerify(program: Command, ended: Ended): void {
  program
    .command("verify")
    .summary("show that a stopped node's data is whole, or what is damaged")
    .description(
      [
        "Reads all of a data folder that no node has open, and changes nothing in it.",
        "",
        "Looks at every checksum, at the digests from each log's first batch to its last, at order and density of indexes " +
          "and offsets, at the journal's frames and marks, and at index files. Tells of each damage the file, the first bad " +
          "byte, and which batches and offsets are lost. What a crash leaves is told as that; it is no damage. Ends with 0 " +
          "where all is whole, with 1 where something is damaged.",
      ].join("\n"),
    )
    .argument("<folder>", "the data folder")
    .option("-q, --quiet", "only what is damaged")
    .option("--json", "print JSON")
    .addHelpText("after", `\nExample:\n  tailrace verify /var/lib/tailrace\n${exitCodeHelp}`)
    .action(async (folder: string, options: VerifyOptions) => {
      const { verifyFolder } = await import("./offline/verify.ts");
      ended(await verifyFolder(folder, options));
    });
}
