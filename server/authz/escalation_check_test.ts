import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterRoleBindingKind, clusterRoleKind, roleBindingKind, roleKind } from "../../core/kube/kinds/mod.ts";
import type { ClusterRole, PolicyRule } from "../../core/kube/kinds/rbac_v1.ts";
import { StatusError } from "../../core/kube/status/status.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import {
  clusterRole,
  clusterRoleBinding,
  groupSubject,
  role,
  roleBinding,
  testUser,
  userSubject,
} from "../../tests/support/test_rbac.ts";
import { createRbacWorld } from "../../tests/support/test_authz.ts";
import { checkBindingEscalation, checkRoleEscalation } from "./escalation_check.ts";

const GROUP = "rbac.authorization.k8s.io";
const getPods: PolicyRule = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };
const getSecrets: PolicyRule = { verbs: ["get"], apiGroups: [""], resources: ["secrets"] };
const everything: readonly PolicyRule[] = [
  { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
  { verbs: ["*"], nonResourceURLs: ["*"] },
];

/** Creates an authorizer chain in which `u` has some rules. */
const holding = (...rules: PolicyRule[]) =>
  createRbacWorld([
    ["clusterroles", clusterRole("held", rules)],
    ["clusterrolebindings", clusterRoleBinding("held", "held", userSubject("u"))],
    ["clusterroles", clusterRole("secrets", [getSecrets])],
    ["roles", role("n", "secrets", [getSecrets])],
  ]);

async function findMessage(check: Promise<void>): Promise<string | undefined> {
  try {
    await check;
    return undefined;
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error));
    return `${error.status.code} ${error.message}`;
  }
}

const u = testUser("u", "g");
const post = { user: u, name: "" };
const NOT_HELD = 'user "u" (groups=["g"]) is attempting to grant RBAC permissions not currently held:\n' +
  '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}';

for (
  const { name, held, user = u, wanted, stored, nameInUrl = "", want } of [
    { name: "rules that the user has", held: [getPods], wanted: clusterRole("r", [getPods]) },
    {
      name: "rules that the user does not have",
      held: [getPods],
      wanted: clusterRole("r", [getPods, getSecrets]),
      want: `403 clusterroles.${GROUP} "r" is forbidden: ${NOT_HELD}`,
    },
    {
      name: "rules that the user does not have, as a superuser",
      held: [],
      user: testUser("root", "system:masters"),
      wanted: clusterRole("r", everything),
    },
    {
      name: "the verb escalate",
      held: [{ verbs: ["escalate"], apiGroups: [GROUP], resources: ["clusterroles"] }],
      wanted: clusterRole("r", everything),
    },
    {
      name: "the verb escalate for one name does not cover creations",
      held: [{ verbs: ["escalate"], apiGroups: [GROUP], resources: ["clusterroles"], resourceNames: ["r"] }],
      wanted: clusterRole("r", [getSecrets]),
      want: `403 clusterroles.${GROUP} "r" is forbidden: ${NOT_HELD}`,
    },
    {
      name: "the verb escalate for one name covers its updates",
      held: [{ verbs: ["escalate"], apiGroups: [GROUP], resources: ["clusterroles"], resourceNames: ["r"] }],
      wanted: clusterRole("r", [getSecrets]),
      stored: clusterRole("r", []),
    },
    {
      name: "the verb escalate for one name covers a creation by PUT",
      held: [{ verbs: ["escalate"], apiGroups: [GROUP], resources: ["clusterroles"], resourceNames: ["r"] }],
      wanted: clusterRole("r", [getSecrets]),
      nameInUrl: "r",
    },
    {
      name: "finalizers of a role whose rules the user does not have",
      held: [],
      wanted: { ...clusterRole("r", [getSecrets]), metadata: { name: "r", labels: {}, finalizers: ["f"] } },
      stored: clusterRole("r", [getSecrets]),
    },
    {
      name: "labels of a role whose rules the user does not have",
      held: [],
      wanted: clusterRole("r", [getSecrets], { l: "1" }),
      stored: clusterRole("r", [getSecrets]),
      want: `403 clusterroles.${GROUP} "r" is forbidden: ${NOT_HELD}`,
    },
    {
      name: "an aggregation rule",
      held: [getPods],
      wanted: { ...clusterRole("r", []), aggregationRule: { clusterRoleSelectors: [{}] } },
      want: `403 clusterroles.${GROUP} "r" is forbidden: must have cluster-admin privileges to use the aggregationRule`,
    },
    {
      name: "an aggregation rule without selectors",
      held: [],
      wanted: { ...clusterRole("r", []), aggregationRule: { clusterRoleSelectors: [] } },
    },
    { name: "an empty aggregation rule", held: [], wanted: { ...clusterRole("r", []), aggregationRule: {} } },
    {
      name: "the removal of an aggregation rule",
      held: [getPods],
      wanted: clusterRole("r", []),
      stored: { ...clusterRole("r", []), aggregationRule: { clusterRoleSelectors: [{}] } },
      want: `403 clusterroles.${GROUP} "r" is forbidden: must have cluster-admin privileges to use the aggregationRule`,
    },
    { name: "a role without rules", held: [], wanted: { ...clusterRole("r", []), rules: undefined } },
    {
      name: "an aggregation rule, by a user with every permission",
      held: everything,
      wanted: { ...clusterRole("r", []), aggregationRule: { clusterRoleSelectors: [{}] } },
    },
  ] as readonly {
    name: string;
    held: readonly PolicyRule[];
    user?: UserInfo;
    wanted: ClusterRole;
    stored?: ClusterRole;
    nameInUrl?: string;
    want?: string;
  }[]
) {
  test(`checkRoleEscalation() ${want === undefined ? "passes" : "refuses"}: ${name}`, async () => {
    const world = await holding(...held);
    const request = { user, name: stored === undefined ? nameInUrl : "r" };
    assert.equal(await findMessage(checkRoleEscalation(world, clusterRoleKind, wanted, stored, request)), want);
  });
}

