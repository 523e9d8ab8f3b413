/** The story in the terminal: numbered steps, their commands, and the indented answers, in 80 columns. */
import type { Io } from "../../io.ts";
import { type Audience, findChapter, type Pace, STEPS, type StepText } from "../../../ui/story/chapters.ts";
import { createStyle, wrapWords } from "../../output/layout.ts";

/** The width of a plain terminal, to which lines are wrapped at spaces. */
const COLUMNS = 80;
/** The indentation of everything but titles. */
const INDENT = "   ";

/** The indentation of the second and the following lines of a command. */
const CONTINUED = "       ";

export const ANSWER_COLUMNS = COLUMNS - INDENT.length;

/** Creates the audience that prints to stdout, in colour on a terminal. `explain` adds the reasons for each step. */
export function createNarrator(io: Pick<Io, "stdout" | "env">, options: { readonly explain: boolean }): Audience {
  const style = createStyle(io.stdout, io.env);
  const write = (text: string): void => io.stdout.write(text);
  let steps = 0;
  let chapter = "";
  return (event) => {
    switch (event.kind) {
      case "step": {
        const { title } = findChapter(event.id);
        if (title !== chapter) write(`\n${style.bold(style.cyan(title))}\n`);
        chapter = title;
        steps += 1;
        write(`\n${style.bold(`${steps}. ${STEPS[event.id].title(event.cast)}`)}\n`);
        if (options.explain) { for (const text of explain(STEPS[event.id])) write(`${text}\n`); }
        return;
      }
      case "command": {
        const [first, ...more] = wrapCommand(event.text);
        write(
          [`${INDENT}${style.cyan("$")} ${style.dim(first ?? "")}\n`, ...more.map((text) => `${style.dim(text)}\n`)]
            .join(""),
        );
        return;
      }
      case "answer":
        return write(
          event.text.replace(/\n$/, "").split("\n")
            .flatMap((line) => wrapLine(line, INDENT)).map((line) => `${line}\n`).join(""),
        );
      case "fact": {
        const mark = event.isVerified === true ? `${style.green("ok")} ` : "";
        const [first = "", ...more] = wrapLine(`${event.isVerified === true ? "ok " : ""}${event.text}`, INDENT);
        return write([first.replace(/^ *(ok )?/, `${INDENT}${mark}`), ...more].map((line) => `${line}\n`).join(""));
      }
      case "end":
        return write("\n");
      default:
        // The other events are for the picture. The terminal shows the commands and their answers.
        return;
    }
  };
}

/** Creates the pace of `--step`, which waits for Enter before each step but the first. It stops waiting when stdin ends. */
export function createEnterPace(io: Pick<Io, "stdin" | "stderr">): Pace {
  let isFirst = true;
  return {
    async wait(signal) {
      if (!isFirst) {
        io.stderr.write("\n(Enter) ");
        await io.stdin.readLine(signal);
      }
      isFirst = false;
    },
  };
}

function explain({ happens, why, without }: StepText): readonly string[] {
  const parts = [["What happens", happens], ["Why", why], ["Without it", without]] as const;
  return [...parts.flatMap(([title, text]) => wrapLine(`${title}: ${text}`, INDENT)), ""];
}

/** Wraps a line at spaces. Continuation lines are indented by two more characters. */
function wrapLine(line: string, indent: string): readonly string[] {
  const [own = ""] = /^ */.exec(line) ?? [];
  if (indent.length + line.length <= COLUMNS) return [`${indent}${line}`.trimEnd()];
  return wrapWords(line.trim(), COLUMNS, `${indent}${own}  `, `${indent}${own}`);
}

/** Wraps a command so that it can be copied with its line breaks. Only the lines after the first are indented. */
function wrapCommand(text: string): readonly string[] {
  if (INDENT.length + 2 + text.length <= COLUMNS) return [text];
  // Keep a flag and its value on one line if they fit, and never split a quoted word.
  const words = (text.match(/(?:--?[a-z][\w-]* (?!-))?(?:'[^']*'|"[^"]*"|[^ '"])+|> [^ ]+/g) ?? [text])
    .flatMap((word) => CONTINUED.length + word.length + 2 > COLUMNS ? word.split(" ") : [word]);
  const lines = wrapWords(words, COLUMNS - 2, CONTINUED, `${INDENT}  `);
  return lines.map((line, index) => {
    const shown = index === lines.length - 1 ? line : `${line} \\`;
    return index === 0 ? shown.trimStart() : shown;
  });
}
