/** zlint's checks of RFC 5280 for certificates of every signer, CA and purpose. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { encodeBase64 } from "../../../core/lib/encodings.ts";
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER as KUBELET_CLIENT,
  KUBE_APISERVER_CLIENT_SIGNER as CLIENT,
  KUBELET_SERVING_SIGNER as SERVING,
  LEGACY_UNKNOWN_SIGNER as LEGACY,
} from "../../../core/kube/kinds/constants.ts";
import { parseRequest } from "../../../core/request/parse_request.ts";
import type { Authority } from "../../../core/pki/authority/authority.ts";
import { issueCertificate } from "../../../core/pki/authority/issue.ts";
import { KEY_ALGORITHMS } from "../../../core/pki/keys/keys.ts";
import { encodePem } from "../../../core/pki/asn1/pem.ts";
import { BUILTIN_SIGNERS, planCertificate } from "../../../core/signing/profile.ts";
import { succeedIn } from "../../support/child.ts";
import { createSigningCa } from "../../support/signing_ca.ts";
import { createTempFolder, type TempFolder } from "../../support/temp.ts";
import { CA_EXTENSIONS, makeCertificate } from "../../support/interop/openssl.ts";
import { CASES, type KeyName, KEYS, type SigningCase } from "../../support/interop/signing_cases.ts";
import { generateRequests, type SigningRequest } from "../../support/interop/signing_requests.ts";
import { assertLints, certificateBlocks, zlintErrors } from "../../support/interop/zlint.ts";

/**
 * Requests that violate RFC 5280 and are signed anyway: kube-controller-manager issues the same certificates byte for
 * byte (`signer_comparison_test.ts`), so clients may depend on them.
 */
const AS_UPSTREAM: ReadonlyMap<string, string> = new Map([
  // The subject is empty, because the API's client signer has no rule for subjects.
  ["subject: empty", "e_subject_empty_without_san"],
  // Names are copied, even if they are not valid host names.
  ["extensions: names of four kinds, out of order", "e_ext_san_uri_host_not_fqdn_or_ip"],
  ["extensions: a wildcard and an underscore", "e_rfc_dnsname_underscore_in_sld"],
  // Usages are mapped one by one; none of them makes a CA.
  ["legacy for cert sign", "e_ext_key_usage_cert_sign_without_ca"],
  ["legacy for everything", "e_ext_key_usage_cert_sign_without_ca"],
  // Kubelets with RSA keys request key encipherment with client auth.
  ["client for key encipherment", "e_key_usage_and_extended_key_usage_inconsistent"],
  ["kubelet client, three usages", "e_key_usage_and_extended_key_usage_inconsistent"],
]);

const PROFILE = `apiVersion: tlsboot/v1alpha1
kind: SigningProfile
signerName: example.com/web
subject:
  commonName: { allowed: ["*.web.example.com"] }
names:
  dns: { allowed: ["*.web.example.com"] }
  ips: { allowed: [10.0.0.0/8, "2001:db8::/32"] }
  uris: { allowed: ["spiffe://example.com/**"] }
  emails: { allowed: ["*@example.com"] }
usages:
  allowed: [digital signature, server auth, client auth]
  default: [digital signature, server auth]
lifetime: { max: 90d, default: 30d }
extensions:
  ocsp: [http://ocsp.example.com]
  caIssuers: [http://pki.example.com/ca.crt]
  crl: [http://pki.example.com/ca.crl]
  policies:
    - { oid: 1.3.6.1.4.1.55555.1, cps: "http://pki.example.com/cps" }
  raw:
    - { oid: 1.3.6.1.4.1.55555.2, critical: false, der: "0500" }
`;

/** An acceptable request for each signer. */
const ACCEPTED_REQUESTS: readonly SigningCase[] = [
  { name: "client", signerName: CLIENT, usages: ["client auth", "digital signature"], subject: "/O=ant/CN=alice" },
  {
    name: "kubelet-client",
    signerName: KUBELET_CLIENT,
    usages: ["client auth", "digital signature"],
    subject: "/O=system:nodes/CN=system:node:n1",
  },
  {
    name: "kubelet-serving",
    signerName: SERVING,
    usages: ["server auth", "digital signature"],
    subject: "/O=system:nodes/CN=system:node:n1",
    extensions: ["subjectAltName=DNS:n1.example.org,IP:10.0.0.1,IP:2001:db8::1"],
  },
  { name: "legacy", signerName: LEGACY, usages: ["digital signature"], subject: "/CN=legacy" },
  {
    name: "web",
    signerName: "example.com/web",
    usages: ["server auth", "digital signature"],
    subject: "/CN=a.web.example.com",
    extensions: [
      "subjectAltName=DNS:a.web.example.com,IP:10.0.0.2,URI:spiffe://example.com/web,email:web@example.com",
    ],
  },
];