test("checkRoleEscalation() includes the permissions in the role's namespace", async () => {
  const world = await createRbacWorld([
    ["clusterroles", clusterRole("held", [getSecrets])],
    ["rolebindings", roleBinding("n", "held", "ClusterRole", "held", userSubject("u"))],
  ]);
  assert.equal(
    await findMessage(checkRoleEscalation(world, roleKind, role("n", "r", [getSecrets]), undefined, post)),
    undefined,
  );
  assert.equal(
    await findMessage(checkRoleEscalation(world, roleKind, role("m", "r", [getSecrets]), undefined, post)),
    `403 roles.${GROUP} "r" is forbidden: ${NOT_HELD}`,
  );
});

test("checkBindingEscalation() refuses to bind rules that the user does not have, and passes others", async () => {
  const wanted = clusterRoleBinding("b", "secrets", groupSubject("g"));
  const check = async (...rules: PolicyRule[]) =>
    await findMessage(checkBindingEscalation(await holding(...rules), clusterRoleBindingKind, wanted, undefined, u));
  assert.equal(await check(), `403 clusterrolebindings.${GROUP} "b" is forbidden: ${NOT_HELD}`);
  assert.equal(await check(getSecrets), undefined);
  const bind = { verbs: ["bind"], apiGroups: [GROUP], resources: ["clusterroles"] };
  assert.equal(await check({ ...bind, resourceNames: ["secrets"] }), undefined);
  assert.ok(await check({ ...bind, resourceNames: ["other"] }) !== undefined);
});

test("checkBindingEscalation() passes new finalizers of a binding to rules that the user does not have", async () => {
  const stored = clusterRoleBinding("b", "secrets", groupSubject("g"));
  const check = async (metadata: object) =>
    await findMessage(checkBindingEscalation(
      await holding(),
      clusterRoleBindingKind,
      { ...stored, metadata: { ...stored.metadata, ...metadata } },
      stored,
      u,
    ));
  assert.equal(await check({ finalizers: ["f"] }), undefined);
  assert.equal(
    await check({ annotations: { a: "1" } }),
    `403 clusterrolebindings.${GROUP} "b" is forbidden: ${NOT_HELD}`,
  );
});

test("checkBindingEscalation() looks for a Role in the binding's namespace, and answers 404 if it is missing", async () => {
  const check = async (name: string, ...rules: PolicyRule[]) =>
    await findMessage(checkBindingEscalation(
      await holding(...rules),
      roleBindingKind,
      roleBinding("n", "b", "Role", name, groupSubject("g")),
      undefined,
      u,
    ));
  assert.equal(await check("secrets"), `403 rolebindings.${GROUP} "b" is forbidden: ${NOT_HELD}`);
  assert.equal(await check("secrets", getSecrets), undefined);
  assert.equal(await check("gone", getSecrets), `404 rolebindings.${GROUP} "gone" not found`);
});

test("checkBindingEscalation() fails for a role of an unknown kind", async () => {
  const binding = roleBinding("n", "b", "Role", "secrets", groupSubject("g"));
  const odd = { ...binding, roleRef: { ...binding.roleRef, kind: "Thing" } };
  assert.equal(
    await findMessage(checkBindingEscalation(await holding(), roleBindingKind, odd, undefined, u)),
    '500 unsupported role reference kind: "Thing"',
  );
  const root = testUser("root", "system:masters");
  assert.equal(
    await findMessage(checkBindingEscalation(await holding(), roleBindingKind, odd, undefined, root)),
    undefined,
  );
});

test("checkRoleEscalation() reports the user's missing roles, under the name of the written resource", async () => {
  const world = await createRbacWorld([
    ["clusterrolebindings", clusterRoleBinding("b", "gone", userSubject("u"))],
  ]);
  assert.equal(
    await findMessage(checkRoleEscalation(world, clusterRoleKind, clusterRole("r", [getSecrets]), undefined, post)),
    `403 clusterroles.${GROUP} "r" is forbidden: ${NOT_HELD}; resolution errors: [clusterroles.${GROUP} "gone" not found]`,
  );
});
