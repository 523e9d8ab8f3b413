/** `tlsboot bootstrap --exec` and `--signal`. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { test } from "node:test";
import { runTlsboot, start, startTlsboot } from "../support/child.ts";
import { startInstance } from "../support/instance_process.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

function bootstrapArgs(folder: TempFolder, ...more: readonly string[]): readonly string[] {
  return [
    ...["bootstrap", "--bootstrap-kubeconfig", folder.join("data/bootstrap.kubeconfig")],
    ...["--kubeconfig", folder.join("n1/kubeconfig"), "--cert-dir", folder.join("n1/pki"), "--hostname-override", "n1"],
    ...more,
  ];
}

const RECORD =
  'echo "$TLSBOOT_CHANGED $TLSBOOT_NODE_NAME $TLSBOOT_CERTIFICATE_FILE $TLSBOOT_NOT_AFTER" >> record; echo recorded';

test("tlsboot bootstrap --exec runs once for each change, after the files are there", async () => {
  await using folder = await createTempFolder();
  await using _instance = await startInstance(folder, ["--auto-approve"]);
  const command = `test -s n1/kubeconfig && ${RECORD}`;
  const first = await runTlsboot(bootstrapArgs(folder, "--exec", command), { cwd: folder.path });
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stderr, /^recorded$/m);
  assert.ok(!first.stdout.includes("recorded"), "stdout holds the answer only");
  const link = folder.join("n1/pki/kubelet-client-current.pem");
  assert.match(await readFile(folder.join("record"), "utf8"), new RegExp(`^client n1 ${link} \\S+Z\n$`));
  const again = await runTlsboot(bootstrapArgs(folder, "--exec", command), { cwd: folder.path });
  assert.equal(again.code, 0, again.stderr);
  assert.equal((await readFile(folder.join("record"), "utf8")).split("\n").length, 2, "nothing changed, nothing run");
});

test("tlsboot bootstrap reports a hook that fails, and keeps the certificate", async () => {
  await using folder = await createTempFolder();
  await using _instance = await startInstance(folder, ["--auto-approve"]);
  await writeFile(folder.join("odd.pid"), "-1\n");
  const hooks = ["--exec", "echo oh dear; exit 7", "--signal", "HUP:none.pid,USR1:odd.pid"];
  const { code, stdout, stderr } = await runTlsboot(bootstrapArgs(folder, ...hooks), { cwd: folder.path });
  assert.equal(code, 1);
  assert.match(stdout, /^certificate of n1 issued/);
  assert.match(stderr, /^oh dear$/m);
  assert.match(
    stderr,
    /error: the certificate is stored, but cannot send SIGHUP to the process in ".*none\.pid": file does not exist; /,
  );
  assert.match(stderr, /cannot send SIGUSR1 to the process in ".*odd\.pid": it holds no process id; /);
  assert.match(stderr, /cannot run "echo oh dear; exit 7": exit code 7\ntlsboot: hint: /);
  const after = await runTlsboot(["bootstrap", "--status", ...bootstrapArgs(folder).slice(3)], { cwd: folder.path });
  assert.equal(after.code, 0, after.stdout);
});

test("tlsboot bootstrap --rotate-certificates continues after a hook that fails, and signals at each renewal", async () => {
  await using folder = await createTempFolder();
  await using _instance = await startInstance(folder, ["--auto-approve", "--cluster-signing-duration", "20s"]);
  // The child counts its signals until it is killed.
  const script = "trap 'echo got a signal' HUP; echo ready; while true; do sleep 0.1; done";
  await using server = start("sh", ["-c", script], { cwd: folder.path });
  await server.waitFor(/ready/);
  await writeFile(folder.join("server.pid"), `${server.pid}\n`);
  const hooks = ["--signal", "HUP:server.pid", "--exec", "exit 1"];
  await using running = startTlsboot(bootstrapArgs(folder, "--rotate-certificates", ...hooks), { cwd: folder.path });
  await running.waitFor(/(?:[\s\S]*certificate renewed, valid until ){2}/);
  await running.waitFor(/the certificate is stored, but what should follow failed/);
  await server.waitFor(/(?:[\s\S]*got a signal){2}/);
  assert.equal(running.hasEnded(), false);
  running.kill("SIGTERM");
  assert.equal((await running.finished()).code, 130);
});