/** Signs a file for each request, and returns the certificates by name. */
async function sign(
  folder: TempFolder,
  cases: readonly SigningCase[],
  ...flags: readonly string[]
): Promise<ReadonlyMap<string, string>> {
  await writeFile(folder.join("web.yaml"), PROFILE);
  const issued = new Map<string, string>();
  for (const [index, { name, signerName, usages, pem }] of (await generateRequests(folder, cases)).entries()) {
    const [request, out] = [folder.join("request.csr"), folder.join(`issued-${index}.crt`)];
    await writeFile(request, pem);
    const rules = signerName === "example.com/web" ? ["--profile", "web.yaml"] : ["--signer", signerName];
    const usageFlags = usages.flatMap((usage) => ["--usage", usage]);
    await succeedIn(folder, "sign", request, "--out", out, "--force", ...rules, ...usageFlags, ...flags);
    const [leaf = "", ...intermediates] = certificateBlocks(await readFile(out, "utf8"));
    issued.set(name, leaf);
    intermediates.forEach((block, at) => issued.set(`${name}, certificate ${at + 2}`, block));
  }
  return issued;
}

async function caFiles(folder: TempFolder, ...names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(folder.join(name), "utf8")] as const)),
  );
}

test("zlint finds no error in a CA with any kind of key, nor in its certificates", async () => {
  await using folder = await createTempFolder();
  for (const algorithm of KEY_ALGORITHMS) {
    await succeedIn(folder, "ca", "init", "--key-algorithm", algorithm, "--data-dir", algorithm);
    const leaf = ACCEPTED_REQUESTS.filter(({ signerName }) => signerName === SERVING);
    const issued = await sign(folder, leaf, "--data-dir", algorithm);
    await assertLints(folder, new Map([...await caFiles(folder, `${algorithm}/pki/ca.crt`), ...issued]));
  }
});

test("zlint finds no error in certificates of every signer, with every kind of key", async () => {
  await using folder = await createTempFolder();
  await succeedIn(folder, "ca", "init", "--split");
  const keys = Object.keys(KEYS) as readonly KeyName[];
  const client = ACCEPTED_REQUESTS.filter(({ signerName }) => signerName === KUBELET_CLIENT);
  const ofEachKey = client.flatMap((one) => keys.map((key) => ({ ...one, name: `${one.name} with ${key}`, key })));
  const issued = await sign(folder, [...ACCEPTED_REQUESTS, ...ofEachKey]);
  assert.equal(issued.size, ACCEPTED_REQUESTS.length + keys.length);
  const cas = ["ca", "client-ca", "kubelet-client-ca", "kubelet-serving-ca", "custom-ca"];
  const files = await caFiles(folder, ...cas.map((name) => `tlsboot-data/pki/${name}.crt`));
  await assertLints(folder, new Map([...files, ...issued]));
});

test("zlint finds no error below an intermediate, nor in a CA with name constraints and its certificates", async () => {
  await using folder = await createTempFolder();
  await makeCertificate(folder, { name: "root", extensions: CA_EXTENSIONS });
  const extensions = [...CA_EXTENSIONS, "authorityKeyIdentifier=keyid"];
  await makeCertificate(folder, { name: "intermediate", issuer: "root", extensions });
  const files = await caFiles(folder, "intermediate.crt", "root.crt");
  await writeFile(folder.join("chain.pem"), [...files.values()].join(""));
  await succeedIn(folder, "ca", "import", "--ca-cert", "chain.pem", "--ca-key", "intermediate.key");
  // With a CA that the API trusts, only the two client signers may issue client certificates.
  await assertLints(folder, await sign(folder, ACCEPTED_REQUESTS.filter(({ signerName }) => signerName !== LEGACY)));

  const permitted = ["--permit-dns", "example.org", "--permit-dns", ".web.example.com", "--permit-ip", "10.0.0.0/8"];
  await succeedIn(folder, "ca", "init", "--data-dir", "narrow", ...permitted, "--permit-ip", "2001:db8::/32");
  const leaf = ACCEPTED_REQUESTS.filter(({ signerName }) => signerName === SERVING);
  const issued = await sign(folder, leaf, "--data-dir", "narrow");
  await assertLints(folder, new Map([...await caFiles(folder, "narrow/pki/ca.crt"), ...issued]));
});

test("zlint finds only faults that kube-controller-manager's certificates for the same unusual requests have too", async () => {
  await using folder = await createTempFolder();
  const ca = await createSigningCa();
  const issued = new Map<string, string>();
  for (const request of await generateRequests(folder, CASES)) {
    const der = await issue(request, ca);
    if (der !== undefined) issued.set(request.name, encodePem("CERTIFICATE", der));
  }
  assert.ok(issued.size > 80, `${issued.size} were issued`);
  const errors = await zlintErrors(folder, [...issued.values()]);
  const found = [...issued.keys()].map((name, index) => [name, errors[index]?.join(", ") ?? ""] as const);
  assert.deepEqual(new Map(found.filter(([, lints]) => lints !== "")), AS_UPSTREAM);
});

/** Issues a certificate as the signing controller does. Returns undefined if the rules refuse it. */
async function issue(request: SigningRequest, ca: Authority): Promise<Uint8Array | undefined> {
  const { signerName, usages, expirationSeconds, pem } = request;
  const profile = BUILTIN_SIGNERS.get(signerName);
  const parsed = parseRequest(encodeBase64(pem));
  if (!parsed.ok || profile === undefined) return undefined;
  const plan = planCertificate({
    csr: { spec: { usages, ...(expirationSeconds === undefined ? {} : { expirationSeconds }) } },
    facts: parsed.value,
    profile,
    caNotAfter: ca.certificate.notAfter,
    signingDurationSeconds: 86_400,
    now: new Date(),
  });
  return plan.ok ? await issueCertificate(plan.value, ca, randomBytes(16)) : undefined;
}

function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(length));
}
