/**
 * Runs commands of tlsboot one after the other in one process, which takes a tenth of the time of a process for each. A
 * line on stdin is a JSON array of arguments; the answer is a line of JSON with what the command printed, and its exit code
 * once it has ended. A server is answered when it is up: then the line `stop` stops it, and `end` waits until it ends by
 * itself.
 */
import process from "node:process";
import { createInterface } from "node:readline";
// Loaded before the disk fails.
import "../../cli/run.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { type Running, startCaptured } from "./child.ts";

const IS_UP = /tlsboot is up at https:\S+[^]*Next, in another terminal|tlsboot serves https:/;
/** The longest time until a server ends by itself. */
const ENDS_WITHIN_MS = 60_000;
const WORLD = {
  cwd: "/",
  clock: createSystemClock(),
  random: createSystemRandom(),
  versions: process.versions as Readonly<Record<string, string>>,
};

let running: Running | undefined;
for await (const line of createInterface({ input: process.stdin })) {
  let code: number | undefined;
  if (line === "stop" || line === "end") {
    const timer = setTimeout(() => running?.kill("SIGTERM"), line === "stop" ? 0 : ENDS_WITHIN_MS);
    code = (await running?.finished())?.code;
    clearTimeout(timer);
  } else {
    running = startCaptured(JSON.parse(line), WORLD);
    // A command that ends is never up.
    const isUp = running.waitFor(IS_UP, 2 ** 31 - 1).then(() => undefined, () => new Promise<never>(() => {}));
    code = await Promise.race([running.finished().then((done) => done.code), isUp]);
  }
  process.stdout.write(`${JSON.stringify({ code, stdout: running?.stdout(), stderr: running?.stderr() })}\n`);
}
process.exit(0);
