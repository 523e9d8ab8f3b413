/** Tests the problems and fixes that `doctor` reports for a machine, and `bootstrap` for an existing certificate. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { chmod, cp, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import type { Clock } from "../../core/ports.ts";
import { type Finished, runTlsboot, startTlsboot } from "../support/child.ts";
import { createIssuingCa } from "../support/issuing_ca.ts";
import { runCaptured } from "../support/run_captured.ts";
import { type Instance, startInstance } from "../support/instance_process.ts";
import { runInShell } from "../support/shell.ts";
import { createTempFolder, findServerPort, type TempFolder } from "../support/temp.ts";

/** Runs a command with the system's clock shifted by some hours. */
function run(folder: TempFolder, args: readonly string[], hoursOff = 0): Promise<Finished> {
  const system = createSystemClock();
  const clock: Clock = { ...system, now: () => new Date(system.now().getTime() + hoursOff * 3_600_000) };
  return runCaptured(args, { cwd: folder.path, clock, random: createSystemRandom() });
}

const FILES = ["--kubeconfig", "n1/kubeconfig", "--cert-dir", "n1/pki"];
const DOCTOR = ["doctor", "n1"];
const AGAIN = [
  "bootstrap",
  ...["--bootstrap-kubeconfig", "data/bootstrap.kubeconfig", ...FILES, "--hostname-override", "n1"],
];

async function startWithNode(folder: TempFolder): Promise<Instance> {
  // No other server gets the port after this one has ended.
  const instance = await startInstance(folder, ["--auto-approve", "--secure-port", String(await findServerPort())]);
  const { code, stderr } = await run(folder, AGAIN);
  assert.equal(code, 0, stderr);
  return instance;
}

async function edit(path: string, change: (text: string) => string): Promise<void> {
  const text = await readFile(path, "utf8");
  assert.notEqual(change(text), text);
  await writeFile(path, change(text));
}

test("tlsboot doctor and tlsboot bootstrap ask the server, and report the same problems", async () => {
  await using folder = await createTempFolder();
  await using instance = await startWithNode(folder);
  const kubeconfig = folder.join("n1/kubeconfig");
  const good = await readFile(kubeconfig, "utf8");

  const ready = await run(folder, DOCTOR);
  assert.equal(ready.code, 0, ready.stdout);
  assert.match(
    ready.stdout,
    / ok +client-certificate +the client certificate of system:node:n1 is valid until \S+Z; its renewal is due between /,
  );
  assert.match(ready.stdout, / ok +server-access +the server accepts this machine as system:node:n1\n/);

  const assertRefused = async (want: RegExp, hoursOff = 0): Promise<Finished> => {
    const examined = await run(folder, [...DOCTOR, "--bootstrap-kubeconfig", "data/bootstrap.kubeconfig"], hoursOff);
    assert.equal(examined.code, 1, examined.stdout);
    assert.match(examined.stdout, new RegExp(` error +[a-z-]+ +${want.source}.*\n +(?:fix|next): \\S`));
    const again = await run(folder, AGAIN, hoursOff);
    assert.equal(again.code, 3, again.stderr);
    assert.equal(again.stdout, "");
    assert.match(again.stderr, new RegExp(`^tlsboot: error: ${want.source}.*\ntlsboot: hint: \\S`, "m"));
    return again;
  };

  const other = Buffer.from((await createIssuingCa(new Date(), "another-ca")).caPem).toString("base64");
  await edit(
    kubeconfig,
    (text) => text.replace(/certificate-authority-data: .*/, `certificate-authority-data: ${other}`),
  );
  await assertRefused(/cannot trust "https:\S+": its serving certificate is signed by an unknown authority/);

  {
    // The instance is replaced by another one: server and CA match, the machine's certificate does not.
    await using elsewhere = await createTempFolder();
    await using successor = await startInstance(elsewhere, ["--auto-approve"]);
    const ca = (await readFile(`${successor.data}/pki/ca.crt`)).toString("base64");
    await writeFile(kubeconfig, good);
    await edit(kubeconfig, (text) =>
      text.replace(/certificate-authority-data: .*/, `certificate-authority-data: ${ca}`)
        .replace(/server: .*/, `server: ${successor.url}`));
    const { stderr } = await assertRefused(/the server no longer accepts this machine's certificate: Unauthorized/);
    // The command in the hint fixes it, with the bootstrap kubeconfig of the new instance.
    await cp(`${successor.data}/bootstrap.kubeconfig`, folder.join("data/bootstrap.kubeconfig"));
    const [, command = ""] = /hint: (rm -f .*)/.exec(stderr) ?? [];
    const done = await runInShell(command, { cwd: folder.path });
    assert.equal(done.code, 0, done.stderr);
    assert.equal((await run(folder, DOCTOR)).code, 0);
    await rm(folder.join("n1"), { recursive: true });
  }

  const back = await run(folder, [
    "bootstrap",
    "--bootstrap-kubeconfig",
    await newKubeconfig(folder, instance),
    ...AGAIN.slice(3),
  ]);
  assert.equal(back.code, 0, back.stderr);
  // The seconds are the time that the request takes.
  await assertRefused(/this machine's clock is 3h0m\d+s ahead of the server's/, 3);
  // The message depends on whether the runtime's TLS uses the clock of this test.
  await assertRefused(
    /(?:this machine's clock is (?:59m|1h0m)\d+s behind the server's|cannot trust .* is not valid before )/,
    -1,
  );

  await chmod(folder.join("n1/pki/kubelet-client-current.pem"), 0o644);
  await assertRefused(
    /the secret in "n1\/pki\/kubelet-client-current\.pem" is not private: others may read it \(mode 644\)/,
  );
  await chmod(folder.join("n1/pki/kubelet-client-current.pem"), 0o600);

  await instance.end("SIGTERM");
  const offline = await run(folder, DOCTOR);
  assert.equal(offline.code, 0, offline.stdout);
  assert.match(
    offline.stdout,
    / warning +server-access +the server could not be asked .*: cannot reach "https:\S+": connection refused\n/,
  );
  const idle = await run(folder, AGAIN);
  assert.equal(idle.code, 0);
  assert.match(idle.stdout, /^nothing to do: n1\/kubeconfig of system:node:n1 is valid until /);
  assert.match(idle.stderr, /^tlsboot: warning: the server could not be asked whether it still accepts this machine: /);
});

/** Writes a bootstrap kubeconfig for the first instance, because its own was overwritten. */
async function newKubeconfig(folder: TempFolder, instance: Instance): Promise<string> {
  const data = ["--data-dir", instance.data];
  // The node has a certificate already, and a request with another key would wait for a person.
  const made = await run(folder, [
    ...["token", "create", ...data, "--node", "n1", "--approve"],
    ...["-o", "kubeconfig", "--server", instance.url, "--out", "new.kubeconfig"],
  ]);
  assert.equal(made.code, 0, made.stderr);
  return "new.kubeconfig";
}

test("tlsboot doctor prints a command that continues a pending request and works as printed", async () => {
  await using folder = await createTempFolder();
  await using instance = await startInstance(folder);
  const late = await run(folder, [...AGAIN, "--timeout", "1s"]);
  assert.equal(late.code, 3, late.stderr);
  const name = /request (\S+) made/.exec(late.stderr)?.[1] ?? "";

  const waiting = await run(folder, DOCTOR);
  assert.equal(waiting.code, 1);
  assert.match(waiting.stdout, / error +kubeconfig +there is no kubeconfig "n1\/kubeconfig"\n/);
  const [, command = ""] = / is missing: its request is waiting\n +fix: (tlsboot .*)/.exec(waiting.stdout) ?? [];
  const approved = await runTlsboot(["approve", name, "--data-dir", instance.data]);
  assert.equal(approved.code, 0, approved.stderr);
  // It runs in another folder than the first run, which had relative paths.
  const { code, stdout, stderr } = await runInShell(`cd / && ${command}`, { cwd: folder.path });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^certificate of n1 issued, /);
  assert.match(stderr, new RegExp(`request ${name} taken up again`));
  assert.equal((await run(folder, DOCTOR)).code, 0);
});

