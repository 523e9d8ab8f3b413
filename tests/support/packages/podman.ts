/** A podman whose images, volumes and containers are in a folder, and go with it. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Finished, type Running, runProgram, start } from "../child.ts";

/**
 * Settings for machines that are containers themselves: runc accepts their control groups, explicit limits need no right
 * to raise any, and the storage needs no overlay.
 */
const CONTAINERS_CONF = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`;

/** A running podman. Disposing it ends its containers and removes its images. */
export interface Podman extends AsyncDisposable {
  /** The folder in which scripts run. */
  readonly work: string;
  /** Runs shell lines in which `podman` is this one. */
  run(script: string): Promise<Finished>;
  /** Starts podman with some arguments. */
  start(args: readonly string[]): Running;
}

/** Prepares a podman in an empty folder. Needs root. */
export async function createPodman(folder: string): Promise<Podman> {
  const [work, bin, runRoot, volumes] = ["work", "bin", "run", "volumes"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ];
  for (const path of [work, bin, runRoot, volumes]) await mkdir(path, { recursive: true });
  await writeFile(join(folder, "containers.conf"), `${CONTAINERS_CONF}volume_path = "${volumes}"\n`);
  const options = ["--root", join(folder, "images"), "--runroot", runRoot, "--storage-driver", "vfs"];
  await writeFile(join(bin, "podman"), `#!/bin/sh\nexec /usr/bin/podman ${options.join(" ")} "$@"\n`, { mode: 0o755 });
  const env = { CONTAINERS_CONF: join(folder, "containers.conf"), PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin` };
  const run = (script: string) => runProgram("bash", ["-c", script], { cwd: work, env });
  return {
    work,
    run,
    start: (args) => start(join(bin, "podman"), args, { cwd: work, env }),
    async [Symbol.asyncDispose]() {
      await run("podman rm --all --force --time 5; podman volume rm --all --force; podman rmi --all --force");
    },
  };
}
