/** A shell that runs printed commands word for word, as a user types them. */
import { mkdir, writeFile } from "node:fs/promises";
import process from "node:process";
import { peerPath } from "../peers/go.ts";
import { type Child, type Finished, runProgram, start, succeedProgram, tlsbootCommand } from "../child.ts";
import { findServerPort, type TempFolder } from "../temp.ts";
import { kubeletConfig } from "./kubelet.ts";

/** A shell in a folder, with `tlsboot`, `kubectl` and `kubelet` on its PATH. */
export interface Shell {
  run(line: string): Promise<Finished>;
  /** Runs a line that must succeed, and returns its stdout. */
  succeed(line: string): Promise<string>;
  /** Starts a long-running command with `exec`, so that ending the child ends the program. */
  start(line: string): Child;
}

/** Creates a shell that works in the folder `work` of a temporary folder. */
export async function createShell(folder: TempFolder): Promise<Shell> {
  for (const name of ["bin", "home", "work"]) await mkdir(folder.join(name));
  const [runtime, args] = tlsbootCommand([]);
  await writeCommand(folder, "tlsboot", [runtime, ...args], []);
  await writeCommand(folder, "kubectl", [peerPath("kubectl")], []);
  // Keep the kubelet's files in the folder, and let it start on any machine.
  const config = folder.join("kubelet.json");
  await writeFile(config, kubeletConfig(folder.join("nobody.sock"), await findServerPort()));
  await writeCommand(folder, "kubelet", [peerPath("kubelet")], [
    `--root-dir=${folder.join("kubelet")}`,
    `--config=${config}`,
  ]);
  const options = {
    cwd: folder.join("work"),
    env: { PATH: `${folder.join("bin")}:${process.env["PATH"] ?? ""}`, HOME: folder.join("home"), KUBECONFIG: "" },
  };
  return {
    run: (line) => runProgram("bash", ["-c", line], options),
    succeed: async (line) => (await succeedProgram("bash", ["-c", line], options)).stdout,
    start: (line) => start("bash", ["-c", `exec ${line}`], options),
  };
}

async function writeCommand(
  folder: TempFolder,
  name: string,
  command: readonly string[],
  more: readonly string[],
): Promise<void> {
  const quote = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
  const script = `#!/bin/sh\nexec ${command.map(quote).join(" ")} "$@" ${more.map(quote).join(" ")}\n`;
  await writeFile(folder.join("bin", name), script, { mode: 0o755 });
}
