/** A process as `Io`: streams, environment, signals, exit. `main.ts` hands the process in. */
import type { WriteStream } from "node:tty";
import { AppError, messageOf } from "../core/errors.ts";
import { EXIT } from "./exit_code.ts";
import type { InputStream, Io, OutputStream } from "./io.ts";
import { readHidden } from "./hidden_input.ts";
import { createSystemClock, createSystemRandom } from "./system.ts";

type Process = NodeJS.Process;

/** Runs the program in a process and ends it with the exit code. A second SIGINT or SIGTERM ends it at once. */
export function runProcess(
  process: Process,
  run: (argv: readonly string[], io: Io, signal: AbortSignal) => Promise<number>,
): void {
  const interruption = new AbortController();
  const onSignal = (): void => {
    if (interruption.signal.aborted) process.exit(EXIT.interrupted);
    interruption.abort(new AppError("aborted", "interrupted"));
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  for (const stream of [process.stdout, process.stderr]) {
    // `tlsboot get csr | head`: nobody reads on, so there is nothing left to do.
    stream.on("error", (error: NodeJS.ErrnoException) => endUnwritten(process, error));
  }
  run(process.argv.slice(2), createIo(process), interruption.signal).then((code) => {
    // A stream that is broken may never call back; the process then ends by itself, with this code.
    process.exitCode = code;
    // Once what was written has left; connections kept open must not keep the process.
    process.stdout.write("", (error) => {
      if (error !== null && error !== undefined) endUnwritten(process, error);
      process.stderr.write("", () => process.exit(code));
    });
  });
}

/** An answer that did not get through is a failure: the file behind `>` is not what it seems. */
function endUnwritten(process: Process, error: NodeJS.ErrnoException): never {
  if (error.code === "EPIPE") process.exit(EXIT.done);
  process.stderr.write(`tlsboot: error: cannot write the answer: ${error.message}\n`);
  process.exit(EXIT.failed);
}

function createIo(process: Process): Io {
  return {
    stdin: createInput(() => process.stdin),
    stdout: createOutput(process.stdout),
    stderr: createOutput(process.stderr),
    env: process.env,
    cwd: process.cwd(),
    execPath: process.execPath,
    versions: process.versions,
    clock: createSystemClock(),
    random: createSystemRandom(),
  };
}

function createOutput(stream: WriteStream): OutputStream {
  return {
    write(text) {
      try {
        stream.write(text);
      } catch (cause) {
        // Deno writes at once, and says at once that the disk is full.
        throw new AppError("io", `cannot write the answer: ${messageOf(cause)}`, { cause });
      }
    },
    isTerminal: stream.isTTY === true,
    // Asked each time: windows are resized.
    get columns() {
      return stream.isTTY === true ? stream.columns : undefined;
    },
  };
}

/** Most commands never ask for it, and only making the stream takes longer than many of them. */
function createInput(open: () => Process["stdin"]): InputStream {
  let buffered = "";
  let isAtEnd = false;
  async function readMore(signal: AbortSignal): Promise<void> {
    const chunk = await nextChunk(open(), signal);
    if (chunk === undefined) isAtEnd = true;
    else buffered += chunk;
  }
  return {
    get isTerminal() {
      return open().isTTY === true;
    },
    async readAll(signal) {
      while (!isAtEnd) await readMore(signal);
      const text = buffered;
      buffered = "";
      return text;
    },
    async readLine(signal) {
      while (!buffered.includes("\n") && !isAtEnd) await readMore(signal);
      if (buffered === "") return undefined;
      const [line = "", ...rest] = buffered.split("\n");
      buffered = rest.join("\n");
      return line.replace(/\r$/, "");
    },
    readHidden: (signal) => readHidden(open(), signal),
  };
}

/** The next piece of text; undefined at the end. The stream is paused in between, so that it does not keep the process. */
function nextChunk(stream: Process["stdin"], signal: AbortSignal): Promise<string | undefined> {
  signal.throwIfAborted();
  stream.setEncoding("utf8");
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      stream.pause();
      stream.off("data", onChunk).off("end", onEnd).off("error", onError);
      signal.removeEventListener("abort", onAbort);
      settle();
    };
    const onChunk = (chunk: string): void => finish(() => resolve(chunk));
    const onEnd = (): void => finish(() => resolve(undefined));
    const onError = (error: Error): void => finish(() => reject(error));
    const onAbort = (): void => finish(() => reject(signal.reason));
    stream.on("data", onChunk).on("end", onEnd).on("error", onError);
    signal.addEventListener("abort", onAbort, { once: true });
    stream.resume();
  });
}
