// Carries the creation and content cases of `pkg/apis/certificates/validation/validation_test.go`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, condition, type CsrOptions } from "../../tests/support/csr_builder.ts";
import { getMlDsaRequest } from "../../tests/support/ml_dsa_vectors.ts";
import { createSigningCa, issueClientCertificate } from "../../tests/support/signing_ca.ts";
import { encodeBase64 } from "../lib/encodings.ts";
import { formatFieldError } from "../kube/status/field_error.ts";
import { hasMlDsa, NO_ML_DSA } from "../pki/keys/ml_dsa.ts";
import { validateCsrCreate, validateCsrUpdate } from "./validate.ts";

const USAGES = '"any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", ' +
  '"data encipherment", "decipher only", "digital signature", "email protection", "encipher only", ' +
  '"ipsec end system", "ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc", ' +
  '"netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping"';
const TOO_SHORT = "may not specify a duration less than 600 seconds (10 minutes)";
const NO_BLOCK = "must contain at least one CERTIFICATE PEM block";
const ED25519: CsrOptions = { keyAlgorithm: "ed25519", commonName: "", signerName: "example.com/some-signer-name" };

const cases: readonly { name: string; edit: CsrOptions; want: readonly string[] }[] = [
  { name: "a well-formed CSR with an Ed25519 key and organizations only", edit: {}, want: [] },
  {
    name: "no request",
    edit: { request: null },
    want: ["spec.request: Invalid value: null: PEM block type must be CERTIFICATE REQUEST"],
  },
  {
    name: "invalid request",
    edit: { request: encodeBase64("invalid data") },
    want: ['spec.request: Invalid value: "aW52YWxpZCBkYXRh": PEM block type must be CERTIFICATE REQUEST'],
  },
  { name: "no usages", edit: { usages: [] }, want: ["spec.usages: Required value"] },
  { name: "no signer", edit: { signerName: "" }, want: ["spec.signerName: Required value"] },
  {
    name: "signer without a slash",
    edit: { signerName: "an-invalid-signer-name" },
    want: [
      'spec.signerName: Invalid value: "an-invalid-signer-name": ' +
      "must be a fully qualified domain and path of the form 'example.com/signer-name'",
    ],
  },
  ...[-1, 0, 1, 60, 599].map((expirationSeconds) => ({
    name: `${expirationSeconds} s`,
    edit: { expirationSeconds },
    want: [`spec.expirationSeconds: Invalid value: ${expirationSeconds}: ${TOO_SHORT}`],
  })),
  { name: "600 s", edit: { expirationSeconds: 600 }, want: [] },
  {
    name: "unknown usages, twice",
    edit: { usages: ["unknown", "unknown"] },
    want: [
      `spec.usages[0]: Unsupported value: "unknown": supported values: ${USAGES}`,
      `spec.usages[1]: Unsupported value: "unknown": supported values: ${USAGES}`,
      'spec.usages[1]: Duplicate value: "unknown"',
    ],
  },
  ...["Approved", "Denied", "Failed"].map((type) => ({
    name: `condition ${type}`,
    edit: { conditions: [condition(type)] },
    want: [],
  })),
  {
    name: "signer legacy-unknown",
    edit: { signerName: "kubernetes.io/legacy-unknown" },
    want: [
      'spec.signerName: Invalid value: "kubernetes.io/legacy-unknown": ' +
      "the legacy signerName is not allowed via this API version",
    ],
  },
  {
    name: "condition without type",
    edit: { conditions: [condition("")] },
    want: ["status.conditions[0].type: Required value"],
  },
  {
    name: "condition without status",
    edit: { conditions: [{ ...condition("Approved"), status: "" }] },
    want: ["status.conditions[0].status: Required value"],
  },
  {
    name: "Approved that is false",
    edit: { conditions: [{ ...condition("Approved"), status: "False" }] },
    want: ['status.conditions[0].status: Unsupported value: "False": supported values: "True"'],
  },
  {
    name: "custom condition with an odd status",
    edit: { conditions: [{ ...condition("Custom"), status: "Yes" }] },
    want: ['status.conditions[0].status: Unsupported value: "Yes": supported values: "False", "True", "Unknown"'],
  },
  {
    name: "Approved and Denied (1.37's declarative text)",
    edit: { conditions: [condition("Approved"), condition("Denied")] },
    want: [
      'status.conditions: Invalid value: "{conditions[{\\"type\\": \\"Approved\\"}], conditions[{\\"type\\": ' +
      '\\"Denied\\"}]}": must specify at most one of: `conditions[{"type": "Approved"}]`, ' +
      '`conditions[{"type": "Denied"}]`',
    ],
  },
  {
    name: "Approved twice",
    edit: { conditions: [condition("Approved"), condition("Approved")] },
    want: ['status.conditions[1].type: Duplicate value: "Approved"'],
  },
  {
    name: "everything at once, in order",
    edit: {
      request: "",
      usages: [],
      signerName: "",
      expirationSeconds: 1,
      conditions: [condition("Denied"), condition("Approved"), condition("")],
      certificate: encodeBase64("x"),
    },
    want: [
      'spec.request: Invalid value: "": PEM block type must be CERTIFICATE REQUEST',
      "spec.usages: Required value",
      "spec.signerName: Required value",
      `spec.expirationSeconds: Invalid value: 1: ${TOO_SHORT}`,
      "status.conditions[2].type: Required value",
      `status.certificate: Invalid value: "<certificate data>": ${NO_BLOCK}`,
      'status.conditions: Invalid value: "{conditions[{\\"type\\": \\"Approved\\"}], conditions[{\\"type\\": ' +
      '\\"Denied\\"}]}": must specify at most one of: `conditions[{"type": "Approved"}]`, ' +
      '`conditions[{"type": "Denied"}]`',
    ],
  },
];

