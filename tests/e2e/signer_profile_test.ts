/** Tests custom signers: faults at startup, certificates that `up` issues by a profile, and a changing profile. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import type { ApiClient } from "../../client/objects/api.ts";
import { parseCertificateChain } from "../../core/machine/credential_pair.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { type CsrOptions, fromBase64 } from "../support/csr_builder.ts";
import { createIntermediateCa, createSigningCa } from "../support/signing_ca.ts";
import { connectWith, createWorkplace, startInstance } from "../support/instance_process.ts";
import { requestAndApprove } from "../support/node_requests.ts";

const createProfile = (max: string, usages = "server auth") =>
  `apiVersion: tlsboot/v1alpha1
kind: SigningProfile
signerName: example.com/web
names: { dns: { allowed: ["*.web.example.com"] } }
usages: { allowed: [${usages}] }
lifetime: { max: ${max} }
extensions: { ocsp: [http://ocsp.example.com] }
`;

/** Submits and approves a request, and returns it with the signer's answer. */
function decide(api: ApiClient, name: string, edit: CsrOptions): Promise<CertificateSigningRequest> {
  const empty = { commonName: "", organizations: [], usages: ["server auth"] };
  return requestAndApprove(api, { name, signerName: "example.com/web", ...empty, ...edit });
}

function getCertificate(csr: CertificateSigningRequest): X509Certificate {
  return new X509Certificate(fromBase64(csr.status.certificate ?? ""));
}

function findFailure(csr: CertificateSigningRequest): string | undefined {
  return csr.status.conditions?.find(({ type }) => type === "Failed")?.message;
}

