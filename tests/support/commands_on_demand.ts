/**
 * Runs commands of tlsboot one after the other in one process, which takes a tenth of the time of a process for each. A
 * line on stdin is a JSON array of arguments; the answer is a line of JSON with what the command printed, and its exit code
 * once it has ended. A server is answered when it is up: then the line `stop` stops it, and `end` waits until it ends by
 * itself.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { run } from "../../cli/run.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { createCapturedIo } from "./captured_io.ts";

const IS_UP = /tlsboot is up at https:\S+[^]*Next, in another terminal|tlsboot serves https:/;
/** The longest time until a server ends by itself. */
const ENDS_WITHIN_MS = 60_000;

/** A command that runs, and how to stop it. */
interface Current {
  readonly answer: (code?: number) => string;
  readonly ended: Promise<number>;
  readonly stop: AbortController;
}

function begin(args: readonly string[]): Current & { readonly isUp: Promise<void> } {
  const captured = createCapturedIo({
    cwd: "/",
    clock: createSystemClock(),
    random: createSystemRandom(),
    versions: process.versions as Readonly<Record<string, string>>,
  });
  const { promise: isUp, resolve } = Promise.withResolvers<void>();
  const watch = (stream: typeof captured.stdout): typeof captured.stdout => ({
    ...stream,
    write(text) {
      stream.write(text);
      if (IS_UP.test(captured.stdoutText() + captured.stderrText())) resolve();
    },
  });
  const io = { ...captured, stdout: watch(captured.stdout), stderr: watch(captured.stderr) };
  const stop = new AbortController();
  return {
    answer: (code) => JSON.stringify({ code, stdout: captured.stdoutText(), stderr: captured.stderrText() }),
    ended: run(args, io, stop.signal),
    stop,
    isUp,
  };
}

async function main(): Promise<void> {
  let current: Current | undefined;
  for await (const line of createInterface({ input: process.stdin })) {
    let code: number | undefined;
    if (line === "stop" || line === "end") {
      const timer = setTimeout(() => current?.stop.abort(), line === "stop" ? 0 : ENDS_WITHIN_MS);
      code = await current?.ended;
      clearTimeout(timer);
    } else {
      const begun = begin(JSON.parse(line));
      current = begun;
      code = await Promise.race([begun.ended, begun.isUp.then(() => undefined)]);
    }
    process.stdout.write(`${current?.answer(code)}\n`);
  }
}

await main();
process.exit(0);
