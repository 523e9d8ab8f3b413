import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { createAr } from "./debian.ts";

test("createAr() follows deb(5), with members at even offsets", () => {
  const archive = createAr([
    { name: "debian-binary", data: Buffer.from("2.0\n") },
    { name: "odd", data: Buffer.from("abc") },
    { name: "end", data: Buffer.from("") },
  ], 1_769_860_800);
  assert.equal(
    archive.toString("latin1"),
    [
      "!<arch>\n",
      "debian-binary   1769860800  0     0     100644  4         `\n2.0\n",
      "odd             1769860800  0     0     100644  3         `\nabc\n",
      "end             1769860800  0     0     100644  0         `\n",
    ].join(""),
  );
});

test("createAr() refuses names that do not fit", () => {
  assert.throws(() => createAr([{ name: "a".repeat(17), data: new Uint8Array() }], 0), /too long for ar/);
});
