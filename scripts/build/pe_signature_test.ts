import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { removePeSignature } from "./pe_signature.ts";

const PE_AT = 0x80;
const CHECK_SUM_AT = PE_AT + 24 + 64;
const CERTIFICATES_AT = PE_AT + 24 + 144;

test("removePeSignature() removes the signature and the checksum", () => {
  const { length } = createPe("");
  const plain = removePeSignature(createPe("a signature"));
  assert.equal(plain.length, length);
  assert.deepEqual([plain.readUInt32LE(CERTIFICATES_AT), plain.readUInt32LE(CERTIFICATES_AT + 4)], [0, 0]);
  assert.equal(plain.readUInt32LE(CHECK_SUM_AT), 0);
});

test("removePeSignature() does not change a file without a signature", () => {
  assert.deepEqual(removePeSignature(createPe("")), createPe(""));
});

test("removePeSignature() refuses unknown files", () => {
  assert.throws(() => removePeSignature(Buffer.alloc(512)), /want a 64-bit PE file/);
  const more = Buffer.concat([createPe("a signature"), Buffer.from("more")]);
  assert.throws(() => removePeSignature(more), /has more behind its signature/);
});

function createPe(signature: string): Buffer {
  const pe = Buffer.alloc(512);
  pe.writeUInt32LE(PE_AT, 0x3c);
  pe.write("PE\0\0", PE_AT, "latin1");
  pe.writeUInt16LE(0x20b, PE_AT + 24);
  pe.writeUInt32LE(0xabcd, CHECK_SUM_AT);
  pe.writeUInt32LE(signature === "" ? 0 : pe.length, CERTIFICATES_AT);
  pe.writeUInt32LE(signature.length, CERTIFICATES_AT + 4);
  return Buffer.concat([pe, Buffer.from(signature)]);
}
