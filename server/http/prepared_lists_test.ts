import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "../../core/kube/meta.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryStorage } from "../storage/memory/memory_storage.ts";
import { certificateSigningRequests } from "../registry/certificatesigningrequests.ts";
import type { Resource } from "../registry/resource.ts";
import type { Stored } from "../storage/storage.ts";
import { prepareLists } from "./prepared_lists.ts";
import { encodeTable } from "./table.ts";

const PREFIX = "/registry/certificatesigningrequests/";
const MANY = 50;

function createCsr(name: string): KubeObject {
  const csr = { metadata: { name }, spec: { request: "", signerName: "example.com/x", usages: [] }, status: {} };
  return csr;
}

/** The resource of requests, which counts its rows. */
function createCounted(): { readonly resource: Resource; made(): number } {
  let made = 0;
  const columns = certificateSigningRequests.columns.map((column, index) =>
    index > 0 || !("cell" in column) ? column : { ...column, cell: (object: never) => (made++, column.cell(object)) }
  );
  return { resource: { ...certificateSigningRequests, columns } as unknown as Resource, made: () => made };
}

test("prepareLists() makes the rows of objects that change, each once, from the first Table on", async () => {
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
