/** Checks the format, size and checksum of each released file without running it. */
import assert from "node:assert/strict";
import type { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { PLATFORMS, toFileName } from "../../scripts/build/node_runtime.ts";
import { releasedFile, releasedFolder } from "../support/binary/released.ts";

/** The largest size that a released file may have, see docs/engineering/measurements.md. */
const MAX_BYTES = 115e6;
const MAX_COMPRESSED_BYTES = 42e6;

const compress = promisify(gzip);

/** The processors in ELF's `e_machine`. */
const X64 = 62;
const ARM64 = 183;

const PT_LOAD = 1;
const PT_NOTE = 4;
const PT_PHDR = 6;

for (const [name, machine] of [["linux-x64", X64], ["linux-arm64", ARM64]] as const) {
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

  test(`the ${name} file starts on kernels that compute the address of the program headers from the first segment`, async () => {
    const elf = await readFile(releasedFile(name));
    const segments = readProgramHeaders(elf);
    const first = segments.find(({ type }) => type === PT_LOAD)!;
    const table = segments.find(({ type }) => type === PT_PHDR)!;
    // Linux before 5.18 passes this address to the loader and ignores PT_PHDR.
    assert.equal(table.address, first.address - BigInt(first.offset) + elf.readBigUInt64LE(32));
  });
}

test("SHA256SUMS has the hash of each file in sha256sum's format", async () => {
  const lines = (await readFile(join(releasedFolder(), "SHA256SUMS"), "utf8")).trimEnd().split("\n");
  const names = PLATFORMS.map((target) => toFileName(target, TLSBOOT_VERSION));
  assert.deepEqual(lines.map((line) => line.slice(66)).sort(), [...names].sort());
  for (const line of lines) {
    const [, hash, name] = /^([0-9a-f]{64}) {2}(\S+)$/.exec(line)!;
    assert.equal(createHash("sha256").update(await readFile(join(releasedFolder(), name!))).digest("hex"), hash);
  }
});

test("each file is executable and within the documented size", async () => {
  for (const name of (await readdir(releasedFolder())).filter((item) => item.startsWith("tlsboot-"))) {
    const { mode, size } = await stat(join(releasedFolder(), name));
    assert.equal(mode & 0o777, 0o755, name);
    assert.ok(size < MAX_BYTES, `${name} has ${size} bytes`);
  }
});

test("the largest file, linux-x64, is within its limit when compressed", async () => {
  const compressed = (await compress(await readFile(releasedFile("linux-x64")), { level: 9 })).length;
  assert.ok(compressed < MAX_COMPRESSED_BYTES, `it has ${compressed} bytes`);
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
