/**
 * Certificates by USB stick, with real Kubernetes: the machine and the CA are each in a network namespace without even
 * loopback, and share only a folder, the stick.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { test } from "node:test";
import { type Finished, runProgram, start, succeedProgram, tlsbootCommand } from "../../support/child.ts";
import { until } from "../../support/fake_clock.ts";
import { assertKeyMatches, assertNodePair, openssl } from "../../support/interop/openssl.ts";
import { sharedControlPlane } from "../../support/interop/shared.ts";
import { mountSmallDisk } from "../../support/interop/small_disk.ts";
import { startWholeKubelet, untilReady } from "../../support/interop/whole_kubelet.ts";
import { createTempFolder } from "../../support/temp.ts";

const NODE = "n1";

/** Runs a program in its own network namespace, in which even loopback is down. */
async function runWithoutNetwork(command: string, args: readonly string[]): Promise<Finished> {
  const finished = await runProgram("unshare", ["--net", command, ...args]);
  if (/unshare failed|Operation not permitted/.test(finished.stderr)) {
    throw new Error(`only root can create a machine without a network: ${finished.stderr}`);
  }
  return finished;
}

async function tlsboot(...args: readonly string[]): Promise<Finished> {
  const [command, all] = tlsbootCommand(args);
  return await runWithoutNetwork(command, all);
}

async function succeed(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await tlsboot(...args);
  assert.equal(code, 0, `tlsboot ${args.join(" ")}: ${stderr}`);
  return stdout;
}

test("the programs of these tests have no network, not even loopback", async () => {
  const links = await runWithoutNetwork("ip", ["-brief", "address"]);
  assert.match(links.stdout, /^lo +DOWN *\n$/);
});

test("a stock kubelet starts with a certificate and a kubeconfig from a stick, and the certificate is renewed by stick", async () => {
  await using plane = await sharedControlPlane();
  const { kubectl } = plane;
  const stick = plane.folder.join("stick");
  await mkdir(stick);
  const root = plane.folder.join(NODE);
  const machine = [
    ...["bootstrap", "--offline", stick, "--kubeconfig", `${root}/kubeconfig`, "--cert-dir", `${root}/pki`],
    ...["--hostname-override", NODE],
  ];
  const sign = [
    ...["sign", stick, ...plane.caFlags],
    ...["--issued-log", plane.folder.join("issued.jsonl"), "--server", plane.server, "--yes"],
    ...["--cluster-signing-duration", "600h"],
  ];
  const pair = `${root}/pki/kubelet-client-current.pem`;
  assert.match(await succeed(...machine), /^request written: /);
  assert.match(await succeed(...sign), /^n1\.answer\.pem: signed, /);
  assert.match(await succeed(...machine), /^certificate of n1 issued/);
  await assertNodePair(plane.caPath, pair, NODE);
  {
    await using _kubelet = await startWholeKubelet(plane.folder, NODE);
    await untilReady(kubectl, NODE);
  }
  const first = await readFile(pair, "utf8");
  const renewal = [...machine, "--renew-before", "500h"];
  assert.match(await succeed(...renewal), /^nothing to do: /);
  // Certificates are backdated by five minutes.
  const soon = [...machine, "--renew-before", "599h58m"];
  assert.match(await succeed(...soon), /^request written: /);
  assert.match(await succeed(...sign), /^n1\.answer\.pem: signed, /);
  assert.match(await succeed(...soon), /^certificate of n1 issued/);
  assert.notEqual(await readFile(pair, "utf8"), first);
  await assertNodePair(plane.caPath, pair, NODE);
  const asNode = await kubectl.as(`${root}/kubeconfig`).run("auth", "whoami");
  assert.match(asNode, /Username +system:node:n1\n/);
  assert.match(
    await succeed("verify", "certificates", plane.folder.join("issued.jsonl"), "--ca-file", plane.caPath),
    /^2 records are intact/,
  );
});

