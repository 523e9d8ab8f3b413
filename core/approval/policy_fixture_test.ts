import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePolicyFixture } from "./policy_fixture.ts";

function parse(...lines: readonly string[]) {
  return parsePolicyFixture(["apiVersion: tlsboot/v1alpha1", "kind: PolicyTest", ...lines, ""].join("\n"));
}

const DEFAULTS =
  "defaults: {signerName: example.com/web, user: ann, groups: [dev], request: {commonName: a, dns: [a.b]}}";

test("parsePolicyFixture() reads each field from the case, or else from the defaults, or else uses its own default", () => {
  const fixture = parse(DEFAULTS, "cases:", "- {name: one, user: bob, request: {dns: [c.d]}, expect: {verdict: deny}}");
  assert.ok(fixture.ok);
  assert.deepEqual([fixture.value.policies, fixture.value.inventory], [[], undefined]);
  const lists = { organizations: [], ips: [], emails: [], uris: [] };
  assert.deepEqual(fixture.value.cases, [{
    name: "one",
    request: { kind: "made", commonName: "a", dns: ["c.d"], key: "ecdsa-p256", ...lists },
    signerName: "example.com/web",
    usages: [],
    user: "bob",
    groups: ["dev"],
    expirationSeconds: undefined,
    now: new Date("2026-01-01T12:00:00Z"),
    nodes: new Map(),
    held: undefined,
    certificates: [],
    holders: [],
    server: [],
    permissions: [],
    unreachable: [],
    attested: undefined,
    approvedBefore: 0,
    expect: { verdict: "deny" },
  }]);
});

for (
  const { name, own, defaults = "", want } of [
    { name: "of the case", own: "requestFile: a.csr", want: "a.csr" },
    {
      name: "of the case, not the request of the defaults",
      own: "requestFile: a.csr",
      defaults: "request: {}",
      want: "a.csr",
    },
    { name: "of the defaults", own: "usages: []", defaults: "requestFile: b.csr", want: "b.csr" },
    {
      name: "of the defaults, unless the case has a request",
      own: "request: {}",
      defaults: "requestFile: b.csr",
      want: "made",
    },
  ]
) {
  test(`parsePolicyFixture() takes the file ${name}`, () => {
    const fixture = parse(
      `defaults: {signerName: a.b/c, user: ann, now: "2026-03-02T10:30:00Z"${defaults === "" ? "" : `, ${defaults}`}}`,
      `cases: [{name: one, ${own}, expect: {verdict: approve}}]`,
    );
    assert.ok(fixture.ok);
    const [one] = fixture.value.cases;
    assert.deepEqual([one?.groups, one?.now], [[], new Date("2026-03-02T10:30:00Z")]);
    assert.equal(one?.request.kind === "file" ? one.request.path : one?.request.kind, want);
  });
}

test("parsePolicyFixture() accepts a proof for a bootstrap token only", () => {
  const read = (user: string) =>
    parse(DEFAULTS, `cases: [{name: one, user: "${user}", attested: {kind: ssh}, expect: {verdict: approve}}]`);
  assert.deepEqual(read("ann"), {
    ok: false,
    error: [
      "cases[0].attested: a proof is given for a bootstrap token, so user must be one, such as system:bootstrap:abcdef",
    ],
  });
  assert.equal(read("system:bootstrap:abcdef").ok, true);
});

test("parsePolicyFixture() reports every fault with its place", () => {
  const faults = parse("cases:", "- {name: one, request: {}, requestFile: a.csr, expect: {verdict: approve}}");
  assert.deepEqual(faults, {
    ok: false,
    error: [
      "cases[0]: request and requestFile exclude each other",
      "cases[0].signerName: missing, here and in defaults",
      "cases[0].user: missing, here and in defaults",
    ],
  });
  const time = parse(DEFAULTS, "cases: [{name: one, now: soon, expect: {verdict: approve}}]");
  assert.match(time.ok ? "" : time.error.join(), /"soon" is not a time, such as 2026-03-02T10:30:00Z/);
});
