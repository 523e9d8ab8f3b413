import assert from "node:assert/strict";
import { copyFile, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { runDemo, type Sabotage } from "../../cli/commands/demo/story.ts";
import { createSingleAuthority } from "../../cli/authority/files.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { createFilePort } from "../../client/files.ts";
import { createCapturedIo } from "../support/captured_io.ts";
import { runTlsboot } from "../support/child.ts";
import { createMemoryLogger } from "../support/memory_logger.ts";
import { createPlainKeys } from "../support/ca_keys.ts";
import { createTempFolder } from "../support/temp.ts";

/** A short wait: a machine that gets no certificate must end the demo soon. */
const SHORT_WAIT_SECONDS = 3;

test("tlsboot demo runs the whole story in plain text and keeps the files", async () => {
  await using folder = await createTempFolder();
  const { code, stdout, stderr } = await runTlsboot(["demo"], { cwd: folder.path });
  assert.equal(code, 0, stderr);
  assert.equal(stderr, "");
  // deno-lint-ignore no-control-regex -- plain text has none
  assert.doesNotMatch(stdout, /\x1b/);
  assert.equal(stdout.match(/ Pending$/gm)?.length, 3);
  assert.equal(stdout.match(/ Approved,Issued$/gm)?.length, 3);
  assert.match(stdout, /NAME +AGE +SIGNERNAME +REQUESTOR +REQUESTEDDURATION +CONDITION/);
  assert.match(stdout, /ok all 3 certificates are the CA's/);
  assert.match(stdout, /Username {2}system:node:node-1\n +Groups {4}\[system:nodes system:authenticated\]/);
  assert.match(stdout, /is forbidden: use of kubernetes\.io\/kube-apiserver-client signer with system:masters group/);
  const nodes = await readdir(folder.join("tlsboot-demo", "nodes"));
  assert.deepEqual(nodes.sort(), ["node-1", "node-2", "node-3"]);
  for (const file of ["admin.kubeconfig", "pki/ca.key", "nodes/node-1/kubeconfig"]) {
    assert.equal((await stat(folder.join("tlsboot-demo", file))).mode & 0o777, 0o600, file);
  }
});

test("tlsboot demo uses an empty folder, replaces an earlier demo, and refuses any other folder", async () => {
  await using folder = await createTempFolder();
  assert.equal((await runTlsboot(["demo", "--nodes", "1"], { cwd: folder.path })).code, 0);
  const before = await readFile(folder.join("tlsboot-demo", "pki", "ca.crt"), "utf8");
  assert.equal((await runTlsboot(["demo", "--nodes", "1"], { cwd: folder.path })).code, 0);
  assert.notEqual(await readFile(folder.join("tlsboot-demo", "pki", "ca.crt"), "utf8"), before);

  await mkdir(folder.join("empty"));
  const welcome = await runTlsboot(["demo", "--nodes", "1", "--data-dir", "empty"], { cwd: folder.path });
  assert.equal(welcome.code, 0, welcome.stderr);

  await mkdir(folder.join("mine"));
  await writeFile(folder.join("mine", "precious"), "keep");
  const refused = await runTlsboot(["demo", "--data-dir", "mine"], { cwd: folder.path });
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /error: cannot use "mine" for the demo: it is not a demo's folder, and not empty\n.*hint: choose another/,
  );
  assert.equal(await readFile(folder.join("mine", "precious"), "utf8"), "keep");
});

test("tlsboot demo refuses numbers of machines that it cannot show", async () => {
  for (const nodes of ["0", "1001", "three"]) {
    const { code, stderr } = await runTlsboot(["demo", "--nodes", nodes]);
    assert.equal(code, 2);
    assert.match(stderr, /want a number from 1 to 1000/);
  }
});

for (
  const { name, nodes, sabotage, want } of [
    { name: "no approval", nodes: 1, sabotage: { withoutApproval: true }, want: /timed out/ },
    { name: "the approver does not run", nodes: 2, sabotage: { without: ["approver"] }, want: /timed out/ },
    { name: "the signer does not run", nodes: 1, sabotage: { without: ["signer"] }, want: /timed out/ },
    {
      name: "the CA is another one than was shown",
      nodes: 1,
      sabotage: { beforeControllers: replaceCa },
      want: /certificate of node-1/,
    },
  ] satisfies readonly { name: string; nodes: number; sabotage: Sabotage; want: RegExp }[]
) {
  test(`runDemo() fails when ${name}`, async () => {
    await using folder = await createTempFolder();
    const io = createCapturedIo({ clock: createSystemClock(), random: createSystemRandom(), cwd: folder.path });
    const options = {
      root: folder.join("demo"),
      nodes,
      keep: false,
      waitForEnter: false,
      waitSeconds: SHORT_WAIT_SECONDS,
      io,
      files: createFilePort(),
      logger: createMemoryLogger(),
      sabotage,
    };
    await assert.rejects(runDemo(options, new AbortController().signal), want);
  });
}

/** Replaces the files of the CA by those of another one, so that later certificates are not of the first CA. */
async function replaceCa(dir: Parameters<NonNullable<Sabotage["beforeControllers"]>>[0]): Promise<void> {
  await using folder = await createTempFolder();
  const options = { commonName: "another", keyAlgorithm: "ecdsa-p256", lifetimeMs: 86_400_000 } as const;
  const keys = createPlainKeys();
  const deps = { files: createFilePort(), clock: createSystemClock(), random: createSystemRandom(), keys };
  await createSingleAuthority(folder.path, options, deps);
  await copyFile(folder.join("pki", "ca.key"), dir.caKey);
  await copyFile(folder.join("pki", "ca.crt"), dir.caCertificate);
}
