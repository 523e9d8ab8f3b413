/**
 * Runs commands of tlsboot one after the other in one process, which takes a tenth of the time of a process for each.
 * Each line on stdin is a JSON array of arguments, or `stop` or `end`, which stop a server or wait until it ends by
 * itself. Each answer is a line of JSON with the output of the command and, if it has ended, its exit code. The answer
 * for a server comes when it is up.
 */
import process from "node:process";
import { createInterface } from "node:readline";
// Loaded here, before the disk fails.
import "../../cli/run.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { type Running, startCaptured } from "./child.ts";

const IS_UP = /tlsboot is up at https:\S+[^]*Next, in another terminal|tlsboot serves https:/;
/** The longest wait for a server that ends by itself. */
const END_TIMEOUT_MS = 60_000;
const IO_OPTIONS = {
  cwd: "/",
  clock: createSystemClock(),
  random: createSystemRandom(),
  versions: process.versions as Readonly<Record<string, string>>,
};

let running: Running | undefined;
for await (const line of createInterface({ input: process.stdin })) {
  let code: number | undefined;
  if (line === "stop" || line === "end") {
    const timer = setTimeout(() => running?.kill("SIGTERM"), line === "stop" ? 0 : END_TIMEOUT_MS);
    code = (await running?.finished())?.code;
    clearTimeout(timer);
  } else {
    running = startCaptured(JSON.parse(line), IO_OPTIONS);
    // Never resolves if the command ends first.
    const isUp = running.waitFor(IS_UP, 2 ** 31 - 1).then(() => undefined, () => new Promise<never>(() => {}));
    code = await Promise.race([running.finished().then((done) => done.code), isUp]);
  }
  process.stdout.write(`${JSON.stringify({ code, stdout: running?.stdout(), stderr: running?.stderr() })}\n`);
}
process.exit(0);
