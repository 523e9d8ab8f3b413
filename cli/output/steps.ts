/** Steps of something that waits: a line each on stderr, and on a terminal a spinner behind the last one. */
import { escapeValue } from "./escape.ts";
import { type ProgressIo, type ProgressLine, startProgress } from "./progress.ts";

/** Steps as they happen. Disposing it ends the spinner. */
export interface Steps extends Disposable {
  step(text: string): void;
}

/** Starts with nothing shown. */
export function createSteps(io: ProgressIo): Steps {
  let spinner: ProgressLine | undefined;
  return {
    step(text) {
      spinner?.[Symbol.dispose]();
      io.stderr.write(`${escapeValue(text)}\n`);
      spinner = startProgress(io, "waiting");
    },
    [Symbol.dispose]() {
      spinner?.[Symbol.dispose]();
    },
  };
}