test("tlsboot doctor prints no fix that waits for a token on stdin", async () => {
  await using folder = await createTempFolder();
  await using instance = await startInstance(folder);
  const kubeconfig = await readFile(`${instance.data}/bootstrap.kubeconfig`, "utf8");
  const [token = ""] = /[a-z0-9]{6}\.[a-z0-9]{16}/.exec(kubeconfig) ?? [];
  const [hash = ""] = /sha256:[0-9a-f]{64}/.exec((await run(folder, ["ca", "show", "--data-dir", "data"])).stdout) ??
    [];
  const cluster = ["--server", instance.url, "--ca-cert-hash", hash, "--token", token];
  const words = ["bootstrap", ...cluster, ...FILES, "--hostname-override", "n1"];
  {
    // The server signs cluster-info after it is up, so the wait for the request has no time limit.
    await using waiting = startTlsboot(words, { cwd: folder.path });
    await waiting.waitFor(/waiting for approval: tlsboot approve /);
  }
  assert.match(
    (await run(folder, DOCTOR)).stdout,
    / its request is waiting\n +next: give the token of the request on stdin to: tlsboot bootstrap .* --token - /,
  );
});

test("tlsboot doctor warns about a copied folder", async () => {
  await using folder = await createTempFolder();
  await using _instance = await startWithNode(folder);
  await cp(folder.join("n1"), folder.join("copy"), { recursive: true, verbatimSymlinks: true });
  const { code, stdout } = await run(folder, ["doctor", "copy"]);
  assert.equal(code, 0, stdout);
  assert.match(
    stdout,
    /"copy\/pki" looks like a copy: its certificate is "\S+\/n1\/pki\/kubelet-client-[\d-]+\.pem"/,
  );
  const [, fix = ""] = /fix: (ln .*)/.exec(stdout) ?? [];
  assert.equal((await runInShell(fix, { cwd: folder.path })).code, 0);
  assert.doesNotMatch((await run(folder, ["doctor", "copy"])).stdout, /looks like a copy/);
});
