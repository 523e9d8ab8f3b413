import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { stripElf } from "./build.ts";

interface Section {
  readonly name: string;
  readonly type: number;
  readonly isLoaded: boolean;
  readonly bytes: string;
  readonly link?: string;
}

const TEXT = { name: ".text", type: 1, isLoaded: true, bytes: "instructions" };
const DYNSTR = { name: ".dynstr", type: 3, isLoaded: true, bytes: "\0puts\0" };
const DYNSYM = { name: ".dynsym", type: 11, isLoaded: true, bytes: "symbols that are loaded", link: ".dynstr" };
const BSS = { name: ".bss", type: 8, isLoaded: true, bytes: "" };
const DEBUG = { name: ".debug_info", type: 1, isLoaded: false, bytes: "where things come from" };
const SYMTAB = { name: ".symtab", type: 2, isLoaded: false, bytes: "all symbols", link: ".strtab" };
const STRTAB = { name: ".strtab", type: 3, isLoaded: false, bytes: "\0main\0" };

test("stripElf() keeps loaded segments in their place, and section names", () => {
  const elf = createElf([TEXT, DEBUG, SYMTAB, DYNSYM, STRTAB, DYNSTR, BSS]);
  const stripped = stripElf(elf);
  const sections = readElf(stripped);
  assert.deepEqual(sections.map(({ name }) => name), ["", ".text", ".dynsym", ".dynstr", ".bss", ".shstrtab"]);
  const before = readElf(elf);
  for (const { name, bytes, offset } of sections.filter(({ name }) => name !== "" && name !== ".shstrtab")) {
    const old = before.find((section) => section.name === name);
    assert.deepEqual({ name, bytes, offset }, { name, bytes: old?.bytes, offset: old?.offset });
  }
  assert.equal(sections.find(({ name }) => name === ".dynsym")?.link, ".dynstr");
  assert.ok(stripped.length < elf.length);
  assert.ok(!stripped.includes("all symbols") && !stripped.includes("where things come from"));
});

test("stripElf() does not change a stripped file", () => {
  const stripped = stripElf(createElf([TEXT, SYMTAB, STRTAB]));
  assert.deepEqual(stripElf(stripped), stripped);
});

test("stripElf() refuses files other than 64-bit little-endian ELF", () => {
  assert.throws(() => stripElf(Buffer.from("#!/bin/sh\n")), /want a 64-bit little-endian ELF file/);
  assert.throws(() => stripElf(Buffer.from("\x7fELF\x01\x01", "latin1")), /want a 64-bit little-endian ELF file/);
});

/** Creates an ELF file with these sections. The bytes of loaded sections come first, as linkers put them. */
function createElf(sections: readonly Section[]): Buffer {
  const all = [
    { name: "", type: 0, isLoaded: false, bytes: "" },
    ...sections,
    { name: ".shstrtab", type: 3, isLoaded: false, bytes: "" },
  ];
  const names = `\0${all.slice(1).map(({ name }) => `${name}\0`).join("")}`;
  const ordered = all.map((section) => section.name === ".shstrtab" ? { ...section, bytes: names } : section);
  const offsets = new Map<string, number>();
  let end = 64;
  for (const { name, bytes } of [...ordered].sort((one, other) => Number(other.isLoaded) - Number(one.isLoaded))) {
    offsets.set(name, end);
    end += bytes.length;
  }
  const elf = Buffer.alloc(end + all.length * 64);
  elf.write("\x7fELF\x02\x01", "latin1");
  elf.writeBigUInt64LE(BigInt(end), 0x28);
  elf.writeUInt16LE(all.length, 0x3c);
  elf.writeUInt16LE(all.length - 1, 0x3e);
  ordered.forEach(({ name, type, isLoaded, bytes, link }: Section, index) => {
    const header = elf.subarray(end + index * 64);
    elf.write(bytes, offsets.get(name) ?? 0, "latin1");
    header.writeUInt32LE(name === "" ? 0 : names.indexOf(`\0${name}\0`) + 1, 0x00);
    header.writeUInt32LE(type, 0x04);
    header.writeBigUInt64LE(isLoaded ? 2n : 0n, 0x08);
    header.writeBigUInt64LE(BigInt(offsets.get(name) ?? 0), 0x18);
    header.writeBigUInt64LE(type === 8 ? 4096n : BigInt(bytes.length), 0x20);
    header.writeUInt32LE(Math.max(0, all.findIndex((section) => section.name === link)), 0x28);
  });
  return elf;
}

function readElf(elf: Buffer): readonly { name: string; bytes: string; offset: number; link: string }[] {
  const start = Number(elf.readBigUInt64LE(0x28));
  const headers = Array.from({ length: elf.readUInt16LE(0x3c) }, (_, index) => elf.subarray(start + index * 64));
  const readOffset = (header: Buffer) => Number(header.readBigUInt64LE(0x18));
  const namesAt = readOffset(headers[elf.readUInt16LE(0x3e)]!);
  const readName = (header: Buffer) => {
    const at = namesAt + header.readUInt32LE(0);
    return elf.toString("latin1", at, elf.indexOf(0, at));
  };
  return headers.map((header) => {
    const size = header.readUInt32LE(4) === 8 ? 0 : Number(header.readBigUInt64LE(0x20));
    return {
      name: readName(header),
      bytes: elf.toString("latin1", readOffset(header), readOffset(header) + size),
      offset: readOffset(header),
      link: readName(headers[header.readUInt32LE(0x28)]!),
    };
  });
}
