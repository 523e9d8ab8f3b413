import assert from "node:assert/strict";
import { test } from "node:test";
import "../../scripts/jsx_on_node.ts";
import { buildCsr, condition } from "../../tests/support/csr_builder.ts";
import { createRecords } from "../../tests/support/issued_records.ts";
import type { Event } from "../../core/kube/kinds/core_v1.ts";
import type { Activity, ActivityInput } from "./activity.tsx";

const { listActivity } = await import("./activity.tsx");
const { toActivityRequest } = await import("./requests.tsx");

const CREATED = "2026-03-02T10:00:00Z";

const csr = await buildCsr({
  metadata: { creationTimestamp: CREATED },
  conditions: [{ ...condition("Approved", "2026-03-02T10:01:00Z"), reason: "AdminApproved", message: "seen" }],
});
const EVENT: Event = {
  metadata: { name: "e1" },
  involvedObject: { kind: "CertificateSigningRequest", name: "csr-1" },
  type: "Warning",
  reason: "TooManyRequests",
  message: "slow down",
  source: {},
  firstTimestamp: CREATED,
  lastTimestamp: null,
  eventTime: "2026-03-02T10:02:00.000000Z",
  reportingComponent: "tlsboot-approver",
  reportingInstance: "a",
};

for (
  const { name, input, want } of [
    {
      name: "a request and its approval, with the user that the server recorded",
      input: {
        requests: [toActivityRequest(csr)],
        decisions: [{
          metadata: { name: "csr-1" },
          status: { decision: { type: "Approved", username: "jane", time: null } },
        }],
      },
      want: [
        ["approved", "the request was approved for node n1 (kubelet client): AdminApproved: seen", "user jane"],
        ["requested", "a certificate was requested for node n1 (kubelet client)", "the holder of token abcdef"],
      ],
    },
    {
      name: "an approval by an unknown user",
      input: { requests: [{ ...toActivityRequest(csr), createdAt: undefined }] },
      want: [["approved", "the request was approved for node n1 (kubelet client): AdminApproved: seen", ""]],
    },
    {
      name: "an issued certificate",
      input: { records: createRecords([{ requester: { username: "system:node:n1" } }]) },
      want: [[
        "issued",
        "certificate aaaa00000001 was issued for O=system:nodes,CN=system:node:n1 (kubelet client), " +
        "until 2027-01-01T00:00:00Z",
        "node n1",
      ]],
    },
    {
      name: "a revocation",
      input: {
        revocations: [{
          metadata: { name: "node:n1" },
          spec: { node: "n1", reason: "keyCompromise", message: "stolen" },
          status: { time: CREATED, revokedBy: "jane" },
        }],
      },
      want: [["revoked", "node n1 was revoked: keyCompromise: stolen", "user jane"]],
    },
    {
      name: "the life of a token",
      input: {
        tokens: [{
          id: "abcdef",
          createdBy: "jane",
          createdAt: CREATED,
          lastUse: { time: "2026-03-02T10:01:00Z", address: "10.0.0.7" },
          lastRefusal: { time: "2026-03-02T10:02:00Z", address: "", reason: "it is spent" },
        }],
      },
      want: [
        ["token", "token abcdef was refused: it is spent", ""],
        ["token", "token abcdef was used from 10.0.0.7", ""],
        ["token", "token abcdef was created", "user jane"],
      ],
    },
    {
      name: "warnings about requests, and no other events",
      input: {
        events: [EVENT, { ...EVENT, type: "Normal" }, { ...EVENT, involvedObject: { kind: "Pod", name: "p" } }],
      },
      want: [["warning", "request csr-1: TooManyRequests: slow down", ""]],
    },
  ] satisfies readonly { name: string; input: ActivityInput; want: readonly (readonly string[])[] }[]
) {
  test(`listActivity() reports ${name}`, () => {
    assert.deepEqual(listActivity(input).map(({ kind, text, by }: Activity) => [kind, text, by]), want);
  });
}

test("listActivity() puts the later step first if all steps have the same second", () => {
  const [record] = createRecords([{ issuedAt: CREATED }]);
  const request = {
    ...toActivityRequest(csr),
    decisions: [{ type: "Approved", reason: "", message: "", at: CREATED }],
  } as const;
  assert.deepEqual(
    listActivity({ requests: [request], records: record === undefined ? [] : [record] }).map(({ kind }) => kind),
    ["issued", "approved", "requested"],
  );
});
