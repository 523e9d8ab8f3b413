/** Escapes text from objects, servers and files, which is not trusted: a terminal must not act on it. */
import { escapeText, escapeUnseen } from "../../core/lib/printable.ts";
import type { OutputStream } from "../io.ts";

/** The control sequences that this program writes to terminals: the colours of `layout.ts`, and erasing a line. */
// deno-lint-ignore no-control-regex -- the sequences begin with ESC
const OWN = /(\x1b\[(?:0|1|2|31|32|33|36)m|\r\x1b\[2K)/;

/** The control sequence that erases the current line and moves the cursor to its beginning. */
export const ERASE_LINE = "\r\x1b[2K";

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Escapes text for an HTML document, including attributes. */
export function escapeHtml(text: string): string {
  return escapeUnseen(text).replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}

interface OutputStreams {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
}

/**
 * Wraps both streams so that only our own control sequences reach a terminal. This is the last line of defence, whatever a
 * command writes. stdout is not changed if it is a file or a pipe, because it may be data. A transient line on stderr is
 * erased before anything else is written to the terminal, so that no other output follows a spinner on its line.
 */
export function guardStreams({ stdout, stderr }: OutputStreams): OutputStreams {
  let isTransientDrawn = false;
  const erase = (): void => {
    // In the background the line has the shell's prompt.
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
