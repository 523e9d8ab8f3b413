import assert from "node:assert/strict";
import { test } from "node:test";
import { readTarHeader, TAR_BLOCK, writeTarHeader } from "./tar.ts";

const header = { path: "files/pki/ca.key", mode: 0o600, size: 241, modifiedSeconds: 1_790_000_000 };

test("readTarHeader() reads what writeTarHeader() wrote, long paths too", () => {
  for (const path of [header.path, "a".repeat(100), `${"b".repeat(120)}/${"c".repeat(90)}`]) {
    assert.deepEqual(readTarHeader(writeTarHeader({ ...header, path })), { ...header, path });
  }
  assert.equal(readTarHeader(new Uint8Array(TAR_BLOCK)), undefined);
});

test("readTarHeader() reads permissions, and no setuid, setgid or sticky bit", () => {
  for (const [written, read] of [[0o4755, 0o755], [0o2640, 0o640], [0o1777, 0o777], [0o7600, 0o600]] as const) {
    assert.equal(readTarHeader(writeTarHeader({ ...header, mode: written }))?.mode, read);
  }
});

test("readTarHeader() refuses a changed byte and what is no file", () => {
  const changed = writeTarHeader(header);
  changed[3]! ^= 1;
  assert.throws(() => readTarHeader(changed), /no header/);
  assert.throws(() => readTarHeader(writeTarHeader({ ...header, target: "elsewhere" })), /no header/);
});

test("writeTarHeader() says so when a path is too long", () => {
  assert.throws(() => writeTarHeader({ ...header, path: `${"b".repeat(200)}/${"c".repeat(90)}` }), /too long for tar/);
});
