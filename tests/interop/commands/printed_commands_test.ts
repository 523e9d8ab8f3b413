/** Runs the commands that tlsboot prints, unchanged, against `up`, with stock kubectl, kubelet and openssl. */
import assert from "node:assert/strict";
import { copyFile, mkdir } from "node:fs/promises";
import { test } from "node:test";
import { eventually } from "../../support/eventually.ts";
import { createTempFolder } from "../../support/temp.ts";
import { createKubectl, waitForCsr } from "../../support/interop/kubectl.ts";
import { assertNodePair } from "../../support/interop/openssl.ts";
import { createShell, type Shell } from "../../support/interop/shell.ts";
import { waitUntilUp } from "../../support/interop/instance.ts";

test("every command that the demo prints works against up in an empty folder, and up serves the demo's own folder", async () => {
  await using folder = await createTempFolder();
  await using stage = await createTempFolder();
  const stageShell = await createShell(stage);
  const shown = await stageShell.succeed("tlsboot demo --nodes 1");
  // A long command is printed with escaped line breaks.
  const commands = [...shown.matchAll(/^ +\$ ((?:.*\\\n)*.*)$/gm)].map(([, command = ""]) => command);
  assert.ok(commands.length >= 24, shown);

  const shell = await createShell(folder);
  const work = folder.join("work/tlsboot-demo");
  const kubectl = createKubectl(folder, `${work}/admin.kubeconfig`);
  await using stack = new AsyncDisposableStack();
  let kubelet: Promise<unknown> = Promise.resolve();
  let up: AsyncDisposable | undefined;
  let csrName = "";
  let caHash = "";
  for (const command of commands) {
    // The request name and the CA hash that the demo prints differ here.
    const typed = command.replace(/(?<=certificate approve\s.*)node-csr-\S+/s, csrName)
      .replace(/sha256:[0-9a-f]{64}/, caHash);
    if (command.startsWith("tlsboot up")) {
      await up?.[Symbol.asyncDispose]();
      const started = stack.use(shell.start(typed));
      up = started;
      await waitUntilUp(started);
      // The demo writes this file for a later command, and `up` does not.
      await copyFile(stage.join("work/tlsboot-demo/refused.yaml"), `${work}/refused.yaml`);
      continue;
    }
    if (command.startsWith("kubelet")) {
      kubelet = stack.use(shell.start(typed)).finished();
      csrName = await waitForCsr(kubectl);
      continue;
    }
    if (command.includes("--watch") || command.includes("--rotate-certificates")) {
      await stack.use(shell.start(typed)).waitFor(/CONDITION|nothing to do/);
      continue;
    }
    if (command.startsWith("openssl")) await kubelet;
    const isLockedOut = /get csr --kubeconfig/.test(command);
    const { code, stdout, stderr } = await eventually(command, async () => {
      const answer = await shell.run(typed);
      // The certificate is valid for five seconds, so it may not have expired yet.
      return isLockedOut && answer.code === 0 ? undefined : answer;
    });
    const isRefusal = command.includes("refused.yaml");
    assert.equal(code, isRefusal || isLockedOut ? 1 : 0, `$ ${command}\n${stdout}${stderr}`);
    if (isLockedOut) assert.match(stderr, /error: Unauthorized/);
    if (command.startsWith("tlsboot ca init")) {
      const ca = await shell.run("tlsboot ca show --data-dir tlsboot-demo");
      caHash = /sha256:[0-9a-f]{64}/.exec(ca.stdout)?.[0] ?? "";
    }
    if (isRefusal) {
      const refusal = stderr.trim().replace(/^Error from server \(Forbidden\): error when creating "\S+": /, "");
      const text = shown.replace(/\n +/g, " ");
      assert.ok(text.includes(refusal), `the demo shows a different refusal: ${refusal}`);
    }
  }
  for (const name of ["node-1", "sleeper"]) {
    await assertNodePair(`${work}/pki/ca.crt`, `${work}/nodes/${name}/pki/kubelet-client-current.pem`, name);
  }
  const states = (await kubectl.run("get", "csr", "--no-headers")).match(/\S+(?=\n)/g);
  assert.ok(states?.every((state) => state === "Approved,Issued"), states?.join());
  await stack.disposeAsync();
  await assertFolderIsServed(stageShell, shown);
});

/** Asserts that `up` can serve the demo's folder, and that the kubeconfigs of its nodes still work. */
async function assertFolderIsServed(shell: Shell, shown: string): Promise<void> {
  const [, up = ""] = shown.match(/^ +\$ (tlsboot up .*[^\\])$/m) ?? [];
  await using running = shell.start(up);
  await waitUntilUp(running);
  for (const node of ["node-1", "sleeper"]) {
    const who = await shell.succeed(`kubectl --kubeconfig tlsboot-demo/nodes/${node}/kubeconfig auth whoami`);
    assert.match(who, new RegExp(`Username +system:node:${node}\n`));
  }
  const listed = await shell.run("kubectl --kubeconfig tlsboot-demo/admin.kubeconfig get csr --no-headers");
  // These are requests of the machine, of a renewal, of the sleeper after its outage, and of the machine that was set
  // up again. The sleeper's first request is deleted some time after its certificate has expired.
  assert.match(listed.stdout, /^(\S+ .* Approved,Issued\n){4,5}$/, listed.stderr);
}

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
  assert.match(listed.stdout, new RegExp(`^${name} .* pending$`, "m"), listed.stderr);
  await shell.succeed(approve.replace("NAME", name));
  const { code, stderr } = await first.finished();
  assert.equal(code, 0, stderr);
  await assertNodePair(
    folder.join("work/lab/data/pki/ca.crt"),
    folder.join("work/n1/pki/kubelet-client-current.pem"),
    "n1",
  );

  await shell.succeed(bind);
  await shell.succeed(bootstrap.replaceAll("n1", "n2"));
});
