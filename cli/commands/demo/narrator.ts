/** The output of the demo: numbered steps, the equivalent commands, and indented answers. */
import type { Io } from "../../io.ts";
import { createStyle } from "../../output/style.ts";

/** Prints the demo on stdout. */
export interface Narrator {
  /** Starts a step; with `waitForEnter` it waits for Enter first. */
  step(title: string, signal: AbortSignal): Promise<void>;
  /** Prints the command that does the same by hand. */
  command(text: string): void;
  /** Prints the unchanged answer of a program or server. */
  answer(text: string): void;
  /** Prints a fact that was verified. */
  good(text: string): void;
  /** Prints a line of text. */
  say(text: string): void;
}

/** Creates a narrator; colours depend on the terminal. */
export function createNarrator(io: Io, options: { readonly waitForEnter: boolean }): Narrator {
  const style = createStyle(io.stdout, io.env);
  const write = (text: string): void => io.stdout.write(text);
  let steps = 0;
  return {
    async step(title, signal) {
      if (options.waitForEnter && steps > 0) {
        io.stderr.write("\n(Enter) ");
        await io.stdin.readLine(signal);
      }
      steps += 1;
      write(`\n${style.bold(`${steps}. ${title}`)}\n`);
    },
    command: (text) => write(`   ${style.cyan("$")} ${style.dim(text)}\n`),
    answer: (text) =>
      write(text.replace(/\n$/, "").split("\n").map((line) => `     ${line}`.trimEnd() + "\n").join("")),
    good: (text) => write(`   ${style.green("ok")} ${text}\n`),
    say: (text) => write(text === "" ? "\n" : `   ${text}\n`),
  };
}
