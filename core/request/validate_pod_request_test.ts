// Carries the cases of `pkg/apis/certificates/validation/validation_test.go`, TestValidatePodCertificateRequest*.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { sharedKey } from "../../tests/support/csr_builder.ts";
import { ML_DSA_VECTORS } from "../../tests/support/ml_dsa_vectors.ts";
import { buildPodRequest, buildStubRequest } from "../../tests/support/pod_request_builder.ts";
import { REQUEST_VECTORS, verdictHere } from "../../tests/support/request_vectors.ts";
import { createSigningCa } from "../../tests/support/signing_ca.ts";
import type { PodCertificateRequestSpec, PodCertificateRequestStatus } from "../kube/kinds/certificates_v1.ts";
import { formatFieldError } from "../kube/status/field_error.ts";
import { type Condition, formatTime } from "../kube/meta.ts";
import { encodeBase64 } from "../lib/encodings.ts";
import { issueCertificate } from "../pki/authority/issue.ts";
import { hasMlDsa } from "../pki/keys/ml_dsa.ts";
import { encodePem } from "../pki/asn1/pem.ts";
import {
  defaultPodRequest,
  validatePodRequestCreate,
  validatePodRequestStatusUpdate,
  validatePodRequestUpdate,
} from "./validate_pod_request.ts";

const REQUEST = "spec.stubPKCS10Request: Invalid value";
const EITHER =
  "spec: Invalid value: exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set";
const RANGE = "must be in the range [3600, ";

const creations: readonly {
  readonly name: string;
  readonly edit: Partial<PodCertificateRequestSpec>;
  readonly want: readonly string[];
}[] = [
  { name: "a well-formed request", edit: {}, want: [] },
  { name: "an hour", edit: { maxExpirationSeconds: 3_600 }, want: [] },
  { name: "91 days", edit: { maxExpirationSeconds: 7_862_400 }, want: [] },
  {
    name: "less than an hour",
    edit: { maxExpirationSeconds: 3_599 },
    want: [`spec.maxExpirationSeconds: Invalid value: 3599: ${RANGE}7862400]`],
  },
  {
    name: "more than 91 days",
    edit: { maxExpirationSeconds: 7_862_401 },
    want: [`spec.maxExpirationSeconds: Invalid value: 7862401: ${RANGE}7862400]`],
  },
  {
    name: "more than a day from a signer of Kubernetes",
    edit: { signerName: "kubernetes.io/a", maxExpirationSeconds: 86_401 },
    want: [`spec.maxExpirationSeconds: Invalid value: 86401: ${RANGE}86400]`],
  },
  { name: "no request", edit: { stubPKCS10Request: null }, want: [EITHER] },
  {
    name: "a malformed request",
    edit: { stubPKCS10Request: "eA==" },
    want: [`${REQUEST}: must be a valid PKCS#10 CSR`],
  },
  {
    name: "a request that is too long",
    edit: { stubPKCS10Request: encodeBase64(new Uint8Array(10_241)) },
    want: ["spec.stubPKCS10Request: Too long: may not be more than 10240 bytes"],
  },
  {
    name: "uids that are missing or too long",
    edit: { podUID: "", nodeUID: "u".repeat(129) },
    want: [
      'spec.podUID: Invalid value: "": must not be empty',
      "spec.nodeUID: Too long: may not be more than 128 bytes",
    ],
  },
  {
    name: "an annotation without a domain",
    edit: { unverifiedUserAnnotations: { "example.com/Fine": "", Plain: "" } },
    want: [
      'spec.unverifiedUserAnnotations: Invalid value: "plain": must be a domain-prefixed key (such as "acme.io/foo")',
    ],
  },
];

for (const allowMlDsa of [false, true]) {
  test(`validatePodRequestCreate() of an ML-DSA key, allowMlDsa: ${allowMlDsa}`, async () => {
    const request = await buildPodRequest({ stubPKCS10Request: ML_DSA_VECTORS[2]?.request ?? "" });
    const faults = validatePodRequestCreate(request, { allowMlDsa }).map(formatFieldError);
    const fault = !allowMlDsa ? UNKNOWN_KEY : hasMlDsa() ? undefined : "invalid signature";
    assert.deepEqual(faults, fault === undefined ? [] : [`${REQUEST}: ${fault}`]);
  });
}

