import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClusterRole, type PolicyRule, RBAC_GROUP, type Subject } from "../../kube/kinds/rbac_v1.ts";
import { createDefaultRbac, type RbacDefaults } from "../../rbac/default_roles.ts";
import { listCertificateRights, reportCertificateRights } from "./rights.ts";

const defaults: RbacDefaults = createDefaultRbac();
const rule = (verbs: string, resource: string, names?: readonly string[]): PolicyRule => ({
  verbs: verbs.split(" "),
  apiGroups: ["certificates.k8s.io"],
  resources: [resource],
  ...(names === undefined ? {} : { resourceNames: names }),
});
const APPROVAL = rule("update", "certificatesigningrequests/approval");
const dev: Subject = { kind: "Group", apiGroup: RBAC_GROUP, name: "dev" };
const masters: Subject = { kind: "Group", apiGroup: RBAC_GROUP, name: "system:masters" };
const account: Subject = { kind: "ServiceAccount", name: "robot", namespace: "web" };

/** Adds a role and its binding, both named `x`, to the default ones. */
function withBinding(rules: readonly PolicyRule[] | string, subjects: readonly Subject[]): RbacDefaults {
  const roles: readonly ClusterRole[] = typeof rules === "string" ? [] : [{ metadata: { name: "x" }, rules }];
  const roleRef = { apiGroup: RBAC_GROUP, kind: "ClusterRole", name: typeof rules === "string" ? rules : "x" };
  return {
    ...defaults,
    clusterRoles: [...defaults.clusterRoles, ...roles],
    clusterRoleBindings: [...defaults.clusterRoleBindings, { metadata: { name: "x" }, roleRef, subjects }],
  };
}

function findWarnings(lists: RbacDefaults): readonly string[] {
  return reportCertificateRights(listCertificateRights(lists), { target: "t", kubectl: "kubectl" })
    .filter(({ severity }) => severity === "warning" || severity === "error")
    .map(({ check, message, fix }) => `${check}: ${message.replace(/, through .*/, "")}; ${fix}`);
}

const DELETE = "kubectl delete clusterrolebinding x";

for (
  const { name, lists, warnings } of [
    { name: "nothing in the defaults of Kubernetes", lists: defaults, warnings: [] },
    {
      name: "an approver of users",
      lists: withBinding([APPROVAL, rule("approve", "signers", ["kubernetes.io/*"])], [dev]),
      warnings: [
        `csr-approve: Group "dev" can approve requests for kubernetes.io/*, and so become an administrator; ${DELETE}`,
      ],
    },
    {
      name: "nothing in the approver of another signer",
      lists: withBinding([APPROVAL, rule("approve", "signers", ["example.com/*"])], [dev]),
      warnings: [],
    },
    {
      name: "nothing in an approver that cannot update the approval",
      lists: withBinding([rule("approve", "signers")], [dev]),
      warnings: [],
    },
    {
      name: "a service account that is any signer",
      lists: withBinding([rule("*", "*")], [account]),
      warnings: [
        'csr-approve: ServiceAccount "web/robot" can approve requests for every signer, sign for every signer, get ' +
        `certificates of any node without an approver, and so become an administrator; ${DELETE}`,
      ],
    },
    {
      name: "a bootstrapper's group, and a user with the same right",
      lists: withBinding("system:certificates.k8s.io:certificatesigningrequests:nodeclient", [
        { ...dev, name: "system:bootstrappers:site" },
        { ...dev, kind: "User", name: "eve" },
      ]),
      warnings: [
        'node-approval: User "eve" can get certificates of any node without an approver, and so become any node; ' +
        `kubectl patch clusterrolebinding x --type=json --patch '[{"op":"test","path":"/subjects/1/name","value":"eve"},` +
        `{"op":"remove","path":"/subjects/1"}]'`,
      ],
    },
    {
      name: "nothing in a binding of nodes to selfnodeclient",
      lists: withBinding("system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", [
        { ...dev, name: "system:nodes" },
      ]),
      warnings: [],
    },
    {
      name: "nothing in administrators that someone has named",
      lists: withBinding("cluster-admin", [dev, masters]),
      warnings: [],
    },
    {
      name: "administrators that no one has named",
      lists: withBinding("cluster-admin", [{ ...dev, name: "system:serviceaccounts:web" }]),
      warnings: [
        'csr-approve: Group "system:serviceaccounts:web" can do everything, and so become an administrator; ' + DELETE,
      ],
    },
  ] satisfies readonly { name: string; lists: RbacDefaults; warnings: readonly string[] }[]
) {
  test(`reportCertificateRights() finds ${name}`, () => assert.deepEqual(findWarnings(lists), warnings));
}
