import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { decodeTarHeader, encodeTarFiles, encodeTarHeader, readTarFiles, TAR_BLOCK } from "./tar.ts";

const header = { path: "files/pki/ca.key", mode: 0o600, size: 241, modifiedSeconds: 1_790_000_000 };

test("decodeTarHeader() reads the output of encodeTarHeader(), long paths too", () => {
  const long = [`${"b".repeat(120)}/${"c".repeat(90)}`, `${"b".repeat(155)}/${"c".repeat(100)}`];
  for (const path of [header.path, "a".repeat(100), ...long, `a/${"ä".repeat(60)}/b`]) {
    assert.deepEqual(decodeTarHeader(encodeTarHeader({ ...header, path })), { ...header, path });
  }
  assert.equal(decodeTarHeader(new Uint8Array(TAR_BLOCK)), undefined);
});

test("decodeTarHeader() reads permissions, and no setuid, setgid or sticky bit", () => {
  for (const [written, read] of [[0o4755, 0o755], [0o2640, 0o640], [0o1777, 0o777], [0o7600, 0o600]] as const) {
    assert.equal(decodeTarHeader(encodeTarHeader({ ...header, mode: written }))?.mode, read);
  }
});

test("decodeTarHeader() refuses a changed byte and entries that are not files", () => {
  const changed = encodeTarHeader(header);
  changed[3]! ^= 1;
  assert.throws(() => decodeTarHeader(changed), /damaged or is not a file/);
  assert.throws(() => decodeTarHeader(encodeTarHeader({ ...header, target: "elsewhere" })), /damaged or is not a file/);
});

test("encodeTarHeader() reports the whole path if it is too long, or if no slash divides it well", () => {
  const paths = [
    "a".repeat(101),
    `${"b".repeat(200)}/${"c".repeat(90)}`,
    `b/${"c".repeat(101)}`,
    `${"d".repeat(101)}/`,
  ];
  for (const path of paths) {
    assert.throws(() => encodeTarHeader({ ...header, path }), { message: `"${path}" is too long for tar` });
  }
});

test("readTarFiles() reads what encodeTarFiles() wrote, and refuses it when it is cut off", () => {
  const files = [{ path: "a", mode: 0o600, text: "" }, { path: "b/c", mode: 0o644, text: "ä".repeat(600) }];
  const archive = encodeTarFiles(files, 1_790_000_000);
  const read = readTarFiles(archive);
  assert.ok(read.ok);
  assert.deepEqual([...read.value].map(([path, bytes]) => [path, new TextDecoder().decode(bytes)]), [
    ["a", ""],
    ["b/c", "ä".repeat(600)],
  ]);
  assert.deepEqual(readTarFiles(archive.subarray(0, 3 * TAR_BLOCK)), { ok: false, error: "the archive is cut off" });
});

test("readTarFiles() answers for any bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2_048 }), (bytes) => {
    assert.equal(typeof readTarFiles(bytes).ok, "boolean");
  }));
});
