import assert from "node:assert/strict";
import { test } from "node:test";
import type { SubjectAccessReview } from "../kinds/authorization_v1.ts";
import type { NodeAttestation } from "../kinds/node_attestation.ts";
import { formatFieldError } from "../status/field_error.ts";
import { invalidObject } from "../status/status.ts";
import {
  MAX_RAW_SELECTOR_BYTES,
  validateLocalSubjectAccessReview,
  validateNodeAttestation,
  validateSubjectAccessReview,
} from "./reviews.ts";

const POD = { resourceAttributes: { namespace: "n", verb: "get", resource: "pods" } };
const PATH = { nonResourceAttributes: { path: "/x", verb: "get" } };
const ONE_OF = "exactly one of nonResourceAttributes or resourceAttributes must be specified";

function review(
  spec: SubjectAccessReview["spec"],
  metadata: SubjectAccessReview["metadata"] = {},
): SubjectAccessReview {
  return { metadata, spec, status: { allowed: false } };
}

for (
  const { name, errors, want } of [
    { name: "a user", errors: validateSubjectAccessReview(review({ ...POD, user: "u" })), want: [] },
    { name: "a group", errors: validateSubjectAccessReview(review({ ...PATH, groups: ["g"] })), want: [] },
    {
      name: "no subject and no attributes",
      errors: validateSubjectAccessReview(review({})),
      want: [
        `spec: Invalid value: null: ${ONE_OF}`,
        'spec.user: Invalid value: "": at least one of user or group must be specified',
      ],
    },
    {
      name: "both at once",
      errors: validateSubjectAccessReview(review({ ...POD, ...PATH }), true),
      want: [`spec: Invalid value: {"Path":"/x","Verb":"get"}: ${ONE_OF}`],
    },
    { name: "the caller", errors: validateSubjectAccessReview(review(POD), true), want: [] },
    {
      name: "metadata",
      errors: validateSubjectAccessReview(review(POD, { name: "a" }), true),
      want: ['metadata: Invalid value: {"name":"a"}: must be empty'],
    },
    {
      name: "managed fields",
      errors: validateSubjectAccessReview(review(POD, { managedFields: [{ manager: "m" }] }), true),
      want: [],
    },
    {
      name: "a local one",
      errors: validateLocalSubjectAccessReview(review({ ...POD, user: "u" }, { namespace: "n" })),
      want: [],
    },
    {
      name: "a local one for elsewhere",
      errors: validateLocalSubjectAccessReview(review({ ...POD, user: "u" }, { namespace: "m", name: "a" })),
      want: [
        'metadata: Invalid value: {"namespace":"m","name":"a"}: must be empty except for namespace',
        'spec.resourceAttributes.namespace: Invalid value: "n": must match metadata.namespace',
      ],
    },
    {
      name: "a local one for a path",
      errors: validateLocalSubjectAccessReview(review({ ...PATH, user: "u" }, { namespace: "n" })),
      want: [
        'spec.nonResourceAttributes: Invalid value: {"Path":"/x","Verb":"get"}: disallowed on this kind of request',
      ],
    },
    {
      name: "selectors",
      errors: validateSubjectAccessReview(
        review({
          resourceAttributes: {
            fieldSelector: { rawSelector: "a=b", requirements: [{ key: "", operator: "In" }] },
            labelSelector: {},
          },
        }),
        true,
      ),
      want: [
        'spec.resourceAttributes.fieldSelector.rawSelector: Invalid value: "a=b": may not specified at the same time as ' +
        "requirements",
        "spec.resourceAttributes.fieldSelector.requirements[0].key: Required value: must be specified",
        "spec.resourceAttributes.fieldSelector.requirements[0].values: Required value: must be specified when " +
        "`operator` is 'In' or 'NotIn'",
        "spec.resourceAttributes.labelSelector.requirements: Required value: when " +
        "spec.resourceAttributes.labelSelector is specified, requirements or rawSelector is required",
      ],
    },
    {
      name: "selectors that are longer than any in a query",
      errors: validateSubjectAccessReview(
        review({
          resourceAttributes: {
            fieldSelector: { rawSelector: `a=${"b".repeat(MAX_RAW_SELECTOR_BYTES - 1)}` },
            labelSelector: { rawSelector: `a=${"ß".repeat(MAX_RAW_SELECTOR_BYTES / 2)}` },
          },
        }),
        true,
      ),
      want: [
        "spec.resourceAttributes.fieldSelector.rawSelector: Too long: may not be more than 65536 bytes",
        "spec.resourceAttributes.labelSelector.rawSelector: Too long: may not be more than 65536 bytes",
      ],
    },
    {
      name: "selectors that are as long as in a query",
      errors: validateSubjectAccessReview(
        review({
          resourceAttributes: {
            fieldSelector: { rawSelector: `a=${"b".repeat(MAX_RAW_SELECTOR_BYTES - 2)}` },
            labelSelector: { rawSelector: `a=${"b".repeat(MAX_RAW_SELECTOR_BYTES - 2)}` },
          },
        }),
        true,
      ),
      want: [],
    },
    {
      name: "operators of a newer server",
      errors: validateSubjectAccessReview(
        review({
          resourceAttributes: {
            fieldSelector: { requirements: [{ key: "a", operator: "Near" }] },
            labelSelector: { requirements: [{ key: "a", operator: "Near", values: ["b"] }] },
          },
        }),
        true,
      ),
      want: [],
    },
  ]
) {
  test(`reviews.ts reports ${want.length} faults for ${name}`, () => {
    assert.deepEqual(errors.map(formatFieldError), want);
  });
}