function getLifeInHours(certificate: X509Certificate): number {
  return (Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / 3_600_000;
}

test("tlsboot up signs and refuses by a profile, and loads a changed one without a restart", async () => {
  await using folder = await createWorkplace();
  const file = folder.join("web.yaml");
  await writeFile(file, createProfile("24h", "server auth, client auth"));
  await using instance = await startInstance(folder, ["--profile", file]);
  await using connected = await connectWith(`${instance.data}/admin.kubeconfig`);
  const { api } = connected;

  const issued = getCertificate(await decide(api, "a", { dnsNames: ["a.web.example.com"] }));
  assert.equal(issued.subjectAltName, "DNS:a.web.example.com");
  assert.equal(issued.infoAccess, "OCSP - URI:http://ocsp.example.com");
  assert.equal(getLifeInHours(issued), 24);
  assert.equal(
    findFailure(await decide(api, "b", { dnsNames: ["a.db.example.com"] })),
    "DNS subjectAltName is not allowed: a.db.example.com",
  );
  // The CA of an instance is the one that its API trusts.
  assert.equal(
    findFailure(await decide(api, "c", { usages: ["client auth"] })),
    "client auth is not allowed: the API trusts this CA for clients",
  );

  const described = await folder.succeed("describe", "csr", "b", "--profile", file);
  assert.match(described.stdout, /\n {2}ok +the subject is empty\n/);
  assert.match(
    described.stdout,
    /\n {2}refused +the DNS names are \*\.web\.example\.com; but DNS subjectAltName is not allo/,
  );
  assert.match(described.stdout, /\n {2}note +OCSP responders are at http:\/\/ocsp\.example\.com\.\n/);

  await writeFile(file, createProfile("24h").replace("lifetime", "lifetyme"));
  await instance.running.waitFor(/profile changed but cannot be used, the old one stays in use.*did you mean lifetime/);
  assert.equal(getLifeInHours(getCertificate(await decide(api, "d", {}))), 24);
  await writeFile(file, createProfile("10h"));
  await instance.running.waitFor(/profile reloaded/);
  assert.equal(getLifeInHours(getCertificate(await decide(api, "e", {}))), 10);
});

test("tlsboot up with a split CA signs by a profile with the CA of custom signers", async () => {
  await using folder = await createWorkplace();
  await folder.succeed("ca", "init", "--split", "--data-dir", "data");
  await writeFile(folder.join("web.yaml"), createProfile("24h", "server auth, client auth"));
  await using instance = await startInstance(folder, ["--profile", "web.yaml"]);
  await using connected = await connectWith(`${instance.data}/admin.kubeconfig`);
  const issued = getCertificate(await decide(connected.api, "a", { dnsNames: ["a.web.example.com"] }));
  assert.equal(issued.issuer, "CN=tlsboot-ca-custom");
  // The API does not trust that CA.
  const client = getCertificate(await decide(connected.api, "b", { usages: ["client auth"] }));
  assert.equal(client.issuer, "CN=tlsboot-ca-custom");
});

test("tlsboot up appends the intermediates of --cluster-signing-cert-file to certificates, unless the profile has chain: false", async () => {
  await using folder = await createWorkplace();
  const lower = await createIntermediateCa(await createSigningCa({ commonName: "root" }), "lower");
  await writeFile(folder.join("ca.crt"), lower.certificatePem);
  await writeFile(folder.join("ca.key"), lower.keyPem, { mode: 0o600 });
  await writeFile(folder.join("web.yaml"), createProfile("24h"));
  await using instance = await startInstance(folder, [
    ...["--profile", "web.yaml", "--cluster-signing-cert-file", "ca.crt", "--cluster-signing-key-file", "ca.key"],
  ]);
  await using connected = await connectWith(`${instance.data}/admin.kubeconfig`);
  const subjects = async (name: string, edit: CsrOptions = {}) => {
    const { status } = await decide(connected.api, name, edit);
    const chain = parseCertificateChain(fromBase64(status.certificate ?? ""));
    assert.ok(chain.ok);
    return chain.value.map(({ subject }) => subject.commonName);
  };
  assert.deepEqual(await subjects("a"), ["", "lower"]);
  const user = { signerName: "kubernetes.io/kube-apiserver-client", commonName: "alice", usages: ["client auth"] };
  assert.deepEqual(await subjects("b", user), ["alice"]);
  await writeFile(folder.join("web.yaml"), `${createProfile("24h")}chain: false\n`);
  await instance.running.waitFor(/profile reloaded/);
  assert.deepEqual(await subjects("c"), [""]);
  const described = await folder.tlsboot("describe", "csr", "c", "--profile", "web.yaml");
  assert.match(described.stdout, /\n {2}note +A certificate is issued without the intermediate CAs\.\n/);
});

test("tlsboot policy check describes a profile in words, and reports every fault with its position", async () => {
  await using folder = await createWorkplace();
  await writeFile(folder.join("good.yaml"), createProfile("24h"));
  await writeFile(
    folder.join("bad.yaml"),
    createProfile("24h").replace("allowed: [server auth]", "allow: [server auth]"),
  );
  const files = {
    "test.yaml": "apiVersion: tlsboot/v1alpha1\nkind: PolicyTest\ncases: [{name: x, expect: {verdict: aprove}}]\n",
    "inventory.json": '{"apiVersion": "tlsboot/v1alpha1", "kind": "Inventory", "nodes": []}\n',
    "audit.yaml": "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n",
    "other.yaml": "apiVersion: v1\nkind: List\nitems: []\n",
  };
  for (const [name, text] of Object.entries(files)) await writeFile(folder.join(name), text);
  const valid = await folder.succeed("policy", "check", "good.yaml", "inventory.json", "audit.yaml");
  assert.match(
    valid.stdout,
    /^Signer example\.com\/web requires that\n {2}the subject is empty\n {2}the DNS names are \*/,
  );
  assert.match(valid.stdout, /\nThe intermediate CAs follow each certificate, when there are any\.\n/);
  assert.match(valid.stdout, /\n\n0 errors, 0 warnings, 3 ok\n$/);
  const { code, stdout, stderr } = await folder.tlsboot(
    ...["policy", "check", "bad.yaml", "test.yaml", "other.yaml", "gone.yaml"],
  );
  assert.equal(code, 1);
  assert.match(stdout, /"bad\.yaml" cannot be used: usages\.allow: unknown key; did you mean allowed\?/);
  assert.match(stdout, /"bad\.yaml" cannot be used: usages\.allowed: missing/);
  assert.match(stdout, /"test\.yaml" cannot be used: cases\[0\]\.expect\.verdict: unknown value "aprove"/);
  assert.match(stderr, /cannot check "other\.yaml": it has no kind that tlsboot knows\n.*hint: use kind: /);
  assert.match(stderr, /cannot check "gone\.yaml": there is no such file\n/);
});

for (
  const [line, code, want] of [
    ["", 2, "--kubeconfig is required"],
    [
      "--signer example.com/web",
      2,
      '--signer: "example.com/web" is not a signer of Kubernetes and has no profile',
    ],
    ["--signer kubernetes.io/kubelet-servin", 2, "did you mean kubernetes.io/kubelet-serving?"],
    ["--profile web.yaml --signer kubernetes.io/kubelet-serving", 2, "which --signer does not name"],
    ["--profile web.yaml,web.yaml", 2, '--profile: two profiles are for signer "example.com/web"'],
    ["--pod-certificates", 2, "--pod-certificates needs --signer or --profile"],
    [
      "--pod-certificates --signer kubernetes.io/kubelet-serving",
      2,
      '--signer: "kubernetes.io/kubelet-serving" has no profile for pods',
    ],
    [
      "--pod-certificates --profile web.yaml",
      2,
      "pods: missing; this section lists the pods that may have certificates",
    ],
    ["--profile nowhere.yaml", 1, 'nowhere.yaml": no such file'],
    ["--profile .", 1, "cannot read"],
    [
      "--profile web.yaml --kubeconfig k --cluster-signing-kubelet-serving-cert-file a --cluster-signing-kubelet-serving-key-file b",
      2,
      'no CA to sign with for "example.com/web"',
    ],
  ] as const
) {
  test(`tlsboot signer ${line} does not start`, async () => {
    await using folder = await createWorkplace();
    await writeFile(folder.join("web.yaml"), createProfile("24h"));
    const stderr = await folder.refuse(code, ...`signer ${line}`.trim().split(" "));
    assert.ok(stderr.includes(want), stderr);
  });
}
