/** `tlsboot doctor` with the files of stock kubelet and kubeadm, compared with OpenSSL's strict verification. */
import assert from "node:assert/strict";
import { chown, mkdir, readFile, utimes, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { issueClientPair } from "../../../instance/authority/issue_pair.ts";
import { createSystemRandom } from "../../../cli/system.ts";
import { checkStrictly } from "../../../core/report/health/certificates.ts";
import type { Finding } from "../../../core/report/health/finding.ts";
import { parseAuthority } from "../../../core/pki/authority/authority.ts";
import { parseCertificate } from "../../../core/pki/x509/certificate.ts";
import { computeKeyId } from "../../../core/pki/authority/issue.ts";
import { decodeHex } from "../../../core/lib/encodings.ts";
import { generatePrivateKey } from "../../../core/pki/keys/keys.ts";
import { encodePem } from "../../../core/pki/asn1/pem.ts";
import { encodeOctetString, encodeSequence, encodeValue } from "../../../core/pki/asn1/der_writer.ts";
import { contextTag } from "../../../core/pki/asn1/der.ts";
import { runProgram, spawnTlsbootToEnd, succeedProgram, succeedTlsboot } from "../../support/child.ts";
import { peerPath } from "../../support/peers/go.ts";
import { mountSmallDisk } from "../../support/interop/small_disk.ts";
import { startKubelet } from "../../support/interop/kubelet.ts";
import { startInstance } from "../../support/interop/instance.ts";
import { basicConstraints, encodeOddCertificate, keyUsage, type OddExtension } from "../../support/odd_certificate.ts";
import { createTempFolder } from "../../support/temp.ts";

async function findProblems(...args: readonly string[]): Promise<readonly Finding[]> {
  const { stdout, stderr } = await spawnTlsbootToEnd(["doctor", "-o", "json", ...args]);
  assert.notEqual(stdout, "", stderr);
  const { findings }: { findings: readonly Finding[] } = JSON.parse(stdout);
  assert.notEqual(findings.length, 0);
  return findings.filter(({ severity }) => severity === "error" || severity === "warning");
}

test("doctor finds nothing wrong with the files of a stock kubelet, given its folder or its kubeconfig", async () => {
  await using instance = await startInstance({ args: ["--auto-approve"] });
  await using kubelet = await startKubelet(instance.folder, "n1", instance.bootstrapKubeconfig);
  await kubelet.running.finished();
  assert.deepEqual(await findProblems(kubelet.certDir, "--kubeconfig", kubelet.kubeconfig), []);
  assert.deepEqual(await findProblems(kubelet.kubeconfig), []);
  assert.deepEqual(await findProblems(instance.dataDir), []);
});

test("doctor finds nothing wrong with the CAs of kubeadm, and its fix for an expired certificate works", async () => {
  await using folder = await createTempFolder();
  const pki = folder.join("pki");
  const config = [
    "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: { advertiseAddress: 10.0.0.1 }",
    "nodeRegistration: { name: n1 }\n---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration",
    `kubernetesVersion: v1.37.2\ncertificatesDir: ${pki}\n`,
  ].join("\n");
  await writeFile(folder.join("kubeadm.yaml"), config);
  const kubeadm = peerPath("kubeadm");
  await succeedProgram(kubeadm, ["init", "phase", "certs", "all", "--config", folder.join("kubeadm.yaml")]);
  assert.deepEqual(await findProblems(pki), []);

  const read = (name: string): Promise<string> => readFile(`${pki}/${name}`, "utf8");
  const authority = await parseAuthority(await read("ca.crt"), await read("ca.key"));
  assert.ok(authority.ok);
  const { certificatePem, keyPem } = await issueClientPair(
    authority.value,
    { commonName: "kube-apiserver", organizations: [], lifetimeMs: 3_600_000 },
    { clock: { now: () => new Date(Date.now() - 7_200_000) }, random: createSystemRandom() },
  );
  await writeFile(`${pki}/apiserver.crt`, certificatePem);
  await writeFile(`${pki}/apiserver.key`, keyPem.reveal());
  const [ended, ...others] = await findProblems(pki);
  assert.deepEqual(others, []);
  assert.match(ended?.message ?? "", /^certificate "kube-apiserver" in "\S+\/pki\/apiserver\.crt" expired at /);
  assert.equal(ended?.fix, `kubeadm certs renew apiserver --cert-dir ${pki}`);
  await succeedProgram("sh", ["-c", `kubeadm() { '${kubeadm}' "$@"; }\n${ended?.fix ?? ""}`]);
  assert.deepEqual(await findProblems(pki), []);
});

test("checkStrictly() refuses what OpenSSL refuses with -x509_strict, as Python 3.13 does", async () => {
  await using folder = await createTempFolder();
  await mkdir(folder.join("strict"));
  const [caKey, leafKey] = [await generatePrivateKey("ecdsa-p256"), await generatePrivateKey("ecdsa-p256")];
  const times = { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 3_600_000) };
  const caId = decodeHex(computeKeyId(caKey.publicKeyDer()));
  const subjectKeyId: OddExtension = { oid: "2.5.29.14", critical: false, value: encodeOctetString(caId) };
  const authorityKeyId: OddExtension = {
    oid: "2.5.29.35",
    critical: false,
    value: encodeSequence(encodeValue(contextTag(0, false), caId)),
  };
  const VALID_CA = [basicConstraints(true), keyUsage(5, 6), subjectKeyId];
  const VALID_LEAF = [keyUsage(0), authorityKeyId];
  for (
    const { name, ca = VALID_CA, leaf = VALID_LEAF, isRefused } of [
      { name: "a valid chain", isRefused: false },
      { name: "a CA without a subject key identifier", ca: VALID_CA.slice(0, 2), isRefused: true },
      { name: "a CA without key usages", ca: [basicConstraints(true), subjectKeyId], isRefused: true },
      {
        name: "basic constraints that are not critical",
        ca: [{ ...basicConstraints(true), critical: false }, ...VALID_CA.slice(1)],
        isRefused: true,
      },
      { name: "a leaf without an authority key identifier", leaf: [keyUsage(0)], isRefused: true },
      { name: "a leaf that may sign certificates", leaf: [keyUsage(0, 5), authorityKeyId], isRefused: true },
    ]
  ) {
    const base = { issuer: "ca", signer: caKey, serial: Uint8Array.of(1), version: 3, ...times } as const;
    const ders = [
      encodeOddCertificate({ ...base, subject: "ca", key: caKey, extensions: ca }),
      encodeOddCertificate({ ...base, subject: "leaf", key: leafKey, extensions: leaf }),
    ];
    const paths = [folder.join("strict/ca.crt"), folder.join("strict/leaf.crt")] as const;
    for (const [index, path] of paths.entries()) await writeFile(path, encodePem("CERTIFICATE", ders[index]!));
    const verified = await runProgram("openssl", ["verify", "-x509_strict", "-CAfile", ...paths]);
    assert.equal(verified.code !== 0, isRefused, `${name}: ${verified.stdout}${verified.stderr}`);
    const chain = ders.map(parseCertificate).map((parsed) => {
      assert.ok(parsed.ok);
      return parsed.value;
    });
    const pairs = chain.map((one) => ({ file: "x", keyFile: undefined, publicKeyDer: undefined, chain: [one] }));
    assert.equal(checkStrictly(pairs).length > 0, isRefused, name);
  }
});

