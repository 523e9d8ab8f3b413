// Carries the update cases of `pkg/apis/certificates/validation/validation_test.go`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, condition, type CsrOptions } from "../../tests/support/csr_builder.ts";
import { createSigningCa, issueClientCertificate } from "../../tests/support/signing_ca.ts";
import { encodeBase64 } from "../lib/encodings.ts";
import { formatFieldError } from "../kube/status/field_error.ts";
import { type CsrEndpoint, validateCsrUpdate } from "./validate.ts";

const ca = createSigningCa();
const GOOD = "good";
const OTHER = "other";
const BAD = encodeBase64("invalid");
const ENDPOINTS: readonly CsrEndpoint[] = ["main", "status", "approval"];

const add = (type: string): string => `status.conditions: Forbidden: updates may not add a condition of type "${type}"`;
const remove = (type: string): string =>
  `status.conditions: Forbidden: updates may not remove a condition of type "${type}"`;
const SET = "status.certificate: Forbidden: updates may not set certificate content";
const RESET = "status.certificate: Forbidden: updates may not modify existing certificate content";
const NO_BLOCK =
  'status.certificate: Invalid value: "<certificate data>": must contain at least one CERTIFICATE PEM block';
const EXCLUSIVE =
  'status.conditions: Invalid value: "{conditions[{\\"type\\": \\"Approved\\"}], conditions[{\\"type\\": ' +
  '\\"Denied\\"}]}": must specify at most one of: `conditions[{"type": "Approved"}]`, ' +
  '`conditions[{"type": "Denied"}]`';

interface Case {
  readonly name: string;
  readonly old: CsrOptions;
  readonly now: CsrOptions;
  /** Per endpoint; an endpoint that is not listed is not tested, as upstream. */
  readonly want: Partial<Record<CsrEndpoint, readonly string[]>>;
}

const FINE = { main: [], status: [], approval: [] };
const everywhere = (...texts: string[]): Case["want"] => ({ main: texts, status: texts, approval: texts });
const conditions = (...types: string[]): CsrOptions => ({ conditions: types.map((type) => condition(type)) });

const cases: readonly Case[] = [
  { name: "no-op", old: {}, now: {}, want: FINE },
  { name: "invalid certificate unchanged", old: { certificate: BAD }, now: { certificate: BAD }, want: FINE },
  { name: "bad usages unchanged", old: { usages: ["x", "x"] }, now: { usages: ["x", "x"] }, want: FINE },
  ...["Approved", "Denied"].flatMap((type): Case[] => [
    {
      name: `add ${type}`,
      old: {},
      now: conditions(type),
      want: { main: [add(type)], status: [add(type)], approval: [] },
    },
    { name: `remove ${type}`, old: conditions(type), now: {}, want: everywhere(remove(type)) },
  ]),
  { name: "add Failed", old: {}, now: conditions("Failed"), want: FINE },
  { name: "remove Failed", old: conditions("Failed"), now: {}, want: everywhere(remove("Failed")) },
  {
    name: "add Approved and Denied at once",
    old: {},
    now: conditions("Approved", "Denied"),
    want: {
      main: [add("Approved"), add("Denied"), EXCLUSIVE],
      status: [add("Approved"), add("Denied"), EXCLUSIVE],
      approval: [EXCLUSIVE],
    },
  },
  {
    name: "add Denied to Approved",
    old: conditions("Approved"),
    now: conditions("Approved", "Denied"),
    want: { approval: [EXCLUSIVE] },
  },
  {
    name: "set a valid certificate",
    old: {},
    now: { certificate: GOOD },
    want: { main: [SET], status: [], approval: [SET] },
  },
  { name: "set an invalid certificate", old: {}, now: { certificate: BAD }, want: { status: [NO_BLOCK] } },
  { name: "replace a certificate", old: { certificate: GOOD }, now: { certificate: OTHER }, want: { status: [RESET] } },
  {
    name: "replace an invalid certificate",
    old: { certificate: BAD },
    now: { certificate: encodeBase64("other") },
    want: { status: [RESET] },
  },
  { name: "clear a certificate", old: { certificate: GOOD }, now: {}, want: { status: [RESET] } },
  {
    name: "Approved and Denied were both there",
    old: conditions("Approved", "Denied"),
    now: conditions("Approved", "Denied", "Custom"),
    want: FINE,
  },
  {
    name: "legacy signer was there",
    old: { signerName: "kubernetes.io/legacy-unknown" },
    now: { signerName: "kubernetes.io/legacy-unknown" },
    want: FINE,
  },
  {
    name: "duplicate and empty condition types were there",
    old: conditions("", "Custom", "Custom"),
    now: conditions("", "Custom", "Custom", "Custom"),
    want: FINE,
  },
  {
    name: "no tolerance for a condition without status",
    old: { conditions: [{ ...condition("Custom"), status: "" }] },
    now: { conditions: [{ ...condition("Custom"), status: "" }] },
    want: everywhere("status.conditions[0].status: Required value"),
  },
  {
    name: "no tolerance for an unreadable request, missing usages, a short lifetime",
    old: { request: "", usages: [], expirationSeconds: 5 },
    now: { request: "", usages: [], expirationSeconds: 5 },
    want: everywhere(
      'spec.request: Invalid value: "": PEM block type must be CERTIFICATE REQUEST',
      "spec.usages: Required value",
      "spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 600 seconds (10 minutes)",
    ),
  },
  {
    name: "a change of Approved",
    old: { conditions: [condition("Approved", null, "a")] },
    now: { conditions: [condition("Approved", null, "b")] },
    want: { approval: [] },
  },
];

async function fill(options: CsrOptions): Promise<CsrOptions> {
  const years: Record<string, string> = { [GOOD]: "2027-01-01", [OTHER]: "2028-01-01" };
  const until = years[options.certificate ?? ""];
  if (until === undefined) return options;
  const pem = await issueClientCertificate(await ca, new Date("2026-01-01"), new Date(until));
  return { ...options, certificate: encodeBase64(pem) };
}

for (const { name, old, now, want } of cases) {
  for (const endpoint of ENDPOINTS.filter((item) => want[item] !== undefined)) {
    test(`validateCsrUpdate() of ${endpoint} answers for: ${name}`, async () => {
      const stored = await buildCsr(await fill(old));
      // ECDSA signatures differ each time; the request must not.
      const request = now.request ?? stored.spec.request;
      const csr = await buildCsr({ ...await fill(now), request });
      const same = old.certificate !== undefined && old.certificate === now.certificate;
      const sent = same ? { ...csr, status: { ...csr.status, ...stored.status } } : csr;
      assert.deepEqual(validateCsrUpdate(sent, stored, endpoint).map(formatFieldError), want[endpoint]);
    });
  }
}

for (const endpoint of ["main", "status"] as const) {
  test(`validateCsrUpdate() of ${endpoint} shows how Approved was modified`, async () => {
    const stored = await buildCsr({ conditions: [condition("Approved", null, "a")] });
    const csr = { ...stored, status: { conditions: [condition("Approved", null, "b")] } };
    const [fault, ...more] = validateCsrUpdate(csr, stored, endpoint);
    assert.equal(more.length, 0);
    assert.match(
      fault?.message ?? "",
      /^Forbidden: updates may not modify a condition of type "Approved"\n- .*"reason":"a".*\n\+ .*"reason":"b"/,
    );
  });
}
