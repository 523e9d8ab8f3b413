import assert from "node:assert/strict";
import { test } from "node:test";
import type { SubjectAccessReview } from "../kinds/authorization_v1.ts";
import { formatFieldError } from "../status/field_error.ts";
import { invalidObject } from "../status/status.ts";
import {
  MAX_RAW_SELECTOR_BYTES,
  validateLocalSubjectAccessReview,
  validateSelfSubjectAccessReview,
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
      errors: validateSelfSubjectAccessReview(review({ ...POD, ...PATH })),
      want: [`spec: Invalid value: {"Path":"/x","Verb":"get"}: ${ONE_OF}`],
    },
    { name: "the caller", errors: validateSelfSubjectAccessReview(review(POD)), want: [] },
    {
      name: "metadata",
      errors: validateSelfSubjectAccessReview(review(POD, { name: "a" })),
      want: ['metadata: Invalid value: {"name":"a"}: must be empty'],
    },
    {
      name: "managed fields",
      errors: validateSelfSubjectAccessReview(review(POD, { managedFields: [{ manager: "m" }] })),
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
      errors: validateSelfSubjectAccessReview(review({
        resourceAttributes: {
          fieldSelector: { rawSelector: "a=b", requirements: [{ key: "", operator: "In" }] },
          labelSelector: {},
        },
      })),
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
      errors: validateSelfSubjectAccessReview(review({
        resourceAttributes: {
          fieldSelector: { rawSelector: `a=${"b".repeat(MAX_RAW_SELECTOR_BYTES - 1)}` },
          labelSelector: { rawSelector: `a=${"ß".repeat(MAX_RAW_SELECTOR_BYTES / 2)}` },
        },
      })),
      want: [
        "spec.resourceAttributes.fieldSelector.rawSelector: Too long: may not be more than 65536 bytes",
        "spec.resourceAttributes.labelSelector.rawSelector: Too long: may not be more than 65536 bytes",
      ],
    },
    {
      name: "selectors that are as long as in a query",
      errors: validateSelfSubjectAccessReview(review({
        resourceAttributes: {
          fieldSelector: { rawSelector: `a=${"b".repeat(MAX_RAW_SELECTOR_BYTES - 2)}` },
          labelSelector: { rawSelector: `a=${"b".repeat(MAX_RAW_SELECTOR_BYTES - 2)}` },
        },
      })),
      want: [],
    },
    {
      name: "operators of a newer server",
      errors: validateSelfSubjectAccessReview(review({
        resourceAttributes: {
          fieldSelector: { requirements: [{ key: "a", operator: "Near" }] },
          labelSelector: { requirements: [{ key: "a", operator: "Near", values: ["b"] }] },
        },
      })),
      want: [],
    },
  ]
) {
  test(`reviews.ts answers ${want.length} faults for ${name}`, () => {
    assert.deepEqual(errors.map(formatFieldError), want);
  });
}

test("a review's 422 has no kind", () => {
  const error = invalidObject(
    { group: "authorization.k8s.io", kind: "" },
    "",
    validateSelfSubjectAccessReview(review({})),
  );
  assert.equal(error.message, `.authorization.k8s.io "" is invalid: spec: Invalid value: null: ${ONE_OF}`);
});