test("doctor finds a key that belongs to another user and a nearly full disk, and its fixes work unchanged, as root", async () => {
  await using folder = await createTempFolder();
  await using disk = await mountSmallDisk(folder.join("small"), 128 * 1024);
  await succeedTlsboot(["ca", "init", "--data-dir", "small/data"], { cwd: folder.path });
  const leftover = `${disk.path}/data/.tlsboot.db.0.tmp`;
  await writeFile(leftover, new Uint8Array(100 * 1_048_576));
  const longAgo = new Date(Date.now() - 2 * 3_600_000);
  await utimes(leftover, longAgo, longAgo);
  await chown(`${disk.path}/data/pki/ca.key`, 12_345, 12_345);
  const target = `${disk.path}/data`;
  const problems = (await findProblems(target)).filter(({ check }) => check === "disk" || check === "secret-files");
  assert.deepEqual(problems.map(({ check, severity }) => [check, severity]).sort(), [
    ["disk", "warning"],
    ["secret-files", "error"],
  ]);
  for (const { check, message, fix = "" } of problems) {
    if (check === "disk") assert.match(message, /^the disk of ".*" has \d+ MB left$/);
    else assert.match(message, /ca\.key" is not private: it belongs to another user/);
    assert.match(
      fix,
      check === "disk" ? /^rm \S+\.tlsboot\.db\.0\.tmp$/ : /^chown --reference=\S+ \S+ && chmod 600 \S+$/,
    );
    await succeedProgram("sh", ["-c", fix], { cwd: folder.path });
  }
  const remaining = (await findProblems(target)).map(({ check }) => check);
  assert.deepEqual(remaining.filter((check) => check === "disk" || check === "secret-files"), []);
});
