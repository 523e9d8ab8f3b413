/** Compares kube-controller-manager and our signer byte for byte, with the same requests and the same CA files. */
import assert from "node:assert/strict";
import { chmod, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createAuthority } from "../../core/pki/authority/authority.ts";
import { generatePrivateKey, type KeyAlgorithm } from "../../core/pki/keys/keys.ts";
import { type Child, spawnTlsboot } from "../support/child.ts";
import type { TempFolder } from "../support/temp.ts";
import type { ControlPlane } from "../support/interop/control_plane.ts";
import type { Kubectl } from "../support/interop/kubectl.ts";
import { openssl } from "../support/interop/openssl.ts";
import { sharedControlPlane } from "../support/interop/shared.ts";
import {
  CA_CASES,
  CASES,
  ENCIPHERMENT_CASES,
  SHORT_DURATION_CASES,
  type SigningCase,
} from "../support/interop/signing_cases.ts";
import { compareOutcomes, type Outcome, waitForOutcomes } from "../support/interop/signing_outcomes.ts";
import { generateRequests, type SigningRequest, submitRequests } from "../support/interop/signing_requests.ts";

/** A CA made by OpenSSL whose name has unusual attributes. */
interface OddCa {
  readonly key: readonly string[];
  readonly subject: string;
  readonly extensions?: readonly string[];
}

const ODD_CAS: Readonly<Record<string, OddCa>> = {
  shared: { key: ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], subject: "/O=Zoë/O=Ant+OU=one/emailAddress=a@b.c/CN=CA" },
  "kubelet-serving": { key: ["RSA", "-pkeyopt", "rsa_keygen_bits:3072"], subject: "/CN=serving/O=last/DC=example" },
  "kubelet-client": {
    key: ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    subject: "/CN=without a key identifier",
    extensions: [],
  },
  "kube-apiserver-client": { key: ["EC", "-pkeyopt", "ec_paramgen_curve:P-521"], subject: "/CN=same" },
  "legacy-unknown": { key: ["ED25519"], subject: "/CN=legacy CA" },
};

/** Creates `NAME.crt` and `NAME.key`, valid for ten days, so that longer certificates are cut to the CA's end. */
async function addOddCa(folder: TempFolder, name: string): Promise<void> {
  const { key: [algorithm = "", ...options], subject, extensions = ["subjectKeyIdentifier=hash"] } = ODD_CAS[name]!;
  const configuration = folder.join("ca.cnf");
  const lines = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign", ...extensions];
  await writeFile(
    configuration,
    `[req]\ndistinguished_name=names\nx509_extensions=extensions\n[names]\n[extensions]\n${lines.join("\n")}\n`,
  );
  const keyFile = folder.join(`${name}.key`);
  await openssl(["genpkey", "-algorithm", algorithm, ...options, "-out", keyFile]);
  await chmod(keyFile, 0o600);
  await openssl([
    ...["req", "-x509", "-new", "-utf8", "-config", configuration, "-key", keyFile, "-subj", subject, "-days", "10"],
    ...["-out", folder.join(`${name}.crt`)],
  ]);
}

/** Creates a CA that expired `agoMs` ago. */
async function addExpiredCa(folder: TempFolder, name: string, algorithm: KeyAlgorithm, agoMs: number): Promise<void> {
  const key = await generatePrivateKey(algorithm);
  const now = Date.now();
  const { certificatePem } = await createAuthority({
    commonName: name,
    notBefore: new Date(now - 86_400_000),
    notAfter: new Date(now - agoMs),
    key,
    serial: Uint8Array.of(1),
  });
  await writeFile(folder.join(`${name}.crt`), certificatePem);
  await writeFile(folder.join(`${name}.key`), key.toPem(), { mode: 0o600 });
}

function useOneCa(folder: TempFolder, name: string, duration: string): readonly string[] {
  return [
    ...[`--cluster-signing-cert-file=${folder.join(`${name}.crt`)}`],
    ...[`--cluster-signing-key-file=${folder.join(`${name}.key`)}`, `--cluster-signing-duration=${duration}`],
  ];
}

