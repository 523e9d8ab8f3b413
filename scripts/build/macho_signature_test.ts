import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { signAdHoc } from "./macho_signature.ts";

const TEXT_BYTES = 0x4000;
const LINK_EDIT_BYTES = 100;

test("signAdHoc() appends hashes of all pages to the file, and records their position", () => {
  const signed = signAdHoc(createMacho(), "tlsboot");
  const { offset, bytes } = readSignature(signed);
  assert.equal(offset, Math.ceil((TEXT_BYTES + LINK_EDIT_BYTES) / 16) * 16);
  assert.equal(offset + bytes, signed.length);
  const signature = signed.subarray(offset);
  assert.deepEqual([signature.readUInt32BE(0), signature.readUInt32BE(4)], [0xfade0cc0, bytes]);
  const directory = signature.subarray(signature.readUInt32BE(16));
  assert.equal(directory.readUInt32BE(0), 0xfade0c02);
  assert.equal(directory.readUInt32BE(4), bytes - 20);
  const identifierAt = directory.readUInt32BE(20);
  assert.equal(directory.toString("latin1", identifierAt, identifierAt + 8), "tlsboot\0");
  assert.equal(directory.readUInt32BE(32), offset, "the hashes end before themselves");
  const hashes = directory.subarray(directory.readUInt32BE(16));
  const count = directory.readUInt32BE(28);
  assert.equal(hashes.length, count * 32);
  for (let page = 0; page < count; page++) {
    const code = signed.subarray(page * 4096, Math.min(offset, (page + 1) * 4096));
    assert.deepEqual(hashes.subarray(page * 32, page * 32 + 32), createHash("sha256").update(code).digest());
  }
});

test("signAdHoc() lengthens __LINKEDIT over the signature", () => {
  const signed = signAdHoc(createMacho(), "tlsboot");
  const linkEdit = 32 + 72;
  const [memory, file] = [signed.readBigUInt64LE(linkEdit + 32), signed.readBigUInt64LE(linkEdit + 48)];
  assert.equal(Number(file), signed.length - TEXT_BYTES);
  assert.ok(memory >= file && memory % 0x4000n === 0n);
});

test("signAdHoc() refuses unknown files", () => {
  assert.throws(() => signAdHoc(Buffer.alloc(64), "tlsboot"), /want a 64-bit Mach-O file/);
  assert.throws(() => signAdHoc(signAdHoc(createMacho(), "tlsboot"), "tlsboot"), /has a signature/);
  const more = Buffer.concat([createMacho(), Buffer.alloc(4)]);
  assert.throws(() => signAdHoc(more, "tlsboot"), /does not end with __LINKEDIT/);
  const full = createMacho();
  full.fill(1, 32 + 2 * 72, 32 + 2 * 72 + 16);
  assert.throws(() => signAdHoc(full, "tlsboot"), /no room for another command/);
});

function readSignature(macho: Buffer): { readonly offset: number; readonly bytes: number } {
  const at = 32 + 2 * 72;
  assert.deepEqual([macho.readUInt32LE(16), macho.readUInt32LE(20)], [3, 2 * 72 + 16]);
  assert.deepEqual([macho.readUInt32LE(at), macho.readUInt32LE(at + 4)], [0x1d, 16]);
  return { offset: macho.readUInt32LE(at + 8), bytes: macho.readUInt32LE(at + 12) };
}

/** Two segments: one of 16 KiB, and what linkers leave behind it. */
function createMacho(): Buffer {
  const macho = Buffer.alloc(TEXT_BYTES + LINK_EDIT_BYTES);
  macho.writeUInt32LE(0xfeedfacf, 0);
  macho.writeUInt32LE(2, 16);
  macho.writeUInt32LE(2 * 72, 20);
  writeSegment(macho, 32, "__TEXT", 0, TEXT_BYTES);
  writeSegment(macho, 32 + 72, "__LINKEDIT", TEXT_BYTES, LINK_EDIT_BYTES);
  return macho;
}

function writeSegment(macho: Buffer, at: number, name: string, offset: number, bytes: number): void {
  macho.writeUInt32LE(0x19, at);
  macho.writeUInt32LE(72, at + 4);
  macho.write(name, at + 8, "latin1");
  macho.writeBigUInt64LE(BigInt(bytes), at + 32);
  macho.writeBigUInt64LE(BigInt(offset), at + 40);
  macho.writeBigUInt64LE(BigInt(bytes), at + 48);
}
