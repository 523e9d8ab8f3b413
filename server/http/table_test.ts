import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import type { KubeObject } from "../../core/kube/meta.ts";
import { certificateSigningRequests } from "../registry/certificatesigningrequests.ts";
import { createRbacResources } from "../registry/rbac.ts";
import { events } from "../registry/events.ts";
import type { Resource } from "../registry/resource.ts";
import { encodeWire } from "./respond.ts";
import { createTable, encodeTable } from "./table.ts";

const neverAsked = () => Promise.reject(new Error("not asked"));
const [, , roles] = createRbacResources({
  authorizer: { authorize: neverAsked, rulesFor: neverAsked },
  rbac: {
    objects: () => {
      throw new Error("not asked");
    },
    [Symbol.dispose]() {},
  },
});
const metadata = { resourceVersion: "7", continue: "<more>" };
const created = "2026-01-01T00:00:00Z";

const csr = {
  metadata: { name: "<a>&\u2028", creationTimestamp: created, labels: { "1": "x", "10": "y", "2": "z" } },
  spec: { request: "", signerName: "example.com/ü", username: "lone \ud800", usages: [] },
  status: {},
};
const event = {
  metadata: { name: "e", namespace: "default" },
  involvedObject: { kind: "Node", name: "n" },
  firstTimestamp: created,
  lastTimestamp: null,
  eventTime: null,
  source: {},
  reportingComponent: "",
  count: 3,
};

function joinText(pieces: readonly Uint8Array[]): string {
  return Buffer.concat(pieces).toString("utf8");
}

/** The Table as any other object is written. */
function wanted(resource: Resource, objects: readonly KubeObject[], version: string, now: Date): string {
  const table = createTable(resource, metadata, objects, "Metadata", version, now);
  const wire = { apiVersion: `meta.k8s.io/${version}`, kind: "Table" };
  return new TextDecoder().decode(encodeWire(wire, table, "application/json", false));
}

for (
  const { name, resource, objects } of [
    { name: "nothing", resource: certificateSigningRequests, objects: [] },
    { name: "nothing, without its own columns", resource: roles as Resource, objects: [] },
    { name: "one request", resource: certificateSigningRequests, objects: [csr] },
    {
      name: "requests, of one of which the age is not known",
      resource: certificateSigningRequests,
      objects: [csr, { ...csr, metadata: { name: "b" } }, { ...csr, metadata: { name: "c", creationTimestamp: null } }],
    },
    {
      name: "events, whose first cell is an age",
      resource: events,
      objects: [event, { ...event, firstTimestamp: null }],
    },
  ]
) {
  test(`encodeTable() of ${name} equals the generally encoded Table, at any time and in both versions`, () => {
    const items = objects.map((object) => ({ object: object as KubeObject }));
    for (const version of ["v1", "v1beta1", "v1"]) {
      for (const now of ["2026-01-01T00:00:05Z", "2026-01-01T00:07:05Z", "2025-12-31T00:00:00Z"]) {
        const at = new Date(now);
        assert.equal(
          joinText(encodeTable(resource as Resource, metadata, items, version, at)),
          wanted(resource as Resource, items.map(({ object }) => object), version, at),
        );
      }
    }
  });
}

test("tableOf() of nothing has no list of rows where kube-apiserver has none", () => {
  assert.equal(createTable(roles as Resource, metadata, [], "Metadata", "v1", new Date(0)).rows, null);
  assert.deepEqual(
    createTable(certificateSigningRequests as Resource, metadata, [], "Metadata", "v1", new Date(0)).rows,
    [],
  );
});

test("encodeTable() of one object for two resources is right for each", () => {
  const items = [{ object: csr as KubeObject }];
  const now = new Date("2026-01-02T00:00:00Z");
  for (const resource of [certificateSigningRequests, { ...certificateSigningRequests, columns: [] }] as Resource[]) {
    assert.equal(
      joinText(encodeTable(resource, metadata, items, "v1", now)),
      wanted(resource, [csr as KubeObject], "v1", now),
    );
  }
});
