import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../kube/json_value.ts";
import { checkTimes, encodeClaims, parseClaims, type TokenClaims, toTokenUser } from "./claims.ts";

const claims: TokenClaims = {
  issuer: "https://kubernetes.default.svc",
  subject: "system:serviceaccount:team:app",
  audiences: ["a"],
  issuedAt: 1000,
  notBefore: 1000,
  expiry: 4600,
  id: "id",
  namespace: "team",
  account: { name: "app", uid: "u" },
};

test("parseClaims() reads what encodeClaims() writes", () => {
  const all = { ...claims, pod: { name: "p", uid: "pu" }, node: { name: "n", uid: "" }, warnAfter: 1010 };
  for (const one of [claims, all, { ...claims, secret: { name: "s", uid: "su" } }]) {
    assert.deepEqual(parseClaims(JSON.parse(JSON.stringify(encodeClaims(one)))), one);
  }
});

test("parseClaims() reads a token without claims, and takes null for an absent claim", () => {
  const none = { issuer: "", subject: "", audiences: [], id: "", namespace: "", account: { name: "", uid: "" } };
  assert.deepEqual(parseClaims({}), none);
  const own = { namespace: null, serviceaccount: { name: null, uid: null }, pod: null, warnafter: 0 };
  assert.deepEqual(parseClaims({ iss: null, iat: null, nbf: null, exp: null, "kubernetes.io": own }), none);
});

for (const name of ["validatingwebhookconfiguration", "mutatingwebhookconfiguration"]) {
  test(`parseClaims() marks a token that is bound to a ${name}`, () => {
    const bound = (own: JsonObject) => parseClaims({ "kubernetes.io": own })?.isWebhookBound;
    assert.equal(bound({ [name]: { name: "hook", uid: "h" } }), true);
    assert.equal(bound({ pod: { name: "p", uid: "pu" } }), undefined);
  });
}

test("encodeClaims() leaves out the uid of a node that does not exist", () => {
  const { "kubernetes.io": own } = encodeClaims({ ...claims, node: { name: "n", uid: "" } });
  assert.deepEqual((own as JsonObject)["node"], { name: "n" });
});

test("parseClaims() reads one audience as a list, and times with fractions", () => {
  const parsed = parseClaims({ aud: "a", exp: 4600.9 });
  assert.deepEqual(parsed?.audiences, ["a"]);
  assert.equal(parsed?.expiry, 4600);
});

for (
  const members of [
    { iss: 1 },
    { aud: [1] },
    { aud: ["a", 1] },
    { aud: {} },
    { exp: "4600" },
    { exp: Infinity },
    { nbf: {} },
    { "kubernetes.io": [] },
    { "kubernetes.io": { serviceaccount: "app" } },
    { "kubernetes.io": { secret: { name: 1 } } },
    { "kubernetes.io": { warnafter: "1" } },
  ]
) {
  test(`parseClaims() refuses ${JSON.stringify(members)}`, () => {
    assert.equal(parseClaims(members), undefined);
  });
}

for (
  const { at, want } of [
    { at: 939, want: "service account token is not valid yet" },
    { at: 940, want: undefined },
    { at: 4660, want: undefined },
    { at: 4661, want: "service account token has expired" },
  ]
) {
  test(`checkTimes() at second ${at}: ${want ?? "valid"}`, () => {
    const result = checkTimes(claims, at * 1000);
    assert.equal(result.ok ? undefined : result.error, want);
  });
}

test("checkTimes() refuses a token that was issued in the future, whatever its other times", () => {
  const { notBefore: _notBefore, ...without } = claims;
  const result = checkTimes(without, 939_000);
  assert.equal(result.ok ? undefined : result.error, "service account token is issued in the future");
});

test("toTokenUser() has the groups of the account, and the pod and node in extra", () => {
  const user = toTokenUser({ ...claims, pod: { name: "p", uid: "pu" }, node: { name: "n", uid: "nu" } });
  assert.deepEqual(user, {
    username: "system:serviceaccount:team:app",
    uid: "u",
    groups: ["system:serviceaccounts", "system:serviceaccounts:team"],
    extra: {
      "authentication.kubernetes.io/credential-id": ["JTI=id"],
      "authentication.kubernetes.io/node-name": ["n"],
      "authentication.kubernetes.io/node-uid": ["nu"],
      "authentication.kubernetes.io/pod-name": ["p"],
      "authentication.kubernetes.io/pod-uid": ["pu"],
    },
  });
});

for (
  const { name, edit, want } of [
    { name: "no pod and no node", edit: {}, want: [] },
    { name: "a pod without a uid", edit: { pod: { name: "p", uid: "" } }, want: [] },
    { name: "a pod without a name", edit: { pod: { name: "", uid: "pu" } }, want: [] },
    { name: "a node without a name", edit: { node: { name: "", uid: "nu" } }, want: [] },
    { name: "a node that does not exist", edit: { node: { name: "n", uid: "" } }, want: ["node-name"] },
  ]
) {
  test(`toTokenUser() names in extra what a token is bound to: ${name}`, () => {
    const { extra } = toTokenUser({ ...claims, id: "", ...edit });
    assert.deepEqual(Object.keys(extra), want.map((key) => `authentication.kubernetes.io/${key}`));
  });
}