const BAD_CURVE = '"curve P-224": elliptic public keys must use curve P256, P384, or P521';
const UNKNOWN_KEY = "unknown public key type; supported types are Ed25519, ECDSA, and RSA";

/** The faults of the vectors whose keys are not accepted. */
const VECTOR_FAULTS: Readonly<Record<string, string>> = {
  "P-224, SHA-256": BAD_CURVE,
  "P-224, SHA-1": BAD_CURVE,
  ...Object.fromEntries(
    REQUEST_VECTORS.map(({ name }) => name).filter((name) => /^RSA-(?!3072|4096)/.test(name)).map((name) => {
      const size = Math.ceil(Number(/\d+/.exec(name)![0]) / 8) * 8;
      return [name, `"${size}-bit modulus": RSA keys must have modulus size 3072 or 4096`];
    }),
  ),
  DSA: UNKNOWN_KEY,
  Ed448: UNKNOWN_KEY,
};

for (const { name, edit, want } of creations) {
  test(`validatePodRequestCreate() reports ${want.length} faults: ${name}`, async () => {
    assert.deepEqual(validatePodRequestCreate(await buildPodRequest(edit)).map(formatFieldError), want);
  });
}

for (const vector of REQUEST_VECTORS) {
  const { name, base64 } = vector;
  const fault = VECTOR_FAULTS[name] ?? (vector.verdict === verdictHere(vector) ? undefined : "invalid signature");
  test(`validatePodRequestCreate() ${fault === undefined ? "accepts" : "refuses"} a key: ${name}`, async () => {
    const request = await buildPodRequest({ stubPKCS10Request: base64 });
    const want = fault === undefined ? [] : [`${REQUEST}: ${fault}`];
    assert.deepEqual(validatePodRequestCreate(request).map(formatFieldError), want);
  });
}

test("validatePodRequestCreate() refuses the signature of another key", async () => {
  const der = Buffer.from(await buildStubRequest(), "base64");
  der[der.length - 1]! ^= 1;
  const request = await buildPodRequest({ stubPKCS10Request: der.toString("base64") });
  assert.deepEqual(validatePodRequestCreate(request).map(formatFieldError), [`${REQUEST}: invalid signature`]);
});

test("defaultPodRequest() sets a lifetime of a day, with the fields in Go's order", async () => {
  const whole = await buildPodRequest();
  const { maxExpirationSeconds: _lifetime, ...spec } = whole.spec;
  const request = defaultPodRequest({ ...whole, spec });
  assert.deepEqual(request, whole);
  assert.deepEqual(Object.keys(request.spec).slice(-2), ["maxExpirationSeconds", "stubPKCS10Request"]);
});

