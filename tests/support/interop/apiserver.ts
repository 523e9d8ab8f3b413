/** A kube-apiserver on an instance's etcd, with the instance's own CA and certificates, as docs/guides/etcd.md starts it. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { peerPath } from "../peers/go.ts";
import { type Child, runProgram, start } from "../child.ts";
import { eventually } from "../eventually.ts";
import { readGuide } from "../guide.ts";
import type { RunningInstance } from "./instance.ts";

/** The etcd servers in docs/guides/etcd.md. */
export const GUIDE_ETCD_SERVERS = "https://etcd-0:2379,https://etcd-1:2379,https://etcd-2:2379";

/**
 * Runs the command of docs/guides/etcd.md in the folder above the data directory, and waits until the server is ready.
 */
export async function startApiserver(
  { dataDir }: Pick<RunningInstance, "dataDir">,
  etcdUrls: string,
  port: number,
  flags: readonly string[] = [],
): Promise<Child> {
  const block = (await readGuide("etcd")).blocks.find((commands) => /^kube-apiserver /m.test(commands));
  assert.ok(block !== undefined, "docs/guides/etcd.md starts a kube-apiserver");
  const typed = block.trimEnd()
    .replace(/^kube-apiserver /m, `exec ${peerPath("kube-apiserver")} `)
    .replace(GUIDE_ETCD_SERVERS, etcdUrls)
    .replaceAll("=pki/", `=${dataDir}/pki/`)
    .replace("--secure-port=6443", `--secure-port=${port}`);
  // Only a loopback address can be advertised here.
  const more = ["--bind-address=127.0.0.1", "--endpoint-reconciler-type=none", ...flags];
  await using stack = new AsyncDisposableStack();
  const line = `set -e\n${typed} ${more.join(" ")}`;
  const running = stack.use(start("bash", ["-c", line], { cwd: dirname(dataDir) }));
  const probe = ["--silent", "--fail", "--cacert", `${dataDir}/pki/ca.crt`, `https://127.0.0.1:${port}/readyz`];
  await eventually("kube-apiserver is ready", async () => {
    assert.equal(running.hasEnded(), false, running.stderr().slice(-4_000));
    return (await runProgram("curl", probe)).code === 0 || undefined;
  });
  // The caller ends it.
  stack.move();
  return running;
}
