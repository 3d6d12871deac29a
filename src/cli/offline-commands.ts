/**
 * The commands that look into a data folder: their flags and help. What they do is imported when they run.
 * @module
 */
import type { Command } from "commander";
import type { InspectOptions } from "./offline/inspect.ts";
import type { RepairOptions } from "./offline/repair.ts";
import type { VerifyOptions } from "./offline/verify.ts";
import { type Ended, exitCodeHelp, parseOffset, serverOption } from "./options.ts";
import type { VerifyReceiptsOptions } from "./verify-receipts.ts";

interface VerifyFlags extends VerifyOptions {
  readonly server: string;
  readonly receipt?: string;
}

/** Adds `verify`. */
export function addVerify(program: Command, ended: Ended): void {
  program
    .command("verify")
    .summary("show that a stopped node's data is whole, or that what was acknowledged is there")
    .description(
      [
        "Reads all of a data folder that no node has open, and changes nothing in it.",
        "",
        "Looks at every checksum, at the digests from each log's first batch to its last, at order and density of indexes " +
          "and offsets, at the journal's frames and marks, and at index files. Tells of each damage the file, the first bad " +
          "byte, and which batches and offsets are lost. What a crash leaves is told as that; it is no damage. Ends with 0 " +
          "where all is whole, with 1 where something is damaged.",
        "",
        "With --receipt it asks a node that serves: it reads a stream from the first batch that is kept, recomputes the " +
          "digests, and compares them with those that appends were answered with. Ends with 0 where all receipts are proven.",
      ].join("\n"),
    )
    .argument("<what>", "the data folder; with --receipt, the name of a stream")
    .option("--receipt <file>", "what appends were answered, a JSON object a line; - is standard input")
    .addOption(serverOption())
    .option("-q, --quiet", "only what is damaged or not proven")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
Receipts: {"stream_id":2,"index":7,"next_offset":40,"digest":"..."}, the digest in hexadecimal or base64
  What "append --json" prints, and what an append over HTTP is answered, will do.

Examples:
  tailrace verify /var/lib/tailrace
  tailrace append orders today.log --json > receipt.json
  tailrace verify orders --receipt receipt.json
${exitCodeHelp}`,
    )
    .action(async (what: string, options: VerifyFlags) => {
      const { receipt } = options;
      if (receipt === undefined) {
        const { verifyFolder } = await import("./offline/verify.ts");
        ended(await verifyFolder(what, options));
        return;
      }
      const { verifyReceipts } = await import("./verify-receipts.ts");
      const asked: VerifyReceiptsOptions = { ...options, receipt };
      ended(await verifyReceipts(what, asked));
    });
}

/** Adds `repair`. */
export function addRepair(program: Command, ended: Ended): void {
  program
    .command("repair")
    .summary("make a damaged data folder startable again, and say what is lost")
    .description(
      [
        "Says what of a stopped node's damaged data can be kept and what is lost; without a flag it changes nothing.",
        "",
        "With --accept-loss a damaged stream keeps what is whole before the damage, and takes appends again. All that is " +
          "not kept is moved to aside/ in the folder, and nothing is deleted. A damaged journal is written anew from what " +
          "is whole, and the folder becomes another disk. A repair that is killed can be run again. Copy the folder first: " +
          "a copy that is whole is better than any repair.",
      ].join("\n"),
    )
    .argument("<folder>", "the data folder")
    .option("--accept-loss", "do it")
    .option("--new-disk-id", "make a copied folder another disk and another node, so that both can run")
    .option("--alone", "make it leave its cluster with what it has: when a majority of the others is lost for good")
    .addHelpText(
      "after",
      `
Examples:
  tailrace repair /var/lib/tailrace
  tailrace repair /var/lib/tailrace --accept-loss
  cp -a /var/lib/tailrace /tmp/second && tailrace repair /tmp/second --new-disk-id
  tailrace repair /var/lib/tailrace --alone
${exitCodeHelp}`,
    )
    .action(async (folder: string, options: RepairOptions) => {
      const { repairFolder } = await import("./offline/repair.ts");
      ended(await repairFolder(folder, options));
    });
}

/** Adds `inspect`. */
export function addInspect(program: Command, ended: Ended): void {
  program
    .command("inspect")
    .summary("show what is in a stopped node's data folder")
    .description(
      [
        "Shows what is in a data folder that no node has open, and changes nothing in it.",
        "",
        "Tells of its id, of the journal's files and what they hold, and of each stream's log. With --stream of one log: base, " +
          "end, mark, vote, voters, segments, checkpoints, and what the last one says of settings, producers and fence. With " +
          "--batch of one batch: its header, and what is in it.",
      ].join("\n"),
    )
    .argument("<folder>", "the data folder")
    .option("--stream <name>", "one stream, by name or id")
    .option("--batch <index>", "one batch of that stream", parseOffset)
    .option("--frames", "each frame of the journal")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
Examples:
  tailrace inspect /var/lib/tailrace
  tailrace inspect /var/lib/tailrace --stream orders
  tailrace inspect /var/lib/tailrace --stream orders --batch 7 --json | jq .digest
${exitCodeHelp}`,
    )
    .action(async (folder: string, options: InspectOptions) => {
      const { inspectFolder } = await import("./offline/inspect.ts");
      ended(await inspectFolder(folder, options));
    });
}
