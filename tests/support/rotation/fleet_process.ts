/**
 * Many machines in one process, each of which is a command `bootstrap --rotate-certificates` with separate files and
 * connections. Each line of their output goes to stdout after the name of the machine, and so does the end of a
 * machine.
 * Usage: fleet_process.ts FOLDER BOOTSTRAP_KUBECONFIG COUNT
 */
import { join } from "node:path";
import process from "node:process";
import type { Io, OutputStream } from "../../../cli/io.ts";
import { run } from "../../../cli/run.ts";
import { createSystemClock, createSystemRandom } from "../../../cli/system.ts";

const [folder = "", bootstrapKubeconfig = "", count = "0"] = process.argv.slice(2);
const end = new AbortController();
process.on("SIGTERM", () => end.abort());

function createIo(name: string): Io {
  const stream: OutputStream = {
    write: (text) => void process.stdout.write(text.trimEnd().split("\n").map((one) => `${name}: ${one}\n`).join("")),
    isTerminal: false,
    columns: undefined,
  };
  const nothing = { isTerminal: false, readAll: () => Promise.resolve(""), readLine: () => Promise.resolve(undefined) };
  return {
    stdin: { ...nothing, readHidden: () => Promise.resolve(undefined) },
    stdout: stream,
    stderr: stream,
    env: {},
    cwd: folder,
    execPath: process.execPath,
    versions: process.versions,
    clock: createSystemClock(),
    random: createSystemRandom(),
  };
}

async function runMachine(name: string): Promise<void> {
  const code = await run(
    [
      ...["bootstrap", "--rotate-certificates", "--hostname-override", name],
      ...["--bootstrap-kubeconfig", bootstrapKubeconfig],
      ...["--kubeconfig", join(folder, name, "kubeconfig"), "--cert-dir", join(folder, name, "pki")],
    ],
    createIo(name),
    end.signal,
  );
  if (!end.signal.aborted) process.stdout.write(`${name} has ended with ${code}\n`);
}

const names = Array.from({ length: Number(count) }, (_, index) => `n${index}`);
await Promise.all(names.map(runMachine));
process.exit(0);
