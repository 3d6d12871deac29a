/**
 * A script's text: a comment that says what it shows, then blocks of commands, each with what happened below `----`.
 * @module
 */

/** One line of commands; a comment has none. */
export interface Line {
  readonly text: string;
  readonly commands: readonly string[];
}

/** Commands, and what they said. */
export interface Block {
  readonly lines: readonly Line[];
  readonly said: readonly string[];
}

/** A whole script. */
export interface Script {
  /** The first sentence of its comment. */
  readonly title: string;
  readonly blocks: readonly Block[];
}

/** Reads a script. Blocks are parted by empty lines. */
export function readScript(text: string): Script {
  const blocks = text
    .trim()
    .split(/\n\n+/)
    .map((block) => {
      const [commands = "", said = ""] = block.split(/^----$/m);
      return { lines: commands.trim().split("\n").map(readLine), said: said.trim().split("\n").filter(Boolean) };
    });
  const comment = blocks[0]?.lines
    .filter(({ text: line }) => line.startsWith("#"))
    .map(({ text: line }) => line.slice(2));
  const title = /^(?:\d+\. )?.*?[.:](?=\s|$)/.exec(comment?.join(" ") ?? "")?.[0].slice(0, -1);
  if (title === undefined) throw new Error("a script begins with a comment that says what it shows");
  return { title, blocks };
}

/** Writes it. */
export function writeScript({ blocks }: Script): string {
  const texts = blocks.map(({ lines, said }) => {
    const commands = lines.map(({ text }) => text).join("\n");
    return said.length > 0 ? `${commands}\n----\n${said.join("\n")}` : commands;
  });
  return `${texts.join("\n\n")}\n`;
}

function readLine(text: string): Line {
  if (text.startsWith("#")) return { text, commands: [] };
  return { text, commands: text.split(";").map((command) => command.trim()) };
}

/** A command's words: `name=value` apart from the rest. */
export interface Words {
  readonly words: readonly string[];
  readonly options: ReadonlyMap<string, string>;
}

/** Takes a command apart. */
export function parseCommand(command: string): Words {
  const words: string[] = [];
  const options = new Map<string, string>();
  for (const [word] of command.matchAll(/"[^"]*"|[^\s"]+/g)) {
    const [, name, value] = /^(\w+)=(.+)$/.exec(word) ?? [];
    if (name !== undefined && value !== undefined) options.set(name, value);
    else words.push(word);
  }
  return { words, options };
}

/** `(1,2,3)`, or one name. */
export function list(text = ""): string[] {
  return text
    .replace(/[()]/g, "")
    .split(",")
    .filter((name) => name !== "");
}

/** A time, as `1500ms` or `2s`. */
export function milliseconds(text: string): number {
  const [, number, unit] = /^([\d.]+)(ms|s)$/.exec(text) ?? [];
  if (number === undefined) throw new Error(`"${text}" is no time`);
  return Number(number) * (unit === "s" ? 1000 : 1);
}
