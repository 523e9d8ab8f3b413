/** The commands that tlsboot prints are typed word for word, against `up`, with stock kubectl, kubelet and openssl. */
import assert from "node:assert/strict";
import { copyFile, mkdir } from "node:fs/promises";
import { test } from "node:test";
import { createTempFolder } from "../support/temp.ts";
import { createKubectl, waitForCsr } from "../support/interop/kubectl.ts";
import { assertNodePair } from "../support/interop/openssl.ts";
import { createShell } from "../support/interop/shell.ts";
import { waitUntilUp } from "../support/interop/instance.ts";

test("every command that the demo prints works against up in an empty folder", async () => {
  await using folder = await createTempFolder();
  await using stage = await createTempFolder();
  const shown = await (await createShell(stage)).run("tlsboot demo");
  assert.equal(shown.code, 0, shown.stderr);
  const commands = [...shown.stdout.matchAll(/^ +\$ (.*)$/gm)].map(([, command = ""]) => command);
  assert.ok(commands.length >= 8, shown.stdout);

  const shell = await createShell(folder);
  const kubectl = createKubectl(folder, folder.join("work/tlsboot-demo/admin.kubeconfig"));
  await using stack = new AsyncDisposableStack();
  let kubelet: Promise<unknown> = Promise.resolve();
  let csrName = "";
  for (const command of commands) {
    if (command.startsWith("tlsboot up")) {
      await waitUntilUp(stack.use(shell.start(command)));
      // The one file that the demo writes for a command and `up` does not.
      await copyFile(stage.join("work/tlsboot-demo/refused.yaml"), folder.join("work/tlsboot-demo/refused.yaml"));
      continue;
    }
    if (command.startsWith("kubelet")) {
      kubelet = stack.use(shell.start(command)).finished();
      csrName = await waitForCsr(kubectl);
      continue;
    }
    if (command.startsWith("openssl")) await kubelet;
    // The demo names its own machine's request; this machine has made another key, and so a request of another name.
    const typed = command.replace(/(?<=certificate approve )node-csr-\S+/, csrName);
    const { code, stdout, stderr } = await shell.run(typed);
    const isRefusal = command.includes("refused.yaml");
    assert.equal(code, isRefusal ? 1 : 0, `$ ${command}\n${stdout}${stderr}`);
    if (isRefusal) {
      const refusal = stderr.trim().replace(/^Error from server \(Forbidden\): error when creating "\S+": /, "");
      assert.ok(shown.stdout.includes(refusal), `the demo shows another refusal than ${refusal}`);
    }
  }
  const work = folder.join("work/tlsboot-demo");
  await assertNodePair(`${work}/pki/ca.crt`, `${work}/nodes/node-1/pki/kubelet-client-current.pem`, "node-1");
  assert.match(await kubectl.run("get", "csr", "--no-headers"), /^node-csr-\S+ .* Approved,Issued\n$/);
});

test("a folder written by the demo can be served by up, and its nodes' kubeconfigs still work", async () => {
  await using folder = await createTempFolder();
  const shell = await createShell(folder);
  const shown = await shell.run("tlsboot demo --nodes 2");
  assert.equal(shown.code, 0, shown.stderr);
  const [, up = ""] = shown.stdout.match(/^ +\$ (tlsboot up .*)$/m) ?? [];
  await using running = shell.start(up);
  await waitUntilUp(running);
  for (const node of ["node-1", "node-2"]) {
    const { code, stdout, stderr } = await shell.run(
      `kubectl --kubeconfig tlsboot-demo/nodes/${node}/kubeconfig auth whoami`,
    );
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`Username +system:node:${node}\n`));
  }
  const listed = await shell.run("kubectl --kubeconfig tlsboot-demo/admin.kubeconfig get csr --no-headers");
  assert.match(listed.stdout, /^(node-csr-\S+ .* Approved,Issued\n){2}$/, listed.stderr);
});

test("every command that up prints works: bootstrap, get, approve, and the binding for automatic approval", async () => {
  await using folder = await createTempFolder();
  const shell = await createShell(folder);
  await mkdir(folder.join("work/lab"));
  await using running = shell.start("tlsboot up --secure-port 0 --data-dir lab/data");
  await waitUntilUp(running);
  const printed = [...running.stdout().matchAll(/^ {2}((?:tlsboot|kubectl) .*)$/gm)].map(([, command = ""]) => command);
  const [bootstrap = "", get = "", approve = "", bind = "", ...others] = printed;
  assert.deepEqual(others, [], running.stdout());

  await using first = shell.start(bootstrap);
  const name = await waitForCsr(createKubectl(folder, folder.join("work/lab/data/admin.kubeconfig")));
  const listed = await shell.run(get);
  assert.match(listed.stdout, new RegExp(`^${name} .*Pending$`, "m"), listed.stderr);
  const approved = await shell.run(approve.replace("NAME", name));
  assert.equal(approved.code, 0, approved.stderr);
  const { code, stderr } = await first.finished();
  assert.equal(code, 0, stderr);
  await assertNodePair(
    folder.join("work/lab/data/pki/ca.crt"),
    folder.join("work/n1/pki/kubelet-client-current.pem"),
    "n1",
  );

  const bound = await shell.run(bind);
  assert.equal(bound.code, 0, bound.stderr);
  const second = await shell.run(bootstrap.replaceAll("n1", "n2"));
  assert.equal(second.code, 0, second.stderr);
});
