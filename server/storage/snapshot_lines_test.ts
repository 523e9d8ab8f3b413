import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { formatSnapshotHead, formatSnapshotObject, parseSnapshotHead, parseSnapshotObject } from "./snapshot_lines.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("parseSnapshotObject() returns the input of formatSnapshotObject(), byte for byte", () => {
  fc.assert(fc.property(fc.string(), fc.nat(), fc.dictionary(fc.string(), fc.jsonValue()), (name, revision, object) => {
    const bytes = new TextEncoder().encode(JSON.stringify(object));
    const key = `/registry/${name.toWellFormed()}`;
    const line = text(formatSnapshotObject({ key, revision, bytes }));
    assert.ok(line.endsWith("\n") && line.indexOf("\n") === line.length - 1);
    const read = parseSnapshotObject(line.slice(0, -1));
    assert.ok(read.ok);
    assert.deepEqual({ ...read.value, bytes: text(read.value.bytes) }, { key, revision, bytes: text(bytes) });
  }));
});

test("parseSnapshotHead() reads a head, and nothing else", () => {
  const line = text(formatSnapshotHead({ revision: 7, objects: 3 })).trimEnd();
  assert.deepEqual(parseSnapshotHead(line), { ok: true, value: { revision: 7, objects: 3 } });
  const empty = { revision: 0, objects: 0 };
  assert.deepEqual(parseSnapshotHead(text(formatSnapshotHead(empty)).trimEnd()), { ok: true, value: empty });
  for (
    const other of ["", "{}", "null", line.replace("v1alpha1", "v9"), line.replace("7", "-1"), line.replace("3", '"3"')]
  ) {
    assert.equal(parseSnapshotHead(other).ok, false, other);
  }
});

test("parseSnapshotObject() refuses malformed lines", () => {
  for (const line of ["", "[]", '{"key":"/etc","revision":1,"object":{}}', '{"key":"/registry/x","object":{}}']) {
    assert.equal(parseSnapshotObject(line).ok, false, line);
  }
});
