/** Tests `tlsboot bootstrap` during a CA rotation, as a daemon and as a command. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import type { TrustReport } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { eventually } from "../support/eventually.ts";
import { bootstrapLine, connectWith, createWorkplace, startInstance } from "../support/instance_process.ts";
import { readCa } from "../support/signing_ca.ts";

const { signal } = new AbortController();

test("bootstrap trusts a new CA, reports it, renews early with it, but only once, and drops the old one", async () => {
  await using folder = await createWorkplace();
  await using _instance = await startInstance(folder, ["--auto-approve"]);
  const { succeed } = folder;
  const rotate = (...args: readonly string[]) => succeed("ca", "rotate", ...args);
  const readIssuer = async (name: string): Promise<string> =>
    new X509Certificate(await readFile(folder.join(`${name}/pki/kubelet-client-current.pem`))).issuer;
  const readReport = async (name: string): Promise<readonly string[] | undefined> => {
    await using admin = await connectWith(folder.join("data/admin.kubeconfig"));
    const path = "/apis/tlsboot/v1alpha1/trustreports";
    const { items } = await admin.api.requestList<TrustReport>({ method: "GET", path }, signal);
    return items.find(({ status }) => status.username === `system:node:${name}`)?.spec.trusted;
  };
  const readFingerprint = async (file: string): Promise<string> =>
    (await readCa(folder.join("data/pki", file))).sha256Fingerprint;

  await using rotating = folder.start(...bootstrapLine("n1", "--rotate-certificates"));
  await rotating.waitFor(/kubeconfig: n1\/kubeconfig/);
  await succeed(...bootstrapLine("n2"));
  const before = [await readFile(folder.join("n2/kubeconfig"), "utf8"), await readIssuer("n1")];
  const oldCa = await readFingerprint("ca.crt");
  // No user may report anything until a CA is replaced.
  assert.equal(await readReport("n1"), undefined);

  await succeed("ca", "init", "--data-dir", "next", "--common-name", "second");
  await rotate("begin", "--new-ca-cert", "next/pki/ca.crt", "--new-ca-key", "next/pki/ca.key");
  await rotating.waitFor(/n1\/kubeconfig: 2 CAs are trusted now \(1 new, 0 removed\)/);
  const taken = await succeed(...bootstrapLine("n2"));
  assert.match(taken.stdout, /^n2\/kubeconfig: 2 CAs are trusted now \(1 new, 0 removed\)\nnothing to do: /);
  const both = [oldCa, await readFingerprint("next-ca.crt")].sort();
  assert.deepEqual(await readReport("n2"), both);
  assert.deepEqual((await eventually("a report of n1", () => readReport("n1"))).toSorted(), both);

  await rotate("switch", "--over", "1s");
  await rotating.waitFor(/certificate renewed, valid until/);
  assert.equal(await readIssuer("n1"), "CN=second");
  assert.notEqual(before[1], "CN=second");
  assert.match(await folder.answer(...bootstrapLine("n2")), /^certificate renewed, valid until \S+\n$/);
  assert.equal(await readIssuer("n2"), "CN=second");
  assert.match(await folder.answer(...bootstrapLine("n2")), /^nothing to do: /);

  await rotate("finish");
  await rotating.waitFor(/n1\/kubeconfig: 1 CA is trusted now \(0 new, 1 removed\)/);
  // A machine that missed the end of the rotation still trusts the CA of the new serving certificate.
  assert.match(
    await folder.answer(...bootstrapLine("n2")),
    /^n2\/kubeconfig: 1 CA is trusted now \(0 new, 1 removed\)\n/,
  );
  const after = await readFile(folder.join("n2/kubeconfig"), "utf8");
  const value = /(certificate-authority-data: )\S+/;
  assert.equal(after.replace(value, "$1"), before[0]?.replace(value, "$1"));
  assert.deepEqual(await readReport("n2"), [await readFingerprint("ca.crt")]);
  assert.equal(rotating.stdout().match(/certificate renewed/g)?.length, 1);
  assert.doesNotMatch(rotating.stderr(), /WARN|ERROR/);
});