test("a full or read-only stick is reported, and nothing is lost", async () => {
  await using folder = await createTempFolder();
  await using disk = await mountSmallDisk(folder.join("stick"), 64);
  const machine = (name: string): readonly string[] => [
    ...["bootstrap", "--offline", disk.path, "--kubeconfig", folder.join(name, "kubeconfig")],
    ...["--cert-dir", folder.join(name, "pki"), "--hostname-override", name],
  ];
  const log = folder.join("ca", "issued.jsonl");
  const sign = ["sign", disk.path, "--data-dir", folder.join("ca"), "--server", "https://10.0.0.1:6443", "--yes"];
  const assertFails = async (args: readonly string[], fault: RegExp): Promise<void> => {
    const { code, stdout, stderr } = await tlsboot(...args);
    assert.equal(code, 1, stdout);
    assert.match(stderr, fault);
  };
  await succeed("ca", "init", "--data-dir", folder.join("ca"));
  await disk.fill();
  await assertFails(
    machine("n1"),
    /cannot write "\S+n1\.request\.pem": no space left on device\n.*hint: free some space/,
  );
  const key = await readFile(folder.join("n1", "pki", "kubelet-client.key.tmp"), "utf8");
  await disk.free();
  await succeed(...machine("n1"));
  assert.ok((await readFile(folder.join("n1", "pki", "kubelet-client.key.tmp"), "utf8")).endsWith(key));

  await disk.fill();
  await assertFails(sign, /cannot write "\S+n1\.answer\.pem": no space left on device\n.*: the answer is kept/);
  const recorded = await readFile(log, "utf8");
  assert.equal(recorded.trim().split("\n").length, 1);
  await disk.free();
  assert.match(await succeed(...sign), /^n1\.answer\.pem: already signed, /);
  assert.equal(await readFile(log, "utf8"), recorded);

  await succeedProgram("mount", ["-o", "remount,ro", disk.path]);
  await assertFails(machine("n2"), /cannot write "\S+n2\.request\.pem": the file system is read-only\n.*hint: /);
  assert.match(await succeed(...sign), /^n1\.answer\.pem: already signed, /);
  assert.match(await succeed(...machine("n1")), /^certificate of n1 issued/);
  await assertNodePair(
    folder.join("ca", "pki", "ca.crt"),
    folder.join("n1", "pki", "kubelet-client-current.pem"),
    "n1",
  );
});

test("a CA machine without a network creates a root with shares, even after kills, and a CA below it signs requests on a stick", async () => {
  await using folder = await createTempFolder();
  const at = (name: string) => folder.join(name);
  await mkdir(at("stick"));
  await succeed("ca", "request", "--data-dir", at("site"), "--out", at("stick/ca.csr"));
  const init = [
    ...["ca", "init", "--data-dir", at("root"), "--common-name", "root", "--duration", "20y"],
    ...["--shares", "2-of-3", "--shares-out", at("shares")],
  ];
  const [root, key, chain] = [at("root/pki/ca.crt"), at("root/pki/ca.key"), at("stick/ca.crt")];
  for (const path of [at("shares/share-1-of-3.txt"), at("shares/share-3-of-3.html"), key]) {
    const [command, all] = tlsbootCommand(init);
    await using killed = start("unshare", ["--net", command, ...all]);
    await until(() => existsSync(path) || killed.hasEnded());
    killed.kill("SIGKILL");
    await killed.finished();
    // An incomplete set of shares is useless, so it is removed.
    if (!existsSync(at("shares/share-3-of-3.html"))) await rm(at("shares"), { recursive: true });
  }
  if (!existsSync(root)) await succeed(...init);
  const shares = [2, 3].flatMap((number) => ["--ca-passphrase-file", at(`shares/share-${number}-of-3.txt`)]);
  const sign = [...["ca", "sign", at("stick/ca.csr"), "--data-dir", at("root")], ...shares, ...["--out", chain]];
  const signed = await succeed(...sign);
  await openssl(["verify", "-x509_strict", "-CAfile", root, chain]);
  const { stdout } = await runProgram("openssl", ["x509", "-in", chain, "-noout", "-fingerprint", "-sha256"]);
  assert.ok(signed.includes(`SHA-256: ${stdout.trim().split("=")[1]}\n`));
  await succeed(
    ..."ca shares combine --out".split(" "),
    at("root.pass"),
    ...shares.filter((_, index) => index % 2 === 1),
  );
  await openssl(["pkey", "-in", key, "-passin", `file:${at("root.pass")}`, "-out", at("root.key")]);
  await assertKeyMatches(root, at("root.key"));

  await succeed("ca", "import", "--data-dir", at("site"), "--ca-cert", chain);
  const machine = [
    ...["bootstrap", "--offline", at("stick"), "--kubeconfig", at("n1/kubeconfig"), "--cert-dir", at("n1/pki")],
    ...["--hostname-override", NODE],
  ];
  await succeed(...machine);
  await succeed("sign", at("stick"), "--data-dir", at("site"), "--server", "https://10.0.0.1:6443", "--yes");
  await succeed(...machine);
  const pair = at("n1/pki/kubelet-client-current.pem");
  await openssl(["verify", "-CAfile", root, "-untrusted", pair, "-purpose", "sslclient", pair]);
});
