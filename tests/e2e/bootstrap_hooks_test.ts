/** Tests `tlsboot bootstrap --exec` and `--signal`. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { start } from "../support/child.ts";
import { bootstrapLine, createWorkplace, describeInstance, startInstance } from "../support/instance_process.ts";

const RECORD =
  'echo "$TLSBOOT_CHANGED $TLSBOOT_NODE_NAME $TLSBOOT_CERTIFICATE_FILE $TLSBOOT_NOT_AFTER" >> record; echo recorded';

describeInstance("tlsboot bootstrap with hooks", { args: ["--auto-approve"] }, (instance) => {
  const { tlsboot } = instance;

  test("tlsboot bootstrap --exec runs once for each change, after the files are written", async () => {
    const { folder } = instance;
    const command = `test -s n1/kubeconfig && ${RECORD}`;
    const first = await instance.succeed(...bootstrapLine("n1", "--exec", command));
    assert.match(first.stderr, /^recorded$/m);
    assert.ok(!first.stdout.includes("recorded"), "stdout holds the answer only");
    const link = folder.join("n1/pki/kubelet-client-current.pem");
    assert.match(await readFile(folder.join("record"), "utf8"), new RegExp(`^client n1 ${link} \\S+Z\n$`));
    await instance.succeed(...bootstrapLine("n1", "--exec", command));
    assert.equal((await readFile(folder.join("record"), "utf8")).split("\n").length, 2, "nothing changed, nothing run");
  });

  test("tlsboot bootstrap reports a hook that fails, and keeps the certificate", async () => {
    await writeFile(instance.folder.join("odd.pid"), "-1\n");
    const hooks = ["--exec", "echo oh dear; exit 7", "--signal", "HUP:none.pid,USR1:odd.pid"];
    const { code, stdout, stderr } = await tlsboot(...bootstrapLine("n2", ...hooks));
    assert.equal(code, 1);
    assert.match(stdout, /^certificate of n2 issued/);
    assert.match(stderr, /^oh dear$/m);
    assert.match(
      stderr,
      /error: the certificate is stored, but cannot send SIGHUP to the process in ".*none\.pid": file does not exist; /,
    );
    assert.match(stderr, /cannot send SIGUSR1 to the process in ".*odd\.pid": it contains no process id; /);
    assert.match(stderr, /cannot run "echo oh dear; exit 7": exit code 7\ntlsboot: hint: /);
    await instance.succeed("doctor", "n2");
  });
});

test("tlsboot bootstrap --rotate-certificates continues after a hook that fails, and signals at each renewal", async () => {
  await using folder = await createWorkplace();
  await using _instance = await startInstance(folder, ["--auto-approve", "--cluster-signing-duration", "20s"]);
  // The child reports each signal until it is killed.
  const script = "trap 'echo got a signal' HUP; echo ready; while true; do sleep 0.1; done";
  await using server = start("sh", ["-c", script], { cwd: folder.path });
  await server.waitFor(/ready/);
  await writeFile(folder.join("server.pid"), `${server.pid}\n`);
  const hooks = ["--signal", "HUP:server.pid", "--exec", "exit 1"];
  await using running = folder.start(...bootstrapLine("n3", "--rotate-certificates", ...hooks));
  await running.waitFor(/(?:[\s\S]*certificate renewed, valid until ){2}/);
  await running.waitFor(/the certificate is stored, but a hook failed/);
  await server.waitFor(/(?:[\s\S]*got a signal){2}/);
  assert.equal(running.hasEnded(), false);
  running.kill("SIGTERM");
  assert.equal((await running.finished()).code, 130);
});
