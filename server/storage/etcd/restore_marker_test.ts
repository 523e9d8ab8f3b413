import assert from "node:assert/strict";
import { test } from "node:test";
import { Buffer } from "node:buffer";
import {
  assertNoMarker,
  assertNotRestoring,
  findRestoreMarker,
  formatRestoreMarker,
  parseRestoreMarker,
  planEtcdRestore,
  RESTORE_MARKER_KEY,
  type RestoreMarker,
} from "./restore_marker.ts";

const writing: RestoreMarker = {
  backup: "aa",
  createdAt: "2026-11-25T10:00:00.000Z",
  phase: "writing",
  aside: ["/registry.replaced-1"],
};
const halfAside: RestoreMarker = { ...writing, phase: "puttingAside" };
const spoiled: RestoreMarker = { ...writing, phase: "spoiled" };

test("parseRestoreMarker() reads what formatRestoreMarker() wrote, and nothing else", () => {
  for (const marker of [writing, halfAside, spoiled]) {
    assert.deepEqual(parseRestoreMarker(formatRestoreMarker(marker)), { ok: true, value: marker });
  }
  const text = formatRestoreMarker(writing);
  for (
    const other of [
      "",
      "null",
      "{}",
      text.replace("v1alpha1", "v9"),
      text.replace("writing", "x"),
      text.replace("aside", "b"),
    ]
  ) {
    assert.equal(parseRestoreMarker(other).ok, false, other);
  }
});

for (
  const { name, marker, isTaken, backup = "aa", force = false, want } of [
    { name: "an empty prefix", isTaken: false, want: { kind: "write", resumed: false, aside: [] } },
    { name: "a prefix that is taken", isTaken: true, want: { kind: "refuse", why: "taken" } },
    { name: "a taken prefix, by force", isTaken: true, force: true, want: { kind: "moveAside", aside: ["new"] } },
    {
      name: "an interrupted restore of the same backup",
      marker: writing,
      isTaken: true,
      want: { kind: "write", resumed: true, aside: writing.aside },
    },
    {
      name: "an interrupted restore of the same backup, by force",
      marker: writing,
      isTaken: true,
      force: true,
      want: { kind: "write", resumed: true, aside: writing.aside },
    },
    {
      name: "an interrupted restore of another backup",
      marker: writing,
      isTaken: true,
      backup: "bb",
      want: { kind: "refuse", why: "otherBackup" },
    },
    {
      name: "an interrupted restore of another backup, by force",
      marker: writing,
      isTaken: true,
      backup: "bb",
      force: true,
      want: { kind: "moveAside", aside: [...writing.aside, "new"] },
    },
    {
      name: "the marker of another backup alone",
      marker: writing,
      isTaken: false,
      backup: "bb",
      want: { kind: "write", resumed: false, aside: writing.aside },
    },
    {
      name: "contents that are partly moved aside",
      marker: halfAside,
      isTaken: true,
      want: { kind: "refuse", why: "halfAside" },
    },
    {
      name: "contents that are partly moved aside, by force, into the same place",
      marker: halfAside,
      isTaken: true,
      force: true,
      want: { kind: "moveAside", aside: halfAside.aside },
    },
    {
      name: "a restore that another program has disturbed",
      marker: spoiled,
      isTaken: true,
      want: { kind: "refuse", why: "spoiled" },
    },
    {
      name: "a restore that another program has disturbed, by force",
      marker: spoiled,
      isTaken: true,
      force: true,
      want: { kind: "moveAside", aside: [...spoiled.aside, "new"] },
    },
    {
      name: "contents that are completely moved aside",
      marker: halfAside,
      isTaken: false,
      want: { kind: "write", resumed: false, aside: halfAside.aside },
    },
  ] as const
) {
  test(`planEtcdRestore() of ${name}: ${want.kind}`, () => {
    assert.deepEqual(planEtcdRestore({ marker, isTaken }, { backup, force, place: "new" }), want);
  });
}

const marker = { backup: "aa", createdAt: "2026-11-25", phase: "writing", aside: [] } as const;
const kv = (key: string, text = "") => ({ key, modRevision: 4, version: 1, value: Buffer.from(text) });
const others = [kv("/registry/a"), kv("/registry/tlsboot/restore-2")];
const among = [...others, kv(RESTORE_MARKER_KEY, formatRestoreMarker(marker))];

/** Creates an etcd that has these keys. */
const createClient = (kvs: readonly ReturnType<typeof kv>[]) => ({
  range: async ({ key }: { key: string }) => ({
    ...{ revision: 9, more: false, count: 0 },
    kvs: kvs.filter((one) => one.key === key),
  }),
});

test("assertNoMarker() and assertNotRestoring() refuse a prefix with a restore under way, and nothing else", async () => {
  assertNoMarker(others, "/instances/one");
  await assertNotRestoring(createClient(others), "/instances/one");
  const refusal = {
    ...{ name: "AppError", code: "storage_corrupt" },
    message: 'cannot use keys below "/instances/one" in etcd: a restore of the backup of 2026-11-25 is not finished',
  };
  assert.throws(() => assertNoMarker(among, "instances/one/"), refusal);
  await assert.rejects(assertNotRestoring(createClient(among), "instances/one/"), refusal);
});

test("findRestoreMarker() finds it with its revision, and refuses one that it cannot read", async () => {
  assert.equal(await findRestoreMarker(createClient(others)), undefined);
  assert.deepEqual(await findRestoreMarker(createClient(among)), { marker, modRevision: 4 });
  const strange = createClient([kv(RESTORE_MARKER_KEY, "{}")]);
  await assert.rejects(findRestoreMarker(strange), { code: "storage_corrupt", message: /it has a different version/ });
});
