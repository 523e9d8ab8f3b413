import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import type { KubeObject } from "../../core/kube/meta.ts";
import { certificateSigningRequests } from "../registry/certificates_v1.ts";
import { createRbacResources } from "../registry/rbac.ts";
import { events } from "../registry/events.ts";
import type { Resource } from "../registry/resource.ts";
import { encodeWire } from "./respond.ts";
import { createTable, encodeTable, prepareLists } from "./table.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryStorage } from "../storage/memory/journaled_storage.ts";
import type { Stored } from "../storage/storage.ts";

const refuseCall = () => Promise.reject(new Error("not asked"));
const [, , roles] = createRbacResources({
  authorizer: { authorize: refuseCall, rulesFor: refuseCall },
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

/** Encodes a Table like any other object. */
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
      name: "requests, one with an unknown age",
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
  test(`encodeTable() of ${name} equals the Table in the general encoding, at any time and in both versions`, () => {
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

test("createTable() of an empty list has null rows where kube-apiserver has", () => {
  assert.equal(createTable(roles as Resource, metadata, [], "Metadata", "v1", new Date(0)).rows, null);
  assert.deepEqual(
    createTable(certificateSigningRequests as Resource, metadata, [], "Metadata", "v1", new Date(0)).rows,
    [],
  );
});

test("encodeTable() of one object for two resources is correct for each", () => {
  const items = [{ object: csr as KubeObject }];
  const now = new Date("2026-01-02T00:00:00Z");
  for (const resource of [certificateSigningRequests, { ...certificateSigningRequests, columns: [] }] as Resource[]) {
    assert.equal(
      joinText(encodeTable(resource, metadata, items, "v1", now)),
      wanted(resource, [csr as KubeObject], "v1", now),
    );
  }
});

const PREFIX = "/registry/certificatesigningrequests/";
const MANY = 50;

function createCsr(name: string): KubeObject {
  const csr = { metadata: { name }, spec: { request: "", signerName: "example.com/x", usages: [] }, status: {} };
  return csr;
}

/** Creates a resource of requests that counts its rows. */
function createCounted(): { readonly resource: Resource; made(): number } {
  let made = 0;
  const columns = certificateSigningRequests.columns.map((column, index) =>
    index > 0 || !("cell" in column) ? column : { ...column, cell: (object: never) => (made++, column.cell(object)) }
  );
  return { resource: { ...certificateSigningRequests, columns } as unknown as Resource, made: () => made };
}

test("prepareLists() creates the rows of objects that change, each once, after the first Table", async () => {
  const clock = createFakeClock();
  await using storage = createMemoryStorage({ clock });
  const { resource, made } = createCounted();
  for (let index = 0; index < MANY; index++) await storage.create(`${PREFIX}old-${index}`, createCsr(`old-${index}`));
  using _prepared = await prepareLists(storage, resource, clock);
  await clock.advance(1_000);
  assert.equal(made(), 0);
  encodeTable(resource, {}, (await storage.list(PREFIX)).items, "v1", clock.now());
  assert.equal(made(), MANY);

  const created = await storage.create(`${PREFIX}new`, createCsr("new"));
  const updated = await storage.update(created.key, createCsr("new"), created.revision);
  await clock.advance(1_000);
  assert.equal(made(), MANY + 1, "the replaced state has no row");

  const { items } = await storage.list(PREFIX);
  encodeTable(resource, {}, items, "v1", clock.now());
  assert.equal(made(), MANY + 1);
  encodeTable(resource, {}, [created], "v1", clock.now());
  assert.equal(made(), MANY + 2);
  await storage.delete(updated.key, updated.revision);
  encodeTable(resource, {}, [updated], "v1", clock.now());
  assert.equal(made(), MANY + 3, "the row of a deleted object is dropped");
});

test("prepareLists() waits while many objects change", async () => {
  const clock = createFakeClock();
  await using storage = createMemoryStorage({ clock });
  const { resource, made } = createCounted();
  encodeTable(resource, {}, [{ object: createCsr("first") }], "v1", clock.now());
  using _prepared = await prepareLists(storage, resource, clock);
  const createMany = async (prefix: string) => {
    for (let index = 0; index < MANY; index++) await storage.create(`${PREFIX}${prefix}-${index}`, createCsr(prefix));
  };
  await createMany("a");
  await clock.advance(500);
  await createMany("b");
  await clock.advance(1_000);
  assert.equal(made(), 1);
  await clock.advance(1_000);
  assert.equal(made(), 1 + 2 * MANY);
});

test("prepareLists() reads the JSON of each object, and skips one that has no row", async () => {
  const clock = createFakeClock();
  const encoded: string[] = [];
  const createStored = (name: string, object: KubeObject): Stored => ({
    key: `${PREFIX}${name}`,
    revision: 2,
    size: 2,
    object,
    get bytes() {
      encoded.push(name);
      return new Uint8Array();
    },
  });
  const items = [createStored("broken", { metadata: { name: "broken" } }), createStored("b", createCsr("b"))];
  const storage = {
    list: () => Promise.resolve({ items, revision: 2, remaining: 0 }),
    watch: () => ({ stop: () => undefined }),
  };
  const { resource } = createCounted();
  encodeTable(resource, {}, [{ object: createCsr("first") }], "v1", clock.now());
  using _prepared = await prepareLists(storage, resource, clock);
  await clock.advance(1_000);
  assert.deepEqual(encoded, ["b"]);
});
