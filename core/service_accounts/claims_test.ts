import assert from "node:assert/strict";
import { test } from "node:test";
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

test("parseClaims() reads one audience as a list, and times with fractions", () => {
  const parsed = parseClaims({ aud: "a", exp: 4600.9 });
  assert.deepEqual(parsed?.audiences, ["a"]);
  assert.equal(parsed?.expiry, 4600);
});

for (
  const members of [
    { iss: 1 },
    { aud: [1] },
    { aud: {} },
    { exp: "4600" },
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
