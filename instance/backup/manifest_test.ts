import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type BackupManifest,
  countOmitted,
  describeOmitted,
  findPartsFault,
  findPathFault,
  formatManifest,
  parseManifest,
  parseOmitted,
} from "./manifest.ts";

const part = { path: "files/format", size: 2, sha256: "ab" };
const manifest: BackupManifest = {
  createdAt: "2026-11-25T10:00:00.000Z",
  tlsbootVersion: "0.1.0",
  dataFormat: 1,
  revision: 7,
  objects: 3,
  parts: [part],
};

test("parseManifest() reads the output of formatManifest()", () => {
  const read = parseManifest(formatManifest(manifest), 1);
  assert.ok(read.ok);
  assert.deepEqual({ ...manifest, ...read.value }, read.value);
});

for (
  const [what, text, fault] of [
    ["no JSON", "{", /not JSON/],
    ["another kind", '{"kind":"List"}', /not the manifest of a backup/],
    [
      "a newer format",
      formatManifest(manifest).replace('"format": 1', '"format": 2'),
      /format 2, but this program knows only 1/,
    ],
    [
      "a data directory without a number",
      formatManifest(manifest).replace('"dataFormat": 1', '"dataFormat": "x"'),
      /not/,
    ],
    [
      "a time that is not a text",
      formatManifest(manifest).replace('"createdAt": "', '"createdAt": 1, "x": "'),
      /not complete/,
    ],
    ["a newer data directory", formatManifest({ ...manifest, dataFormat: 2 }), /data directory has format 2/],
    [
      "no number of omitted objects",
      formatManifest({ ...manifest, omitted: [{ resource: "pods", objects: NaN }] }),
      /not complete/,
    ],
    ["no revision", formatManifest(manifest).replace('"revision": 7', '"revision": null'), /not complete/],
  ] as const
) {
  test(`parseManifest() refuses ${what}`, () => {
    const read = parseManifest(text, 1);
    assert.ok(!read.ok);
    assert.match(read.error, fault);
  });
}

test("findPathFault() refuses every path outside of the folder", () => {
  for (const path of ["files/a", "files/pki/ca.key", "objects/000001.ndjson", "manifest.json"]) {
    assert.equal(findPathFault(path), undefined, path);
  }
  for (
    const path of [
      ...["", "a", "/etc/passwd", "files/../x", "files/./x", "files//x", "files/", "files/a\0b", "../files/a"],
      ...["files/..\\..\\x", "files/\\\\host\\share", "objects/a\\b", "files\\a"],
    ]
  ) {
    assert.notEqual(findPathFault(path), undefined, path);
  }
});

test("findPartsFault() finds missing, unknown and changed parts", () => {
  assert.equal(findPartsFault(manifest, [part]), undefined);
  assert.match(findPartsFault(manifest, []) ?? "", /missing/);
  assert.match(findPartsFault(manifest, [{ ...part, sha256: "ac" }]) ?? "", /damaged/);
  assert.match(findPartsFault(manifest, [{ ...part, size: 3 }]) ?? "", /damaged/);
  assert.match(findPartsFault(manifest, [part, { ...part, path: "files/b" }]) ?? "", /not in its manifest/);
});

test("countOmitted() counts by resource, with its group where keys have one", () => {
  const counted = countOmitted([
    "/registry/pods/default/b",
    "/registry/example.com/widgets/default/a",
    "/registry/pods/kube-system/example.com",
    "/registry/example.com/gadgets/a",
    "/registry/odd.name",
    "/registry/",
  ]);
  assert.equal(
    describeOmitted(counted),
    " (1), example.com/gadgets (1), example.com/widgets (1), odd.name (1), pods (2)",
  );
  assert.deepEqual(parseOmitted(JSON.parse(JSON.stringify(counted))), { ok: true, value: counted });
});

test("parseOmitted() accepts an absent list, and refuses malformed ones", () => {
  assert.deepEqual(parseOmitted(undefined), { ok: true, value: [] });
  for (const other of [null, {}, [null], [{ resource: "pods" }], [{ resource: 1, objects: 1 }]]) {
    assert.equal(parseOmitted(other).ok, false, JSON.stringify(other));
  }
});
