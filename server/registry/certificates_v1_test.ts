import assert from "node:assert/strict";
import { test } from "node:test";
import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
  CertificateSigningRequestSpec,
  CertificateSigningRequestStatus,
} from "../../core/kube/kinds/certificates_v1.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import {
  prepareCsrForApprovalUpdate,
  prepareCsrForCreate,
  prepareCsrForStatusUpdate,
  prepareCsrForUpdate,
} from "./certificates_v1.ts";

// Ported from `pkg/registry/certificates/certificates/strategy_test.go`.

const NO_USER: UserInfo = { username: "", uid: "", groups: [], extra: {} };
const NOW = new Date("2026-01-01T10:00:00.500Z");
const NOW_TEXT = "2026-01-01T10:00:00Z";
const LATER = "2026-01-01T11:00:00Z";

function createCsr(
  spec: Partial<CertificateSigningRequestSpec>,
  status: CertificateSigningRequestStatus = {},
): CertificateSigningRequest {
  return {
    kind: "CertificateSigningRequest",
    apiVersion: "certificates.k8s.io/v1",
    metadata: { name: "c" },
    spec: { request: null, signerName: "", ...spec },
    status,
  };
}

function condition(type: string, reason = "", time: string | null = null): CertificateSigningRequestCondition {
  return {
    type,
    status: "",
    ...(reason === "" ? {} : { reason }),
    lastUpdateTime: time,
    lastTransitionTime: time,
  };
}

for (
  const { name, user, sent, want } of [
    {
      name: "user in context, none in the object",
      user: { username: "bob", uid: "123", groups: ["group1"], extra: { foo: ["bar"] } },
      sent: createCsr({}),
      want: createCsr({ username: "bob", uid: "123", groups: ["group1"], extra: { foo: ["bar"] } }),
    },
    {
      name: "no user, user fields in the object",
      user: NO_USER,
      sent: createCsr({ username: "bob", uid: "123", groups: ["group1"], extra: { foo: ["bar"] } }),
      want: createCsr({}),
    },
    {
      name: "user in context replaces the one in the object",
      user: { ...NO_USER, username: "alice", uid: "234" },
      sent: createCsr({ username: "bob", uid: "123", groups: ["group1"] }),
      want: createCsr({ username: "alice", uid: "234" }),
    },
    {
      name: "pre-approved status",
      user: NO_USER,
      sent: createCsr({}, { conditions: [condition("Approved")], certificate: "eA==" }),
      want: createCsr({}),
    },
    {
      name: "expirationSeconds",
      user: NO_USER,
      sent: createCsr({ expirationSeconds: 1234 }),
      want: createCsr({ expirationSeconds: 1234 }),
    },
  ]
) {
  test(`prepareCsrForCreate() stores: ${name}`, () => {
    assert.deepEqual(prepareCsrForCreate(sent, user), want);
  });
}

test("prepareCsrForCreate() keeps the order of Go's JSON, extra keys sorted", () => {
  const user = { username: "u", uid: "1", groups: ["g"], extra: { b: ["2"], a: ["1"] } };
  const sent = createCsr({ usages: ["any"], expirationSeconds: 600, signerName: "a.b/c", request: "eA==" });
  assert.equal(
    JSON.stringify(prepareCsrForCreate(sent, user).spec),
    '{"request":"eA==","signerName":"a.b/c","expirationSeconds":600,"usages":["any"],"username":"u","uid":"1",' +
      '"groups":["g"],"extra":{"a":["1"],"b":["2"]}}',
  );
});

test("prepareCsrForUpdate() lets only metadata change", () => {
  const old = createCsr({ username: "bob" }, { conditions: [condition("Approved")] });
  const sent = { ...createCsr({ username: "eve" }, {}), metadata: { name: "c", labels: { a: "b" } } };
  assert.deepEqual(prepareCsrForUpdate(sent, old), { ...old, metadata: sent.metadata });
});

test("prepareCsrForStatusUpdate() leaves an empty status empty", () => {
  assert.deepEqual(prepareCsrForStatusUpdate(createCsr({}), createCsr({}), NOW), createCsr({}));
});

test("prepareCsrForStatusUpdate() preserves Approved and Denied in their positions and fills times", () => {
  const sent = createCsr({}, {
    conditions: ["Failed", "Denied", "Approved", "Denied", "Approved"].map((type) => condition(type)),
  });
  const old = createCsr({}, {
    conditions: [
      condition("Denied", "because1"),
      condition("Approved", "because2"),
      condition("Denied", "because3", LATER),
      condition("Approved", "because4", LATER),
    ],
  });
  assert.deepEqual(prepareCsrForStatusUpdate(sent, old, NOW).status.conditions, [
    { ...condition("Failed"), lastUpdateTime: NOW_TEXT, lastTransitionTime: NOW_TEXT },
    { ...condition("Denied", "because1"), lastUpdateTime: NOW_TEXT, lastTransitionTime: LATER },
    { ...condition("Approved", "because2"), lastUpdateTime: NOW_TEXT, lastTransitionTime: LATER },
    condition("Denied", "because3", LATER),
    condition("Approved", "because4", LATER),
  ]);
});

test("prepareCsrForStatusUpdate() keeps an added Approved as sent, for validation to refuse", () => {
  const sent = createCsr({}, { conditions: [condition("Approved")] });
  assert.deepEqual(prepareCsrForStatusUpdate(sent, createCsr({}), NOW).status.conditions, [
    condition("Approved", "", NOW_TEXT),
  ]);
});

test("prepareCsrForStatusUpdate() restores the spec and accepts the certificate", () => {
  const sent = createCsr({ username: "eve" }, { certificate: "eA==" });
  const got = prepareCsrForStatusUpdate(sent, createCsr({ username: "bob" }), NOW);
  assert.equal(got.spec.username, "bob");
  assert.equal(got.status.certificate, "eA==");
});

test("prepareCsrForApprovalUpdate() accepts conditions and restores the rest", () => {
  const sent = createCsr({ username: "eve" }, { conditions: [condition("Approved", "r")], certificate: "eQ==" });
  const old = createCsr({ username: "bob" }, { certificate: "eA==" });
  const got = prepareCsrForApprovalUpdate(sent, old, NOW);
  assert.equal(got.spec.username, "bob");
  assert.deepEqual(got.status, { conditions: [condition("Approved", "r", NOW_TEXT)], certificate: "eA==" });
});

test("prepareCsrForApprovalUpdate() keeps times that the client sent", () => {
  const sent = createCsr({}, { conditions: [condition("Approved", "r", "2001-01-01T00:00:00Z")] });
  const got = prepareCsrForApprovalUpdate(sent, createCsr({}), NOW);
  assert.deepEqual(got.status.conditions, [condition("Approved", "r", "2001-01-01T00:00:00Z")]);
});
