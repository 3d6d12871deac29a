/**
 * `tailrace cluster` and what is below it: flags and help. What they do is imported when they run.
 * @module
 */
import type { Command } from "commander";
import type { ClusterOptions, RemoveOptions, StatusOptions, TransferOptions } from "./cluster.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { type Ended, exitCodeHelp, serverOption } from "./options.ts";

/** Adds `cluster` and what is below it. */
export function addCluster(program: Command, ended: Ended): void {
  const cluster = program
    .command("cluster")
    .summary("look at the nodes of a cluster, and say who votes and who leads")
    .description("Looks at the nodes of a cluster, and says who votes and who leads. Any node may be asked.")
    .addHelpText(
      "after",
      `
Examples:
  tailrace cluster status
  tailrace cluster status --watch
  tailrace cluster members
  tailrace cluster add n4
  tailrace cluster remove n2
  tailrace cluster transfer --from n2
${exitCodeHelp}`,
    );
  addStatus(cluster, ended);
  cluster
    .command("members")
    .summary("list the nodes and where they are found")
    .description("Lists the nodes that are known, such as are gone too, and their addresses.")
    .addOption(serverOption())
    .option("--json", "print JSON, an object a line")
    .addHelpText("after", `\nExample:\n  tailrace cluster members --json | jq -r .apiUrl\n${exitCodeHelp}`)
    .action(async (options: ClusterOptions) => {
      const { clusterMembers } = await import("./cluster.ts");
      ended(await clusterMembers(options));
    });
  addTransfer(cluster, ended);
  cluster
    .command("add")
    .summary("count a node's vote")
    .description(
      [
        "Counts a node's vote from now on: streams may be placed on it.",
        "",
        "Nodes that join come to vote by themselves up to a number (--voters-wanted of serve). This is for more of them, and " +
          "for one that was removed. It must be up, and have caught up with the cluster's own log.",
      ].join("\n"),
    )
    .argument("<node>", "id of the node")
    .addOption(serverOption())
    .option("--json", "print JSON")
    .addHelpText("after", `\nExample:\n  tailrace cluster add n4\n${exitCodeHelp}`)
    .action(async (node: string, options: ClusterOptions) => {
      const { addVoter } = await import("./cluster.ts");
      ended(await addVoter(node, options));
    });
  addRemove(cluster, ended);
}

function addStatus(cluster: Command, ended: Ended): void {
  cluster
    .command("status")
    .summary("say what is wrong with the cluster, and what to do")
    .description(
      [
        "Says what is wrong with the cluster and what to do, then lists its nodes: what each leads and holds, and how far it " +
          "is behind.",
        "",
        "The node that is asked tells of the others, and each of those is asked too, since only a leader knows who is behind " +
          "in what it leads. Ends with 1 where there is a problem, with 0 where there are only warnings.",
      ].join("\n"),
    )
    .addOption(serverOption())
    .option("--watch", "go on, and show what changes, until Ctrl-C; with another node when that one goes away")
    .option("--json", "print JSON; with --watch an object a line")
    .addHelpText(
      "after",
      `
Examples:
  tailrace cluster status
  tailrace cluster status --watch
  tailrace cluster status --json | jq -r '.findings[].what'
${exitCodeHelp}`,
    )
    .action(async (options: StatusOptions) => {
      const { clusterStatus } = await import("./cluster.ts");
      ended(await clusterStatus(options));
    });
}

function addTransfer(cluster: Command, ended: Ended): void {
  cluster
    .command("transfer")
    .summary("have other nodes lead")
    .description(
      [
        "Has another node lead a stream, or all that a node leads, or spreads leaders over all nodes.",
        "",
        "No data moves, and appends are held up for some milliseconds. The new leader is the stream's preferred one from then " +
          "on: leadership comes back to it after it was down. When nodes come or go leaders are spread evenly again.",
      ].join("\n"),
    )
    .argument("[stream]", "name of the stream; _meta is the cluster's own log")
    .option("--from <node>", "all that this node leads")
    .option("--spread", "whatever it takes for all nodes to lead about as many streams")
    .option("--to <node>", "the node that is to lead; left out: of those that can, the one that leads the least")
    .addOption(serverOption())
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
Examples:
  tailrace cluster transfer orders --to n2
  tailrace cluster transfer _meta
  tailrace cluster transfer --from n1
  tailrace cluster transfer --spread
${exitCodeHelp}`,
    )
    .action(async (stream: string | undefined, options: TransferOptions) => {
      const given = [stream !== undefined, options.from !== undefined, options.spread === true];
      if (given.filter(Boolean).length !== 1) {
        const message = "give one of a stream, --from and --spread. Add --help to see what there is.";
        throw new CommandError(message, exitCodes.usage);
      }
      if (options.spread && options.to !== undefined) {
        throw new CommandError("--to does not go with --spread. Add --help to see what there is.", exitCodes.usage);
      }
      const { transferLeadership } = await import("./cluster.ts");
      ended(await transferLeadership({ ...options, ...(stream === undefined ? {} : { stream }) }));
    });
}

function addRemove(cluster: Command, ended: Ended): void {
  cluster
    .command("remove")
    .summary("take a node's vote")
    .description(
      [
        "Takes a node's vote. What is placed on it is moved to others then; stop it when status says that it holds nothing.",
        "",
        "It does not come to vote again by itself: tailrace cluster add does that. It is refused where the voters that are " +
          "left would have no majority that is up.",
      ].join("\n"),
    )
    .argument("<node>", "id of the node")
    .option("--force", "although the others can't be seen to be up: if they are not, appends end (see below)")
    .addOption(serverOption())
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
--force is for a node that is lost for good, while another one is away that will come back. It does not help where a
majority of the voters is lost: nobody is left then who may decide.

Examples:
  tailrace cluster remove n2
  tailrace cluster remove n2 --force
${exitCodeHelp}`,
    )
    .action(async (node: string, options: RemoveOptions) => {
      const { removeVoter } = await import("./cluster.ts");
      ended(await removeVoter(node, options));
    });
}
