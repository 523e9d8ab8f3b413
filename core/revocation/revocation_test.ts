import assert from "node:assert/strict";
import { test } from "node:test";
import { formatFieldError } from "../kube/status/field_error.ts";
import type { Revocation } from "../kube/kinds/tlsboot_v1alpha1.ts";
import {
  canBeTakenBack,
  createRevocation,
  describeRevocation,
  findAuthorFault,
  findRevocationTarget,
  parseSerialNumber,
  type RevocationTarget,
  toRevocationName,
  validateRevocation,
} from "./revocation.ts";

const REASON = { reason: "keyCompromise" };
const HASH_OF_A_SLASH_B = "c14cddc033f64b9dea80ea675cf280a015e672516090a5626781153dc68fea11";

for (
  const { target, want } of [
    { target: { kind: "serial", value: "0a1b" }, want: "serial:0a1b" },
    { target: { kind: "node", value: "n1.example.org" }, want: "node:n1.example.org" },
    { target: { kind: "user", value: "system:node:n1" }, want: "user:system:node:n1" },
    { target: { kind: "user", value: "a/b" }, want: `user:sha256-${HASH_OF_A_SLASH_B}` },
    { target: { kind: "token", value: "abcdef" }, want: "token:abcdef" },
  ] satisfies readonly { target: RevocationTarget; want: string }[]
) {
  test(`toRevocationName() of ${target.kind} ${target.value}`, () => assert.equal(toRevocationName(target), want));
}

test("toRevocationName() never gives two users the same name", () => {
  const named = toRevocationName({ kind: "user", value: "a/b" }).slice("user:".length);
  assert.notEqual(toRevocationName({ kind: "user", value: named }), `user:${named}`);
  assert.notEqual(toRevocationName({ kind: "user", value: "a%b" }), toRevocationName({ kind: "user", value: "a/b" }));
});

for (
  const { text, want } of [
    { text: "0a1b", want: "0a1b" },
    { text: "0A:1B", want: "0a1b" },
    { text: "0x0A1B", want: "0a1b" },
    { text: " a1b ", want: "0a1b" },
    { text: "00:00:0a", want: "0a" },
    { text: "0", want: "00" },
    { text: "00", want: "00" },
    { text: "7f".repeat(20), want: "7f".repeat(20) },
    { text: "00" + "7f".repeat(20), want: "7f".repeat(20) },
    { text: "7f".repeat(21), want: "7f".repeat(21) },
    { text: "7f".repeat(22), want: undefined },
    { text: "", want: undefined },
    { text: "xyz", want: undefined },
    { text: "-1", want: undefined },
  ]
) {
  test(`parseSerialNumber() reads ${JSON.stringify(text)}`, () => {
    const parsed = parseSerialNumber(text);
    assert.equal(parsed.ok ? parsed.value : undefined, want);
  });
}

/** Returns the faults of a Revocation as texts; `spec` is added to a reason. */
function findFaults(spec: Partial<Revocation["spec"]>, metadata?: Revocation["metadata"]): readonly string[] {
  const full = { ...REASON, ...spec };
  const target = findRevocationTarget(full);
  const named = metadata ?? { name: target === undefined ? "x" : toRevocationName(target) };
  return validateRevocation({ metadata: named, spec: full, status: { time: null } }).map(formatFieldError);
}

for (
  const spec of [
    { serialNumber: "0a1b" },
    { node: "n1" },
    { user: "alice" },
    { user: "system:node:n1" },
    { group: "system:nodes" },
    { token: "abcdef" },
    { token: "abcdef", includeCertificates: true },
    { user: "alice", message: "laptop stolen" },
    { user: "alice", message: "x".repeat(1_024) },
    { user: "x".repeat(1_024) },
    { user: "https://idp.example.org/alice%2f" },
  ]
) {
  test(`validateRevocation() accepts ${JSON.stringify(spec)}`, () => assert.deepEqual(findFaults(spec), []));
}