test("validatePodRequestUpdate() lets only metadata change", async () => {
  const old = await buildPodRequest();
  assert.deepEqual(validatePodRequestUpdate({ ...old, metadata: { labels: { a: "b" } } }, old), []);
  const [fault, ...others] = validatePodRequestUpdate(await buildPodRequest({ podName: "web-2" }), old);
  assert.deepEqual(others, []);
  assert.match(formatFieldError(fault!), /^spec: Invalid value: \{"SignerName":"example.com\/pods",.*: field is immut/);
});

const NOW = new Date("2026-06-01T12:00:00Z");
const at = (seconds: number) => formatTime(new Date(NOW.getTime() + seconds * 1_000));
const condition = (type: string, edit: Partial<Condition> = {}): Condition => ({
  type,
  status: "True",
  lastTransitionTime: formatTime(NOW),
  reason: "R",
  message: "",
  ...edit,
});

/** Issues a certificate for the key of the request, as PEM. */
async function issue(lifetimeSeconds: number, names: readonly string[] = [], key = "ecdsa-p256"): Promise<string> {
  const der = await issueCertificate(
    {
      subject: { commonName: "web" },
      publicKeyDer: (await sharedKey(key as "ecdsa-p256")).publicKeyDer(),
      dnsNames: names,
      ipAddresses: [],
      emailAddresses: [],
      uris: [],
      notBefore: NOW,
      notAfter: new Date(NOW.getTime() + lifetimeSeconds * 1_000),
      usages: ["digital signature"],
      isCa: false,
    },
    await createSigningCa(),
    Uint8Array.of(1),
  );
  return encodePem("CERTIFICATE", der);
}

const issued = async (edit: Partial<PodCertificateRequestStatus> = {}, chain?: string) => ({
  conditions: [condition("Issued")],
  certificateChain: chain ?? await issue(7_200),
  notBefore: at(0),
  beginRefreshAt: at(3_600),
  notAfter: at(7_200),
  ...edit,
});

/** The start of a fault of the chain, with a placeholder for the chain. */
const CHAIN = "status.certificateChain: Invalid value: <chain>: ";
const FINAL = '"Issued", "Denied", "Failed"';

const statusUpdates: readonly {
  readonly name: string;
  readonly status: () => PodCertificateRequestStatus | Promise<PodCertificateRequestStatus>;
  readonly old?: PodCertificateRequestStatus;
  readonly want: readonly string[];
}[] = [
  { name: "no change", status: () => ({}), want: [] },
  { name: "denied", status: () => ({ conditions: [condition("Denied")] }), want: [] },
  { name: "failed", status: () => ({ conditions: [condition("Failed")] }), want: [] },
  { name: "issued", status: () => issued(), want: [] },
  {
    name: "another condition",
    status: () => ({ conditions: [condition("Custom")] }),
    want: [`status.conditions.[0].type: Unsupported value: "Custom": supported values: ${FINAL}`],
  },
  {
    name: "two conditions, one of them false",
    status: () => ({ conditions: [condition("Issued", { status: "False" }), condition("Denied")] }),
    want: [
      'status.conditions.[0].status: Unsupported value: "False": supported values: "True"',
      'status.conditions.[1].type: Invalid value: "Denied": There may be at most one condition with type ' +
      '"Issued", "Denied", or "Failed"',
    ],
  },
  {
    name: "a condition without a reason and a time",
    status: () => ({ conditions: [condition("Denied", { reason: "", lastTransitionTime: null })] }),
    want: ["status.conditions[0].lastTransitionTime: Required value", "status.conditions[0].reason: Required value"],
  },
  {
    name: "only a chain",
    status: () => ({ certificateChain: "x" }),
    want: ['status: Invalid value: status is immutable unless transitioning to "Issued", "Denied", or "Failed"'],
  },
  {
    name: "denied with a chain",
    status: () => ({ conditions: [condition("Denied")], certificateChain: "x" }),
    want: [
      "status: Invalid value: non-condition status fields must be empty when denying or failing the " +
      "PodCertificateRequest",
    ],
  },
  {
    name: "a second decision",
    status: () => ({ conditions: [condition("Failed")] }),
    old: { conditions: [condition("Denied")] },
    want: ["status: Invalid value: immutable after PodCertificateRequest is issued, denied, or failed"],
  },
  {
    name: "no certificate",
    status: () => issued({ certificateChain: "" }),
    want: [`${CHAIN}issued certificate chain must contain at least one certificate`],
  },
  {
    name: "another block",
    status: () => issued({ certificateChain: encodePem("PRIVATE KEY", Uint8Array.of(48, 0)) }),
    want: [`${CHAIN}issued certificate chain must consist entirely of CERTIFICATE PEM blocks`],
  },
  {
    name: "a malformed leaf",
    status: () => issued({ certificateChain: encodePem("CERTIFICATE", Uint8Array.of(48, 0)) }),
    want: [`${CHAIN}leaf certificate does not parse as valid X.509`],
  },
  {
    name: "another key",
    status: async () => issued({}, await issue(7_200, [], "ecdsa-p384")),
    want: [`${CHAIN}leaf certificate was not issued to the requested public key`],
  },
  {
    name: "names with dots in the wrong places",
    status: async () => issued({}, await issue(7_200, ["a..b", "a."])),
    want: [
      `status.certificateChain: Invalid value: "a..b": leaf certificate's DNSName should not contain '..'`,
      `status.certificateChain: Invalid value: "a.": leaf certificate's DNSName should not start or end with '.'`,
    ],
  },
  {
    name: "no times",
    status: async () => ({ conditions: [condition("Issued")], certificateChain: await issue(7_200) }),
    want: [
      "status.notBefore: Required value: must be present and consistent with the issued certificate",
      "status.notAfter: Required value: must be present and consistent with the issued certificate",
      "status.beginRefreshAt: Required value: must be present and in the range [notbefore+10min, notafter-10min]",
    ],
  },
  {
    name: "another start",
    status: () => issued({ notBefore: at(1) }),
    want: [
      `status.notBefore: Invalid value: "${at(1)}": must be set to the NotBefore time encoded in the leaf certificate`,
    ],
  },
  {
    name: "another end",
    status: () => issued({ notAfter: at(1) }),
    want: [
      `status.notAfter: Invalid value: "${at(1)}": must be set to the NotAfter time encoded in the leaf certificate`,
    ],
  },
  {
    name: "less than an hour",
    status: async () => issued({ notAfter: at(3_599) }, await issue(3_599)),
    want: ["status.certificateChain: Invalid value: 3599000000000: leaf certificate lifetime must be >= 1 hour"],
  },
  {
    name: "more than was requested",
    status: async () => issued({ notAfter: at(86_401) }, await issue(86_401)),
    want: [
      "status.certificateChain: Invalid value: 86401000000000: leaf certificate lifetime must be <= " +
      "spec.maxExpirationSeconds (86400)",
    ],
  },
  {
    name: "a refresh that is too early",
    status: () => issued({ beginRefreshAt: at(599) }),
    want: [
      `status.beginRefreshAt: Invalid value: "${at(599)}": must be at least 10 minutes after status.notBefore`,
    ],
  },
  {
    name: "a refresh that is too late",
    status: () => issued({ beginRefreshAt: at(6_601) }),
    want: [
      `status.beginRefreshAt: Invalid value: "${at(6_601)}": must be at least 10 minutes before status.notAfter`,
    ],
  },
  {
    name: "a key after the leaf",
    status: async () => issued({}, await issue(7_200) + encodePem("PRIVATE KEY", Uint8Array.of(48, 0))),
    want: [`${CHAIN}issued certificate chain must consist entirely of CERTFICATE PEM blocks`],
  },
  {
    name: "a malformed intermediate",
    status: async () => issued({}, await issue(7_200) + encodePem("CERTIFICATE", Uint8Array.of(48, 0))),
    want: [`${CHAIN}intermediate certificate does not parse as valid X.509`],
  },
  {
    name: "a chain that is too long",
    status: () => issued({ certificateChain: "x".repeat(102_401) }),
    want: ["status.certificateChain: Too long: may not be more than 102400 bytes"],
  },
];

for (const { name, status, old = {}, want } of statusUpdates) {
  test(`validatePodRequestStatusUpdate() reports ${want.length} faults: ${name}`, async () => {
    const request = await buildPodRequest({}, await status());
    const chain = JSON.stringify(request.status.certificateChain ?? "");
    const faults = validatePodRequestStatusUpdate(request, await buildPodRequest({}, old), NOW).map(formatFieldError);
    assert.deepEqual(faults.map((text) => text.replace(chain, "<chain>")), want);
  });
}

test("validatePodRequestStatusUpdate() refuses a certificate that is not valid from now", async () => {
  const old = await buildPodRequest();
  const request = await buildPodRequest({}, await issued());
  const detail = `status.notBefore: Invalid value: "${at(0)}": must be set to within 5 minutes of kube-apiserver's ` +
    "current time";
  for (const seconds of [-300, -299, 299, 300]) {
    const now = new Date(NOW.getTime() + seconds * 1_000);
    const want = Math.abs(seconds) === 300 ? [detail] : [];
    assert.deepEqual(validatePodRequestStatusUpdate(request, old, now).map(formatFieldError), want);
  }
});
