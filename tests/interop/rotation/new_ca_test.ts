/** Runs docs/guides/new_ca.md unchanged, up to its section about kubeadm, while the server and a machine run. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { eventually } from "../../support/eventually.ts";
import { readGuide } from "../../support/guide.ts";
import { createShell } from "../../support/interop/shell.ts";
import { createTempFolder, findServerPort } from "../../support/temp.ts";

const MACHINE = "--hostname-override n1 --kubeconfig n1/kubeconfig --cert-dir n1/pki";

test("docs/guides/new_ca.md: all clients are served throughout, and the old CA is refused in the end", async () => {
  await using folder = await createTempFolder();
  const shell = await createShell(folder);
  const port = await findServerPort();
  const run = (line: string): Promise<string> => shell.succeed(`set -e\n${line}`);
  const untilTrue = (what: string, line: string): Promise<true> =>
    eventually(what, async () => (await shell.run(line)).code === 0 || undefined);
  const whoami = (kubeconfig: string) => `kubectl auth whoami -o name --kubeconfig ${kubeconfig}`;
  await using instance = shell.start(`tlsboot up --secure-port ${port} --auto-approve`);
  await instance.waitFor(/tlsboot is up at/);
  await using machine = shell.start(
    `tlsboot bootstrap --rotate-certificates --bootstrap-kubeconfig tlsboot-data/bootstrap.kubeconfig ${MACHINE}`,
  );
  await machine.waitFor(/certificate of n1 issued/);
  await run("tlsboot kubeconfig user alice; tlsboot kubeconfig user bob; cp -r tlsboot-data/pki old");

  const { blocks } = await readGuide("new_ca");
  const steps = blocks.slice(0, blocks.findIndex((block) => block.includes("/etc/kubernetes")));
  assert.equal(steps.length, 6);
  for (const block of steps) {
    const line = block.replaceAll("127.0.0.1:6443", `127.0.0.1:${port}`)
      // Exit code 3 means that a client is not ready yet; a reader sees it in the table.
      .replace(/^tlsboot ca rotate status$/m, "$& || [ $? = 3 ]")
      .replace("--over 10m", "--over 1s")
      // Bob has no new kubeconfig and does not return.
      .replace("status --wait 10m", "status || [ $? = 3 ]")
      .replace("ca rotate finish", "$& --leave-behind bob");
    if (block.includes("ca rotate finish")) {
      const ca = await readFile(folder.join("work/tlsboot-data/pki/ca.crt"), "utf8");
      await untilTrue(
        "n1 to have a certificate of the new CA",
        "openssl verify -CAfile tlsboot-data/pki/ca.crt n1/pki/kubelet-client-current.pem",
      );
      assert.notEqual(ca, await readFile(folder.join("work/old/ca.crt"), "utf8"));
      // The command is refused until n1 has also reported that it trusts the new CA.
      await untilTrue("the rotation to finish", `set -e\n${line}`);
    } else await run(line);
    await run(
      [whoami("n1/kubeconfig"), whoami("tlsboot-data/admin.kubeconfig"), whoami("alice.kubeconfig")].join("\n"),
    );
  }
  const refused = await shell.run(whoami("bob.kubeconfig"));
  assert.notEqual(refused.code, 0);
  const trusted = "grep certificate-authority-data n1/kubeconfig | cut -d: -f2 | base64 -di";
  await untilTrue("n1 to trust only the new CA", `[ "$(${trusted})" = "$(cat tlsboot-data/pki/ca.crt)" ]`);
  assert.equal(machine.hasEnded(), false, machine.stderr());
  assert.equal(instance.hasEnded(), false, instance.stderr());
});
