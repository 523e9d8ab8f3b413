/** Escapes text from objects, servers and files, which are not trusted: a terminal must not execute what it prints. */
import { escapeText, escapeUnseen } from "../../core/lib/printable.ts";
import type { OutputStream } from "../io.ts";

/** The sequences that this program writes to terminals: the colours of `style.ts`, and the erasing of a line by progress. */
// deno-lint-ignore no-control-regex -- the sequences begin with ESC
const OWN = /(\x1b\[(?:0|1|2|31|32|33|36)m|\r\x1b\[2K)/;

/** The sequence that erases the line of the cursor and returns to its beginning. */
export const ERASE_LINE = "\r\x1b[2K";

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Escapes text in an HTML document, also in an attribute. */
export function escapeHtml(text: string): string {
  return escapeUnseen(text).replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}

/** The streams of a program for its answer and for everything else. */
export interface OutputStreams {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
}

/**
 * Wraps both streams so that no control sequence but our own reaches a terminal: the last line of defence, whatever a command
 * writes. Output of stdout to a file or a pipe is not changed, because it may be data. A transient line on stderr is erased
 * before anything else is written to the terminal, so that a log line or an answer never continues a spinner.
 */
export function guardStreams({ stdout, stderr }: OutputStreams): OutputStreams {
  let isTransientDrawn = false;
  const erase = (): void => {
    // In the background the line belongs to the shell's prompt.
    if (isTransientDrawn && stderr.isForeground !== false) stderr.write(ERASE_LINE);
    isTransientDrawn = false;
  };
  const guard = (
    stream: OutputStream,
    isData: () => boolean,
    more: Pick<OutputStream, "writeTransient"> = {},
  ): OutputStream => ({
    write(text) {
      if (stream.isTerminal) erase();
      stream.write(isData() ? text : withoutForeign(text));
    },
    get isTerminal() {
      return stream.isTerminal;
    },
    get isForeground() {
      return stream.isForeground;
    },
    get columns() {
      return stream.columns;
    },
    ...more,
  });
  return {
    stdout: guard(stdout, () => !stdout.isTerminal),
    stderr: guard(stderr, () => false, {
      writeTransient(line) {
        erase();
        if (line === "") return;
        stderr.write(withoutForeign(line));
        isTransientDrawn = true;
      },
    }),
  };
}

function withoutForeign(text: string): string {
  return text.split(OWN).map((part, index) => index % 2 === 1 ? part : escapeText(part)).join("");
}