for (
  const { name, spec, metadata, want } of [
    { name: "nothing", spec: {}, want: /^spec: Required value: set exactly one of serialNumber, node, user, group/ },
    {
      name: "two targets",
      spec: { node: "n1", user: "alice" },
      want: /^spec.user: Forbidden: may not be set together with node$/,
    },
    { name: "a serial number with colons", spec: { serialNumber: "0A:1B" }, want: /must be written as "0a1b"/ },
    { name: "a serial number with a zero byte", spec: { serialNumber: "000a" }, want: /must be written as "0a"/ },
    { name: "a serial number in decimal", spec: { serialNumber: "12g" }, want: /hex digits/ },
    { name: "a node's user name", spec: { node: "system:node:n1" }, want: /^spec.node: .*name of a node, such as n1/ },
    { name: "a node in upper case", spec: { node: "N1" }, want: /^spec.node/ },
    { name: "a short token id", spec: { token: "abc" }, want: /^spec.token: Forbidden: must be the id/ },
    { name: "an unknown reason", spec: { user: "a", reason: "stolen" }, want: /supported values: "unspecified"/ },
    { name: "no reason", spec: { user: "a", reason: "" }, want: /^spec.reason: Required value: one of unspecified, / },
    { name: "a long message", spec: { user: "a", message: "x".repeat(1_025) }, want: /^spec.message: Too long/ },
    { name: "a long name", spec: { user: "x".repeat(1_025) }, want: /^spec.user: Too long/ },
    {
      name: "certificates of a user",
      spec: { user: "a", includeCertificates: true },
      want: /^spec.includeCertificates: Forbidden: may only be set together with token$/,
    },
    { name: "another name", spec: { node: "n1" }, metadata: { name: "n1" }, want: /must be "node:n1", or be omitted/ },
    {
      name: "a finalizer",
      spec: { node: "n1" },
      metadata: { name: "node:n1", finalizers: ["a/b"] },
      want: /^metadata.finalizers: Forbidden: a revocation ends only when it is deleted/,
    },
    {
      name: "an owner",
      spec: { node: "n1" },
      metadata: { name: "node:n1", ownerReferences: [{ apiVersion: "v1", kind: "Node", name: "n1", uid: "u" }] },
      want: /^metadata.ownerReferences: Forbidden/,
    },
    { name: "administrators", spec: { group: "system:masters" }, want: /lock out every administrator .*serial number/ },
    { name: "everyone", spec: { group: "system:authenticated" }, want: /every user is in it/ },
    { name: "controllers", spec: { group: "system:serviceaccounts" }, want: /controllers of the server/ },
    {
      name: "anonymous users",
      spec: { group: "system:unauthenticated" },
      want: /the setting anonymousAuth=false instead$/,
    },
    { name: "the anonymous user", spec: { user: "system:anonymous" }, want: /the setting anonymousAuth=false$/ },
    {
      name: "the server",
      spec: { user: "system:apiserver" },
      want: /the server itself acts as this user; revoke one of its cert/,
    },
    {
      name: "a controller",
      spec: { user: "system:serviceaccount:kube-system:certificate-controller" },
      want: /the server itself acts as this user/,
    },
  ] satisfies readonly {
    name: string;
    spec: Partial<Revocation["spec"]>;
    metadata?: Revocation["metadata"];
    want: RegExp;
  }[]
) {
  test(`validateRevocation() refuses ${name}`, () => {
    const faults = findFaults(spec, metadata);
    assert.equal(faults.length, 1, faults.join("; "));
    assert.match(faults[0]!, want);
  });
}

test("validateRevocation() does not repeat a whole token", () => {
  assert.doesNotMatch(findFaults({ token: "abcdef.0123456789abcdef" }).join(), /0123456789abcdef/);
});

test("createRevocation() creates what validateRevocation() accepts", () => {
  const revocation = createRevocation({ kind: "token", value: "abcdef" }, {
    reason: "keyCompromise",
    message: "in a paste",
    includeCertificates: true,
    isUnrecorded: true,
  });
  assert.deepEqual(validateRevocation(revocation), []);
  assert.deepEqual(revocation.metadata, { name: "token:abcdef", annotations: { "tlsboot/unrecorded": "true" } });
  assert.deepEqual(revocation.spec, {
    token: "abcdef",
    includeCertificates: true,
    reason: "keyCompromise",
    message: "in a paste",
  });
});

test("createRevocation() omits absent options", () => {
  const { metadata, spec } = createRevocation({ kind: "user", value: "alice" }, REASON);
  assert.deepEqual(metadata, { name: "user:alice" });
  assert.deepEqual(spec, { user: "alice", reason: "keyCompromise" });
});

for (
  const { target, want } of [
    { target: { kind: "user", value: "system:node:n1" }, want: "spec.user" },
    { target: { kind: "user", value: "n1" }, want: undefined },
    { target: { kind: "node", value: "n1" }, want: "spec.node" },
    { target: { kind: "node", value: "n2" }, want: undefined },
    { target: { kind: "group", value: "system:nodes" }, want: "spec.group" },
    { target: { kind: "group", value: "devs" }, want: undefined },
    { target: { kind: "serial", value: "0a" }, want: undefined },
    { target: { kind: "token", value: "abcdef" }, want: undefined },
  ] satisfies readonly { target: RevocationTarget; want: string | undefined }[]
) {
  test(`findAuthorFault() ${want === undefined ? "passes" : "refuses"} ${target.kind} ${target.value}`, () => {
    const fault = findAuthorFault(target, { username: "system:node:n1", groups: ["system:nodes"] });
    assert.equal(fault?.field, want);
  });
}

test("canBeTakenBack() excludes certificates that are not on hold", () => {
  const ask = (target: RevocationTarget, reason: string) => canBeTakenBack(createRevocation(target, { reason }));
  assert.equal(ask({ kind: "serial", value: "0a" }, "keyCompromise"), false);
  assert.equal(ask({ kind: "serial", value: "0a" }, "certificateHold"), true);
  assert.equal(ask({ kind: "user", value: "alice" }, "keyCompromise"), true);
});

test("describeRevocation() describes the target, the time and the reason", () => {
  const revocation = createRevocation({ kind: "serial", value: "0a" }, { reason: "superseded", message: "new\nkey" });
  assert.equal(
    describeRevocation({ ...revocation, status: { time: "2026-11-28T02:00:00Z" } }),
    'certificate "0a" is revoked since 2026-11-28T02:00:00Z (superseded: new\\u000akey)',
  );
  assert.equal(
    describeRevocation(createRevocation({ kind: "node", value: "n1" }, REASON)),
    'node "n1" is revoked (keyCompromise)',
  );
  const nothing = { metadata: { name: "x" }, spec: REASON, status: { time: null } };
  assert.equal(describeRevocation(nothing), 'certificate "" is revoked (keyCompromise)');
});
