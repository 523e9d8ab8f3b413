/** The requirements of the Linux files: the libraries, and the versions of their symbols. */
import assert from "node:assert/strict";
import type { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { PLATFORMS } from "../../scripts/build/node_runtime.ts";
import { releasedFile } from "../support/binary/released.ts";

const SHT_GNU_VERNEED = 0x6ffffffe;

/** The newest required version of each kind: glibc 2.28 and the libstdc++ of GCC 7 or newer. */
const NEWEST = { GLIBC: "2.28", GLIBCXX: "3.4.21", CXXABI: "1.3.11" };

const LIBRARIES = ["libc.so.6", "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "libstdc++.so.6"];

for (const name of PLATFORMS) {
  test(`the ${name} file needs glibc 2.28 and a libstdc++ of GCC 7, and nothing else`, async () => {
    const needed = readNeededVersions(await readFile(releasedFile(name)));
    const libraries = new Set(
      needed.map(({ library }) => library).filter((library) => !library.startsWith("ld-linux")),
    );
    assert.deepEqual([...libraries].filter((library) => !LIBRARIES.includes(library)), []);
    for (const [kind, newest] of Object.entries(NEWEST)) {
      const versions = needed.map(({ version }) => version).filter((version) => version.startsWith(`${kind}_`))
        .map((version) => version.slice(kind.length + 1));
      assert.equal(versions.sort(compareVersions).at(-1), newest, kind);
    }
  });
}

test("the README states the required glibc version", async () => {
  assert.ok(/glibc\s+2\.28\s/.test(await readFile(join(process.cwd(), "README.md"), "utf8")));
});

/** Reads the section of needed versions (the LSB's "Symbol Versioning"). */
function readNeededVersions(elf: Buffer): readonly { readonly library: string; readonly version: string }[] {
  const start = Number(elf.readBigUInt64LE(40));
  const headers = Array.from({ length: elf.readUInt16LE(60) }, (_, index) => elf.subarray(start + index * 64));
  const section = headers.find((header) => header.readUInt32LE(4) === SHT_GNU_VERNEED)!;
  const stringsAt = readOffset(headers[section.readUInt32LE(0x28)]!);
  const textAt = (offset: number) => elf.toString("latin1", stringsAt + offset, elf.indexOf(0, stringsAt + offset));
  const needed: { readonly library: string; readonly version: string }[] = [];
  for (
    let left = section.readUInt32LE(0x2c), at = readOffset(section);
    left > 0;
    left--, at += elf.readUInt32LE(at + 12)
  ) {
    const library = textAt(elf.readUInt32LE(at + 4));
    let entry = at + elf.readUInt32LE(at + 8);
    for (let count = elf.readUInt16LE(at + 2); count > 0; count--, entry += elf.readUInt32LE(entry + 12)) {
      needed.push({ library, version: textAt(elf.readUInt32LE(entry + 8)) });
    }
  }
  return needed;
}

function readOffset(header: Buffer): number {
  return Number(header.readBigUInt64LE(0x18));
}

function compareVersions(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
