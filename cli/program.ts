/**
 * The program in its process: streams, environment, signals and exit code. Importing this file runs the program; the
 * released file starts with it.
 */
import process from "node:process";
import type { WriteStream } from "node:tty";
import { AppError, messageOf } from "../core/errors.ts";
import { EXIT } from "./exit_code.ts";
import { createSystemHeap } from "./heap.ts";
import { readHidden } from "./hidden_input.ts";
import type { InputStream, Io, OutputStream } from "./io.ts";
import { run } from "./run.ts";
import { createSystemClock, createSystemRandom, isForegroundProcess } from "./system.ts";

type Process = NodeJS.Process;

/** Runs the program in a process and ends it with the exit code. A second SIGINT or SIGTERM ends it at once. */
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
    // A stream that is broken may never call back; the process then ends by itself, with this code.
    process.exitCode = code;
    // Once what was written has left; connections kept open must not keep the process.
    for (const output of outputs) await output.drain();
    process.exit(code);
  });
}

/** An answer that did not get through is a failure: the file behind `>` is not what it seems. */
function endUnwritten(process: Process, error: NodeJS.ErrnoException): never {
  // What failed before has failed.
  if (error.code === "EPIPE") process.exit(process.exitCode ?? EXIT.done);
  process.stderr.write(`tlsboot: error: cannot write the answer: ${error.message}\n`);
  process.exit(EXIT.failed);
}

function createIo(process: Process, stdout: OutputStream, stderr: OutputStream): Io {
  const heap = createSystemHeap(process);
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
    ...(heap === undefined ? {} : { heap }),
  };
}

/** An output of the process; the stream is made when it is first used, because that takes a good part of a short run. */
function createOutput(
  process: Process,
  name: "stdout" | "stderr",
): OutputStream & { readonly drain: () => Promise<void> } {
  let opened: WriteStream | undefined;
  const open = (): WriteStream => {
    if (opened !== undefined) return opened;
    opened = process[name];
    // `tlsboot get csr | head`: nobody reads on, so there is nothing left to do.
    opened.on("error", (error: NodeJS.ErrnoException) => endUnwritten(process, error));
    return opened;
  };
  return {
    write(text) {
      try {
        open().write(text);
      } catch (cause) {
        // Deno writes at once, and says at once that the disk is full.
        throw new AppError("io", `cannot write the answer: ${messageOf(cause)}`, { cause });
      }
    },
    get isTerminal() {
      return open().isTTY === true;
    },
    // Asked each time: a shell moves jobs to the background and back.
    get isForeground() {
      return open().isTTY === true ? isForegroundProcess() : undefined;
    },
    // Asked each time: windows are resized.
    get columns() {
      return open().isTTY === true ? open().columns : undefined;
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

/** Most commands never ask for it, so the stream is made when one does. */
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

runProcess(process);
