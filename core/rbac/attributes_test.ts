import assert from "node:assert/strict";
import { test } from "node:test";
import type { ResourceAttributesSpec } from "../kube/kinds/authorization_v1.ts";
import { toReviewAttributes } from "./attributes.ts";

const question = (resourceAttributes: ResourceAttributesSpec) => toReviewAttributes({ resourceAttributes });
const FIELDS = "spec.resourceAttributes.fieldSelector";
const LABELS = "spec.resourceAttributes.labelSelector";

test("toReviewAttributes() reads a review of a path", () => {
  assert.deepEqual(toReviewAttributes({ nonResourceAttributes: { path: "/livez", verb: "get" } }), {
    attributes: { kind: "path", verb: "get", path: "/livez" },
    evaluationError: "",
  });
});

test("toReviewAttributes() fills missing fields with empty text", () => {
  assert.deepEqual(question({ verb: "get", group: "g" }).attributes, {
    kind: "resource",
    verb: "get",
    apiGroup: "g",
    apiVersion: "",
    resource: "",
    subresource: "",
    name: "",
    namespace: "",
  });
});

test("toReviewAttributes() reads field selectors as text and as conditions", () => {
  const want = [
    { field: "a", operator: "=", value: "1" },
    { field: "b", operator: "!=", value: "2" },
  ];
  const requirements = [{ key: "a", operator: "In", values: ["1"] }, { key: "b", operator: "NotIn", values: ["2"] }];
  for (const fieldSelector of [{ rawSelector: "a=1,b!=2" }, { requirements }]) {
    const { attributes, evaluationError } = question({ fieldSelector });
    assert.deepEqual([attributes.kind === "resource" && attributes.fieldSelector, evaluationError], [want, ""]);
  }
});

const exists = { key: "a", operator: "Exists" };

for (
  const { name, ask, want } of [
    {
      name: "a malformed field selector",
      ask: { fieldSelector: { rawSelector: "a" } },
      want: `${FIELDS} ignored due to parse error`,
    },
    {
      name: "both selectors",
      ask: { fieldSelector: { rawSelector: "a" }, labelSelector: { rawSelector: "a in (" } },
      want: `${FIELDS} ignored due to parse error; ${LABELS} ignored due to parse error`,
    },
    {
      name: "one of two field conditions",
      ask: { fieldSelector: { requirements: [exists, { key: "b", operator: "In", values: ["1"] }] } },
      want: `${FIELDS} partially ignored due to parse error`,
    },
    {
      name: "a field condition of two values",
      ask: { fieldSelector: { requirements: [{ key: "b", operator: "In", values: ["1", "2"] }] } },
      want: `${FIELDS} ignored due to parse error`,
    },
    {
      name: "one of two label operators",
      ask: { labelSelector: { requirements: [exists, { key: "b", operator: "Like" }] } },
      want: `${LABELS} partially ignored due to parse error`,
    },
    {
      name: "nothing of a selector that it understands",
      ask: { labelSelector: { rawSelector: "a,!b,c in (d)" } },
      want: "",
    },
  ]
) {
  test(`toReviewAttributes() omits ${name}`, () => {
    assert.equal(question(ask).evaluationError, want);
  });
}
