/** How the demo tells its story: numbered steps, the command that does the same, answers indented below. */
import type { Io } from "../io.ts";
import { createStyle } from "../output/style.ts";

/** Tells the story on stdout. */
export interface Narrator {
  /** Starts a step; waits for Enter first when the teacher wants it so. */
  step(title: string, signal: AbortSignal): Promise<void>;
  /** The command that does the same by hand. */
  command(text: string): void;
  /** What a program or server answered, as it is. */
  answer(text: string): void;
  /** A fact that was checked. */
  good(text: string): void;
  say(text: string): void;
}

/** Makes a narrator; colour and waiting follow the terminal and the flags. */
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
