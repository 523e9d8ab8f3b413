/** Tests `tlsboot demo`: the whole story, its page, refusals, and stories that fail. */
import assert from "node:assert/strict";
import { copyFile, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { join } from "node:path";
import { STEP_IDS, STEPS } from "../../ui/story/chapters.ts";
import { type Sabotage, Stage } from "../../cli/commands/demo/stage.ts";
import { runStory } from "../../cli/commands/demo/story.ts";
import type { Tools } from "../../cli/io.ts";
import { run } from "../../cli/run.ts";
import { AppError } from "../../core/errors.ts";
import { createSingleAuthority } from "../../instance/authority/files.ts";
import { createSystemClock, createSystemRandom, createTools } from "../../cli/system.ts";
import { createFilePort } from "../../client/files.ts";
import { createCapturedIo } from "../support/captured_io.ts";
import { runTlsboot, startTlsboot } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { createMemoryLogger } from "../support/memory_logger.ts";
import { createPlainKeys } from "../support/instance_deps.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";
import { findLink, openLink } from "../support/ui_client.ts";

/** How long a machine waits for a certificate that it cannot get. */
const SHORT_WAIT_SECONDS = 1;

test("tlsboot demo runs the whole story in plain text of 80 columns, and replaces the files of an earlier demo", async () => {
  await using folder = await createTempFolder();
  await mkdir(folder.join("tlsboot-demo", "pki"), { recursive: true });
  await writeFile(folder.join("tlsboot-demo", ".tlsboot-demo"), "");
  await writeFile(folder.join("tlsboot-demo", "pki", "ca.key"), "of an earlier demo", { mode: 0o600 });
  // The demo names kubectl in its commands because it is on the PATH, and never runs it.
  await mkdir(folder.join("bin"));
  await writeFile(folder.join("bin", "kubectl"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
  const env = { PATH: folder.join("bin") };
  const { code, stdout, stderr } = await runTlsboot(["demo"], { cwd: folder.path, env });
  assert.equal(code, 0, stderr);
  assert.equal(stderr, "");
  // deno-lint-ignore no-control-regex -- plain text has none
  assert.doesNotMatch(stdout, /\x1b/);
  assert.deepEqual(stdout.split("\n").filter((line) => line.length > 80), []);
  assert.deepEqual(
    [...stdout.matchAll(/^\d+\. (.*)$/gm)].map(([, title]) => title),
    STEP_IDS.map((id) => STEPS[id].title({ count: 3, victim: "node-3" })),
  );
  const text = stdout.replace(/(?: \\)?\n +/g, " ");
  assert.match(text, /certificate approve node-csr-/);
  assert.match(text, /ok all 3 certificates are signed by the CA and valid until /);
  assert.match(text, /Username {2}system:node:node-1 Groups {4}\[system:nodes system:authenticated\]/);
  assert.match(text, /is forbidden: use of kubernetes\.io\/kube-apiserver-client signer with system:masters group/);
  assert.match(text, /ok the next certificate has a new key and a new serial number/);
  assert.match(
    text,
    /certificate of sleeper issued.*error: Unauthorized.*certificate expired at.*certificate of sleeper/s,
  );
  assert.match(
    text,
    /node\/node-3 revoked.*ok the open watch of the thief ended (?:\d+ ms|\d+\.\d s) after .*error: Unauthorized/s,
  );
  assert.match(text, /Next: tlsboot up starts your own server; then see tlsboot guide tutorial\.\n*$/);
  assert.doesNotMatch(text, /What happens/);
  const data = folder.join("tlsboot-demo");
  assert.deepEqual((await readdir(join(data, "nodes"))).sort(), ["node-1", "node-2", "node-3", "sleeper"]);
  for (
    const file of ["admin.kubeconfig", "pki/ca.key", "nodes/node-1/kubeconfig", "stolen/kubeconfig", "node-3.token"]
  ) {
    assert.equal((await stat(join(data, file))).mode & 0o777, 0o600, file);
  }
});

test("tlsboot demo --explain --step waits for Enter and gives reasons, without any other program", async () => {
  await using folder = await createTempFolder();
  const args = ["demo", "--nodes", "1", "--explain", "--step", "--data-dir", "."];
  const options = { cwd: folder.path, env: { PATH: "/nowhere" }, stdin: "\n".repeat(STEP_IDS.length) };
  const { code, stdout, stderr } = await runTlsboot(args, options);
  assert.equal(code, 0, stderr);
  assert.equal(stderr.match(/\(Enter\)/g)?.length, STEP_IDS.length - 1);
  assert.deepEqual(stdout.split("\n").filter((line) => line.length > 80), []);
  assert.doesNotMatch(stdout, /^ +\$ (?:kubectl|kubelet|openssl)/m);
  const text = stdout.replace(/\n +/g, " ");
  for (const id of STEP_IDS) {
    const { happens, why, without } = STEPS[id];
    assert.ok(text.includes(`What happens: ${happens} Why: ${why} Without it: ${without}`), id);
  }
  assert.match(text, /the server accepts this machine as system:node:node-1/);
  assert.match(text, /error: cannot request that certificate: use of .* with system:masters group is not allowed/);
});

test("tlsboot demo --ui continues with its page's form, without JavaScript, until it is interrupted", async () => {
  await using folder = await createTempFolder();
  const args = ["demo", "--nodes", "1", "--ui", "--step"];
  await using demo = startTlsboot(args, { cwd: folder.path, env: { PATH: "/nowhere" } });
  const client = await openLink(await findLink(demo));
  const { body: opening } = await client.send("/story", 200);
  assert.match(opening, /<svg[^>]* role="img"/);
  assert.match(opening, /There is no certificate authority yet\./);
  assert.match(opening, />Begin</);
  for (const [index, id] of STEP_IDS.slice(0, 4).entries()) {
    await client.submit("/story/next", 303, { next: id });
    // The same form sent twice starts one step.
    await client.submit("/story/next", 303, { next: id });
    await demo.waitFor(new RegExp(`^${index + 1}\\. `, "m"));
  }
  await demo.waitFor(/approve node-1/);
  const body = await eventually("the page shows who approved the request", async () => {
    const { body } = await client.send("/story", 200);
    return body.includes("issued, by a person") ? body : undefined;
  });
  assert.match(body, /step 4 of 15/);
  assert.doesNotMatch(demo.stdout(), /^5\. /m);
  await client.submit("/story/next", 422, { next: "unknown" });
  await client.submit("/story/mode", 422, { mode: "unknown" });
  demo.kill("SIGINT");
  assert.equal((await demo.finished()).code, 130);
});

test("tlsboot demo refuses a folder that is neither empty nor of an earlier demo", async () => {
  await using folder = await createTempFolder();
  await mkdir(folder.join("mine"));
  await writeFile(folder.join("mine", "precious"), "keep");
  const refused = await runTlsboot(["demo", "--data-dir", "mine"], { cwd: folder.path });
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /error: cannot use "mine" for the demo: it is neither empty nor the folder of an earlier demo\n.*hint: choose another/,
  );
  assert.equal(await readFile(folder.join("mine", "precious"), "utf8"), "keep");
});

test("tlsboot demo refuses an invalid number of machines", async () => {
  for (const nodes of ["0", "1001", "three"]) {
    const { code, stderr } = await runTlsboot(["demo", "--nodes", nodes]);
    assert.equal(code, 2);
    assert.match(stderr, /want a number from 1 to 1000/);
  }
});

test("a stage whose story has failed stops its machines when it is disposed", async () => {
  await using folder = await createTempFolder();
  const tools = createStoryTools(folder);
  const connected = Promise.withResolvers<void>();
  let open = 0;
  const makeDirectory = async (path: string, mode: number): Promise<void> => {
    await tools.files.makeDirectory(path, mode);
    if (!path.endsWith("/node-2/pki")) return;
    await connected.promise;
    throw new AppError("io", "node-2 has no disk");
  };
  const connect: Tools["connect"] = async (cluster) => {
    const transport = await tools.connect(cluster);
    open++;
    connected.resolve();
    const close = async (): Promise<void> => {
      open--;
      await transport[Symbol.asyncDispose]();
    };
    return { ...transport, [Symbol.asyncDispose]: close };
  };
  {
    const changed = { ...tools, connect, files: { ...tools.files, makeDirectory } };
    await using stage = new Stage({ ...createStory(folder, changed), nodes: 2, waitSeconds: 600 });
    await assert.rejects(runStory(stage), /node-2 has no disk/);
    assert.equal(open, 1);
  }
  assert.equal(open, 0);
});

for (
  const { name, nodes, sabotage, want, waitSeconds = SHORT_WAIT_SECONDS } of [
    { name: "no approval", nodes: 1, sabotage: { withoutApproval: true }, want: /timed out/ },
    { name: "the approver does not run", nodes: 2, sabotage: { without: ["approver"] }, want: /timed out/ },
    { name: "the signer does not run", nodes: 1, sabotage: { without: ["signer"] }, want: /timed out/ },
    {
      name: "the CA is replaced after it was shown",
      nodes: 1,
      sabotage: { beforeControllers: replaceCa },
      want: /certificate of node-1/,
      waitSeconds: 600,
    },
  ] as readonly { name: string; nodes: number; sabotage: Sabotage; want: RegExp; waitSeconds?: number }[]
) {
  test(`runStory() fails when ${name}`, async () => {
    await using folder = await createTempFolder();
    const options = { ...createStory(folder, createStoryTools(folder)), nodes, waitSeconds, sabotage };
    await using stage = new Stage(options);
    await assert.rejects(runStory(stage), want);
  });
}

function createStoryTools(folder: TempFolder): Tools {
  const io = createCapturedIo({ clock: createSystemClock(), random: createSystemRandom(), cwd: folder.path });
  return createTools(io, new AbortController().signal, false);
}

/** The options of a stage without an audience and pauses. */
function createStory(folder: TempFolder, tools: Tools) {
  return {
    root: folder.join("demo"),
    audience: () => {},
    pace: { wait: () => Promise.resolve() },
    tools,
    logger: createMemoryLogger(),
    run,
    programs: { kubectl: false, kubelet: false, openssl: false },
  };
}

/** Replaces the CA's files, so that another CA issues the later certificates. */
async function replaceCa(dir: Parameters<NonNullable<Sabotage["beforeControllers"]>>[0]): Promise<void> {
  await using folder = await createTempFolder();
  const options = { commonName: "another", keyAlgorithm: "ecdsa-p256", lifetimeMs: 86_400_000 } as const;
  const keys = createPlainKeys();
  const deps = { files: createFilePort(), clock: createSystemClock(), random: createSystemRandom(), keys };
  await createSingleAuthority(folder.path, options, deps);
  await copyFile(folder.join("pki", "ca.key"), dir.caKey);
  await copyFile(folder.join("pki", "ca.crt"), dir.caCertificate);
}
