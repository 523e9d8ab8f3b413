/**
 * The program in its process: streams, environment, signals and exit code. Importing this file runs the program; the
 * released file starts with it.
 */
import process from "node:process";
import type { WriteStream } from "node:tty";
import { AppError, getErrorMessage } from "../core/errors.ts";
import { EXIT } from "./exit_code.ts";
import type { InputStream, Io, OutputStream } from "./io.ts";
import { run } from "./run.ts";
import { createSystemClock, createSystemHeap, createSystemRandom, isForegroundProcess } from "./system.ts";
import { readHidden } from "./terminal.ts";

type Process = NodeJS.Process;

/** Runs the program and ends the process with the exit code. A second SIGINT or SIGTERM ends the process at once. */
function runProcess(process: Process): void {
  const interruption = new AbortController();
  const onSignal = (): void => {
    if (interruption.signal.aborted) process.exit(EXIT.interrupted);
    interruption.abort(new AppError("aborted", "interrupted"));
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  const outputs = [createOutput(process, "stdout"), createOutput(process, "stderr")] as const;
  run(process.argv.slice(2), createIo(process, ...outputs), interruption.signal).then(async (code) => {
    // A broken stream may never call back. The process then ends by itself, with this code.
    process.exitCode = code;
    // Idle connections would keep the process alive, so it is ended as soon as all output is written.
    for (const output of outputs) await output.drain();
    process.exit(code);
  });
}

/** Ends with a failure when the answer could not be written: the file behind `>` is not complete. */
function endUnwritten(process: Process, error: NodeJS.ErrnoException): never {
  // EPIPE means that the reader has seen enough; an exit code that was set before stays.
  if (error.code === "EPIPE") process.exit(process.exitCode ?? EXIT.done);
  process.stderr.write(`tlsboot: error: cannot write the answer: ${error.message}\n`);
  process.exit(EXIT.failed);
}

function createIo(process: Process, stdout: OutputStream, stderr: OutputStream): Io {
  return {
    stdin: createInput(() => process.stdin),
    stdout,
    stderr,
    env: process.env,
    cwd: process.cwd(),
    execPath: process.execPath,
    versions: process.versions,
    clock: createSystemClock(),
    random: createSystemRandom(),
    heap: createSystemHeap(process),
  };
}

/**
 * An output of the process. The stream is created on first use, because creating it is a considerable part of a short
 * run.
 */
function createOutput(
  process: Process,
  name: "stdout" | "stderr",
): OutputStream & { readonly drain: () => Promise<void> } {
  let opened: WriteStream | undefined;
  const open = (): WriteStream => {
    if (opened !== undefined) return opened;
    opened = process[name];
    // With `tlsboot get csr | head` the reader ends first, and there is nothing more to do.
    opened.on("error", (error: NodeJS.ErrnoException) => endUnwritten(process, error));
    return opened;
  };
  return {
    write(text) {
      try {
        open().write(text);
      } catch (cause) {
        // Deno writes synchronously and throws at once when the disk is full.
        throw new AppError("io", `cannot write the answer: ${getErrorMessage(cause)}`, { cause });
      }
    },
    get isTerminal() {
      return open().isTTY === true;
    },
    // Read each time, because a shell moves jobs to the background and back.
    get isForeground() {
      return open().isTTY === true ? isForegroundProcess() : undefined;
    },
    // Read each time, because windows are resized.
    get columns() {
      // Some terminals do not know their width and report 0.
      return open().isTTY === true ? open().columns || undefined : undefined;
    },
    drain() {
      return new Promise((resolve) => {
        if (opened === undefined) return resolve();
        opened.write("", (error) => {
          if (error !== null && error !== undefined) endUnwritten(process, error);
          resolve();
        });
      });
    },
  };
}

/** The input of the process. Most commands never read it, so the stream is opened on first use. */
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

/** Reads the next chunk of text; undefined at the end. The stream is paused in between and does not keep the process alive. */
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

runProcess(process);
