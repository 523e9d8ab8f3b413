/** The guide for containers, typed unchanged with podman and the released file. */
import assert from "node:assert/strict";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { hostFile } from "../support/binary/released.ts";
import { runProgram } from "../support/child.ts";
import { readGuide } from "../support/guide.ts";
import { createTempFolder, findServerPort, type TempFolder } from "../support/temp.ts";

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

/** Imports an image under the name of the guide's base image, with the libraries of this machine in it. */
const IMPORT_BASE = `set -e
mkdir -p base/tmp base/usr/local/bin
for library in $(ldd tlsboot | grep -o '/[^ ]*'); do
  mkdir -p "base$(dirname "$library")" && cp -L "$library" "base$library"
done
tar -C base -c . | podman import - docker.io/library/debian:12-slim
`;

test("containers: podman runs the server and a machine from an image of the file", async () => {
  await using folder = await createTempFolder();
  await using podman = await createPodman(folder);
  const base = await podman.run(IMPORT_BASE);
  assert.equal(base.code, 0, base.stderr);
  const port = await findServerPort();
  const guide = await readGuide("containers");
  const script = guide.blocks.join("\n")
    .replace("up --data-dir /data", `up --data-dir /data --secure-port ${port}`)
    // A person would check until the request is there.
    .replace(
      /^(podman exec tlsboot tlsboot get csr --data-dir \/data) +#.*$/m,
      "until $1 | grep pending; do sleep 1; done",
    );
  const { code, stdout, stderr } = await podman.run(`set -e\n${script}`);
  assert.equal(code, 0, `${script}\n--- stdout\n${stdout}\n--- stderr\n${stderr}`);
  assert.match(stdout, /^0$/m);
  assert.match(stdout, /system:node:n1/);
});

interface Podman extends AsyncDisposable {
  run(script: string): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>;
}

/** Prepares a folder with the file, and a podman with its images and containers in the same folder. */
async function createPodman(folder: TempFolder): Promise<Podman> {
  const [work, bin] = [folder.join("work"), folder.join("bin")];
  for (const path of [work, bin, folder.join("run")]) await mkdir(path);
  await copyFile(hostFile(), folder.join("work", "tlsboot"));
  await writeFile(folder.join("containers.conf"), CONTAINERS_CONF);
  const options = ["--root", folder.join("images"), "--runroot", folder.join("run"), "--storage-driver", "vfs"];
  await writeFile(folder.join("bin", "podman"), `#!/bin/sh\nexec /usr/bin/podman ${options.join(" ")} "$@"\n`, {
    mode: 0o755,
  });
  const env = { CONTAINERS_CONF: folder.join("containers.conf"), PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin` };
  const run = (script: string) => runProgram("bash", ["-c", script], { cwd: work, env });
  return {
    run,
    async [Symbol.asyncDispose]() {
      await run("podman rm --all --force --time 5; podman rmi --all --force");
    },
  };
}