function useSeparateCas(folder: TempFolder): readonly string[] {
  return ["kubelet-serving", "kubelet-client", "kube-apiserver-client", "legacy-unknown"].flatMap((name) => [
    `--cluster-signing-${name}-cert-file=${folder.join(`${name}.crt`)}`,
    `--cluster-signing-${name}-key-file=${folder.join(`${name}.key`)}`,
  ]);
}

/** Collects the answers of a signer to all requests, on an API without another signer. */
async function collectAnswers(
  signer: Child,
  requests: readonly SigningRequest[],
  plane: ControlPlane,
  kubectl: Kubectl,
): Promise<ReadonlyMap<string, Outcome>> {
  await using running = signer;
  // Each signer starts before its requests are sent, because the times of the certificates are compared.
  await running.waitFor(/Starting certificate controller|working for an API server/);
  await submitRequests(plane, kubectl, requests);
  const answers = await waitForOutcomes(kubectl, requests, running);
  // This is a single API request; kubectl delete would send one for each object, throttled.
  await kubectl.run("delete", "--raw", "/apis/certificates.k8s.io/v1/certificatesigningrequests");
  return answers;
}

async function assertAgree(
  cases: readonly SigningCase[],
  flags: readonly string[],
  plane: ControlPlane,
  kubectl: Kubectl,
): Promise<ReadonlyMap<string, Outcome>> {
  const requests = await generateRequests(plane.folder, cases);
  const signing = ["certificatesigningrequest-signing-controller"];
  const theirs = await collectAnswers(plane.startControllers(signing, flags), requests, plane, kubectl);
  const signerArgs = ["signer", "--kubeconfig", plane.adminKubeconfig, "--leader-elect=false", ...flags];
  const ours = await collectAnswers(spawnTlsboot(signerArgs), requests, plane, kubectl);
  const faults: string[] = [];
  const byName = new Map<string, Outcome>();
  for (const { csr, name } of requests) {
    const [want, got] = [theirs.get(csr), ours.get(csr)];
    assert.ok(want !== undefined && got !== undefined);
    byName.set(name, want);
    const differences = await compareOutcomes(want, got);
    if (differences.length > 0) faults.push(`${name}\n  ${differences.join("\n  ")}`);
  }
  assert.equal(faults.length, 0, `${faults.length} of ${requests.length} differ:\n${faults.join("\n")}`);
  return byName;
}

async function createAuthorities(plane: ControlPlane): Promise<void> {
  for (const name of Object.keys(ODD_CAS)) await addOddCa(plane.folder, name);
  await addExpiredCa(plane.folder, "expired-long-ago", "ecdsa-p256", 3_600_000);
  await addExpiredCa(plane.folder, "expired-just-now", "ecdsa-p256", 5_000);
}

test("kube-controller-manager and our signer issue the same certificates and give the same refusals", async () => {
  await using plane = await sharedControlPlane();
  const { kubectl } = plane;
  await createAuthorities(plane);

  const cases = [...CASES, ...ENCIPHERMENT_CASES];
  const answers = await assertAgree(cases, useOneCa(plane.folder, "shared", "24h"), plane, kubectl);
  // The comparison must include every kind of answer.
  for (const [kind, min] of [["issued", 100], ["failed", 30], ["retried", 4]] as const) {
    const count = [...answers.values()].filter((answer) => answer.kind === kind).length;
    assert.ok(count >= min, `${count} requests are ${kind}`);
  }

  await assertAgree(CA_CASES, useSeparateCas(plane.folder), plane, kubectl);
  await assertAgree(SHORT_DURATION_CASES, useOneCa(plane.folder, "shared", "5m"), plane, kubectl);
  for (const name of ["expired-long-ago", "expired-just-now"]) {
    const flags = useOneCa(plane.folder, name, "1h");
    const expired = await assertAgree(CA_CASES.slice(0, 1), flags, plane, kubectl);
    assert.equal(expired.get("kubelet client")?.kind, "retried");
  }
});
