/**
 * Checks that each released file is an executable of its system and processor, as far as that is visible without
 * running it.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { TARGETS, toFileName } from "../../scripts/build/targets.ts";
import { readBytes, releasedFile, releasedFolder } from "../support/binary/released.ts";

/** The largest size that a released file may have, see docs/engineering/measurements.md. */
const MAX_BYTES = 115e6;
const MAX_COMPRESSED_BYTES = 42e6;

const compress = promisify(gzip);

/** Machine fields: ELF e_machine, PE Machine, Mach-O cputype. */
const X64_ELF = 62;
const ARM64_ELF = 183;
const X64_PE = 0x8664;
const ARM64_MACHO = 0x0100000c;

const LC_SYMTAB = 0x2;
const LC_DYSYMTAB = 0xb;
const LC_CODE_SIGNATURE = 0x1d;

const PT_LOAD = 1;
const PT_NOTE = 4;
const PT_PHDR = 6;

for (const [name, machine] of [["linux-x64", X64_ELF], ["linux-arm64", ARM64_ELF]] as const) {
  test(`the ${name} file is a stripped ELF executable for its processor that carries the program`, async () => {
    const elf = await readFile(releasedFile(name));
    assert.equal(elf.toString("latin1", 0, 6), "\x7fELF\x02\x01");
    assert.deepEqual([elf.readUInt16LE(16), elf.readUInt16LE(18)], [2, machine]);
    const segments = readProgramHeaders(elf);
    const notes = segments.filter(({ type }) => type === PT_NOTE);
    assert.ok(notes.some(({ offset, bytes }) => elf.subarray(offset, offset + bytes).includes("NODE_SEA_BLOB\0")));
    assert.ok(!readSectionTypes(elf).includes(2), "there is a symbol table");
    assert.ok(elf.includes("NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:1"));
  });

  test(`the ${name} file starts on kernels that look for the program headers behind the first segment`, async () => {
    const elf = await readFile(releasedFile(name));
    const segments = readProgramHeaders(elf);
    const first = segments.find(({ type }) => type === PT_LOAD)!;
    const table = segments.find(({ type }) => type === PT_PHDR)!;
    // Linux before 5.18 passes this address to the loader and ignores PT_PHDR.
    assert.equal(table.address, first.address - BigInt(first.offset) + elf.readBigUInt64LE(32));
  });
}

test("the win-x64 file is a PE executable for its processor, without its invalid signature", async () => {
  const path = releasedFile("win-x64");
  const head = await readBytes(path, 0, 4096);
  const start = head.readUInt32LE(0x3c);
  assert.equal(head.toString("latin1", start, start + 4), "PE\0\0");
  assert.equal(head.readUInt16LE(start + 4), X64_PE);
  assert.deepEqual([head.readUInt32LE(start + 24 + 144), head.readUInt32LE(start + 24 + 148)], [0, 0]);
  const text = await readFile(path);
  assert.ok(text.includes(Buffer.from("NODE_SEA_BLOB", "utf16le")));
  assert.ok(text.includes("NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:1"));
});

test("the darwin-arm64 file is a Mach-O executable for its processor, with a hash of each of its pages", async () => {
  const macho = await readFile(releasedFile("darwin-arm64"));
  assert.deepEqual([macho.readUInt32LE(0), macho.readUInt32LE(4)], [0xfeedfacf, ARM64_MACHO]);
  assert.ok(macho.subarray(0, 4096).includes("NODE_SEA\0"));
  assert.ok(macho.includes("NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:1"));
  const { offset, bytes } = readCodeSignature(macho);
  assert.equal(offset + bytes, macho.length);
  const directory = macho.subarray(offset + macho.readUInt32BE(offset + 16));
  const [hashesAt, count, limit] = [16, 28, 32].map((at) => directory.readUInt32BE(at)) as [number, number, number];
  assert.deepEqual([limit, count], [offset, Math.ceil(offset / 4096)]);
  for (let page = 0; page < count; page++) {
    const hash = createHash("sha256").update(macho.subarray(page * 4096, Math.min(limit, (page + 1) * 4096))).digest();
    assert.ok(hash.equals(directory.subarray(hashesAt + page * 32, hashesAt + page * 32 + 32)), `page ${page}`);
  }
});

test("SHA256SUMS has the hash of each file, as sha256sum reads it", async () => {
  const lines = (await readFile(join(releasedFolder(), "SHA256SUMS"), "utf8")).trimEnd().split("\n");
  const names = TARGETS.map((target) => toFileName(target, TLSBOOT_VERSION));
  assert.deepEqual(lines.map((line) => line.slice(66)).sort(), [...names].sort());
  for (const line of lines) {
    const [, hash, name] = /^([0-9a-f]{64}) {2}(\S+)$/.exec(line)!;
    assert.equal(createHash("sha256").update(await readFile(join(releasedFolder(), name!))).digest("hex"), hash);
  }
});

test("each file is executable and no larger than it is said to be", async () => {
  for (const name of (await readdir(releasedFolder())).filter((item) => item.startsWith("tlsboot-"))) {
    const { mode, size } = await stat(join(releasedFolder(), name));
    assert.equal(mode & 0o777, 0o755, name);
    assert.ok(size < MAX_BYTES, `${name} has ${size} bytes`);
  }
});

test("the linux-x64 file, the largest, is small enough when compressed", async () => {
  const compressed = (await compress(await readFile(releasedFile("linux-x64")), { level: 9 })).length;
  assert.ok(compressed < MAX_COMPRESSED_BYTES, `it has ${compressed} bytes`);
});

test("the darwin-arm64 file has no symbols but those that its loader may look for", async () => {
  const macho = await readFile(releasedFile("darwin-arm64"));
  const [count, dynamic] = [findLoadCommand(macho, LC_SYMTAB) + 12, findLoadCommand(macho, LC_DYSYMTAB)];
  const [locals, shown, called] = [12, 20, 28].map((at) => macho.readUInt32LE(dynamic + at)) as [
    number,
    number,
    number,
  ];
  assert.equal(locals, 0);
  assert.equal(macho.readUInt32LE(count), shown + called);
});

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: bigint;
  readonly bytes: number;
}

function readProgramHeaders(elf: Buffer): readonly Segment[] {
  const start = Number(elf.readBigUInt64LE(32));
  return Array.from({ length: elf.readUInt16LE(56) }, (_, index) => {
    const header = elf.subarray(start + index * 56);
    return {
      type: header.readUInt32LE(0),
      offset: Number(header.readBigUInt64LE(8)),
      address: header.readBigUInt64LE(16),
      bytes: Number(header.readBigUInt64LE(32)),
    };
  });
}

function readSectionTypes(elf: Buffer): readonly number[] {
  const start = Number(elf.readBigUInt64LE(40));
  return Array.from({ length: elf.readUInt16LE(60) }, (_, index) => elf.readUInt32LE(start + index * 64 + 4));
}

function readCodeSignature(macho: Buffer): { readonly offset: number; readonly bytes: number } {
  const at = findLoadCommand(macho, LC_CODE_SIGNATURE);
  return { offset: macho.readUInt32LE(at + 8), bytes: macho.readUInt32LE(at + 12) };
}

/** Finds the offset of a load command. */
function findLoadCommand(macho: Buffer, wanted: number): number {
  let at = 32;
  for (let left = macho.readUInt32LE(16); left > 0; left--) {
    if (macho.readUInt32LE(at) === wanted) return at;
    at += macho.readUInt32LE(at + 4);
  }
  throw new Error(`the Mach-O file has no load command ${wanted}`);
}