for (const { name, edit, want } of cases) {
  test(`validateCsrCreate() answers for: ${name}`, async () => {
    assert.deepEqual(validateCsrCreate(await buildCsr({ ...ED25519, ...edit })).map(formatFieldError), want);
  });
}

for (
  const { usages, allowMlDsa, want } of [
    { usages: ["digital signature", "client auth"], allowMlDsa: false, want: [] },
    { usages: ["key encipherment", "client auth"], allowMlDsa: false, want: [] },
    { usages: ["digital signature", "client auth"], allowMlDsa: true, want: [] },
    {
      usages: ["digital signature", "key encipherment", "client auth"],
      allowMlDsa: true,
      want: [
        'spec.usages: Invalid value: ["digital signature","key encipherment","client auth"]: ' +
        'an ML-DSA key must not have the usage "key encipherment"',
      ],
    },
    {
      usages: ["client auth"],
      allowMlDsa: true,
      want: [
        'spec.usages: Invalid value: ["client auth"]: ' +
        'an ML-DSA key must have a usage for signatures, such as "digital signature"',
      ],
    },
  ]
) {
  test(`validateCsrCreate() of an ML-DSA key for ${usages.join(", ")}, allowMlDsa: ${allowMlDsa}`, async () => {
    const request = getMlDsaRequest();
    const csr = await buildCsr({ request, usages });
    const why = !allowMlDsa ? "algorithm unimplemented" : hasMlDsa() ? undefined : NO_ML_DSA;
    const unverified = `spec.request: Invalid value: "${request}": x509: cannot verify signature: ${why}`;
    const faults = validateCsrCreate(csr, { allowMlDsa }).map(formatFieldError);
    assert.deepEqual(faults, [...(why === undefined ? [] : [unverified]), ...want]);
    assert.deepEqual(validateCsrUpdate(csr, csr, "main", { allowMlDsa }).map(formatFieldError).length, why ? 1 : 0);
  });
}

const pem = (body: string, type = "CERTIFICATE"): string => `-----BEGIN ${type}-----\n${body}-----END ${type}-----\n`;

for (
  const { name, certificate, want } of [
    { name: "no PEM", certificate: () => "certificate", want: NO_BLOCK },
    {
      name: "another block type",
      certificate: (good: string) => good.replaceAll("CERTIFICATE", "CERTIFICATE1"),
      want: 'only CERTIFICATE PEM blocks are allowed, found "CERTIFICATE1"',
    },
    {
      name: "a PEM header",
      certificate: (good: string) => good.replace("-----\n", "-----\nSome-Header: Some-Value\n\n"),
      want: "no PEM block headers are permitted",
    },
    { name: "bad base64", certificate: () => pem("VABC*!\n"), want: NO_BLOCK },
    {
      name: "an empty block",
      certificate: () => pem(""),
      want: "found CERTIFICATE PEM block containing 0 certificates",
    },
    { name: "no certificate inside", certificate: () => pem("AAAA\n"), want: undefined },
    { name: "text around two valid blocks", certificate: (good: string) => `a\n${good}b\n${good}c\n`, want: "" },
  ]
) {
  test(`validateCsrUpdate() of /status ${want === "" ? "accepts" : "refuses"} a certificate: ${name}`, async () => {
    const ca = await createSigningCa();
    const good = await issueClientCertificate(ca, new Date("2026-01-01"), new Date("2027-01-01"));
    const old = await buildCsr({ conditions: [condition("Approved")] });
    const csr = { ...old, status: { ...old.status, certificate: encodeBase64(certificate(good)) } };
    const texts = validateCsrUpdate(csr, old, "status").map(formatFieldError);
    const prefix = 'status.certificate: Invalid value: "<certificate data>": ';
    if (want === undefined) {
      assert.match(texts.join(), /^status\.certificate: Invalid value: "<certificate data>": x509: /);
    } else assert.deepEqual(texts, want === "" ? [] : [prefix + want]);
  });
}
