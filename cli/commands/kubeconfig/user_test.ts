import assert from "node:assert/strict";
import { test } from "node:test";
import type { ResourceRule } from "../../../core/kube/kinds/authorization_v1.ts";
import { describeRights } from "./user.ts";

const basic: readonly ResourceRule[] = [
  {
    verbs: ["create"],
    apiGroups: ["authorization.k8s.io"],
    resources: ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
  },
  { verbs: ["create"], apiGroups: ["authentication.k8s.io"], resources: ["selfsubjectreviews"] },
  { verbs: ["get", "list", "watch"], apiGroups: ["tlsboot"], resources: ["carotations"] },
  { verbs: ["create"], apiGroups: ["tlsboot"], resources: ["trustreports"] },
  { verbs: ["get", "list", "watch"], apiGroups: ["certificates.k8s.io"], resources: ["clustertrustbundles"] },
];
const many = Array.from({ length: 12 }, (_, index) => `r${String(index).padStart(2, "0")}`);

for (
  const { name, rules, want } of [
    { name: "no permissions that all users have", rules: [], want: [] },
    {
      name: "the permissions of an administrator",
      rules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }],
      want: ["everything with: every resource"],
    },
    {
      name: "rules with the same verbs in one line",
      rules: [
        { verbs: ["get", "list"], apiGroups: [""], resources: ["pods", "pods/log"] },
        { verbs: ["list", "get"], apiGroups: ["apps", "batch"], resources: ["jobs"] },
      ],
      want: ["get, list: jobs.apps, jobs.batch, pods"],
    },
    {
      name: "a subresource without its resource, and names",
      rules: [
        { verbs: ["update"], apiGroups: ["certificates.k8s.io"], resources: ["certificatesigningrequests/approval"] },
        { verbs: ["get"], apiGroups: [""], resources: ["secrets"], resourceNames: ["a", "b"] },
      ],
      want: ["get: secrets (a, b)", "update: certificatesigningrequests/approval.certificates.k8s.io"],
    },
    {
      name: "the first of many resources",
      rules: [{ verbs: ["get"], apiGroups: [""], resources: many }],
      want: ["get: r00, r01, r02, r03, r04, r05, r06, r07 and 4 more"],
    },
    {
      name: "the first of many verbs",
      rules: many.map((verb) => ({ verbs: [verb], apiGroups: [""], resources: ["x"] })),
      want: [...many.slice(0, 10).map((verb) => `${verb}: x`), "and 2 more"],
    },
  ] satisfies readonly { name: string; rules: readonly ResourceRule[]; want: readonly string[] }[]
) {
  test(`describeRights() lists ${name}`, () => {
    const status = { resourceRules: [...basic, ...rules], nonResourceRules: [], incomplete: false };
    assert.deepEqual(describeRights(status), want);
  });
}