test("a review's 422 has no kind", () => {
  const error = invalidObject(
    { group: "authorization.k8s.io", kind: "" },
    "",
    validateSubjectAccessReview(review({}), true),
  );
  assert.equal(error.message, `.authorization.k8s.io "" is invalid: spec: Invalid value: null: ${ONE_OF}`);
});

const CALLS = "the first call has evidence, the second one an answer and the state of the first";
const ssh = { hostKey: "AAAA" };
const tpm = { endorsementKey: "AAAA", attestationKey: "AAAA" };
const PCR = { index: 7, sha256: "A".repeat(43) + "=" };

for (
  const { name, spec, want } of [
    { name: "a first call with a host key", spec: { evidence: { ssh } }, want: [] },
    { name: "a first call with a TPM", spec: { evidence: { tpm } }, want: [] },
    { name: "a second call", spec: { answer: { ssh: { signature: "AAAA" } }, state: "AAAA" }, want: [] },
    { name: "nothing", spec: {}, want: [`spec.evidence: Required value: ${CALLS}`] },
    { name: "only a state", spec: { state: "AAAA" }, want: [`spec.answer: Required value: ${CALLS}`] },
    {
      name: "only an answer",
      spec: { answer: { ssh: { signature: "AAAA" } } },
      want: [`spec.state: Required value: ${CALLS}`],
    },
    {
      name: "both calls at once",
      spec: { evidence: { ssh }, answer: { ssh: { signature: "AAAA" } }, state: "AAAA" },
      want: [`spec.answer: Forbidden: ${CALLS}`, `spec.state: Forbidden: ${CALLS}`],
    },
    {
      name: "no name and no key",
      spec: { nodeName: "", publicKey: null, evidence: { ssh } },
      want: ["spec.nodeName: Required value", "spec.publicKey: Required value"],
    },
    {
      name: "two kinds of evidence, with an empty key",
      spec: { evidence: { tpm: { ...tpm, attestationKey: null }, ssh } },
      want: [
        "spec.evidence.ssh: Forbidden: exactly one of tpm or ssh must be specified",
        "spec.evidence.tpm.attestationKey: Required value",
      ],
    },
    {
      name: "no kind of evidence",
      spec: { evidence: {} },
      want: ["spec.evidence: Required value: exactly one of tpm or ssh must be specified"],
    },
    {
      name: "PCRs that a TPM does not have",
      spec: {
        answer: {
          tpm: {
            secret: "AAAA",
            quote: "AAAA",
            signature: "AAAA",
            pcrs: [PCR, PCR, { index: 24, sha256: "AAAA" }, { index: -1, sha256: PCR.sha256 }],
          },
        },
        state: "AAAA",
      },
      want: [
        "spec.answer.tpm.pcrs[1].index: Duplicate value: 7",
        "spec.answer.tpm.pcrs[2].index: Invalid value: 24: must be between 0 and 23",
        'spec.answer.tpm.pcrs[2].sha256: Invalid value: "AAAA": must have 32 bytes',
        "spec.answer.tpm.pcrs[3].index: Invalid value: -1: must be between 0 and 23",
      ],
    },
  ] satisfies readonly { name: string; spec: Partial<NodeAttestation["spec"]>; want: readonly string[] }[]
) {
  test(`validateNodeAttestation() reports ${want.length} faults for ${name}`, () => {
    const attestation = { metadata: {}, spec: { nodeName: "n1", publicKey: "AAAA", ...spec }, status: {} };
    assert.deepEqual(validateNodeAttestation(attestation).map(formatFieldError), want);
  });
}

test("validateNodeAttestation() refuses a name that no node has", () => {
  const spec = { nodeName: "N_1", publicKey: "AAAA", evidence: { ssh } };
  const [fault, ...more] = validateNodeAttestation({ metadata: {}, spec, status: {} });
  assert.equal(fault?.field, "spec.nodeName");
  assert.deepEqual(more, []);
});
