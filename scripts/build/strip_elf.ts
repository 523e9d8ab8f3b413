/**
 * ELF without symbols and debugging information: what `strip` does to Node, for any processor and without binutils. All
 * of it stands behind what is loaded, so that leaving it out moves nothing that runs.
 *
 * The layout is that of the ELF-64 object file format (gABI chapters 4 and 5), little-endian.
 */
import { Buffer } from "node:buffer";

const SECTION_HEADER_BYTES = 64;
const SHT_NOBITS = 8;
const SHF_ALLOC = 2n;

/** The offsets of fields in the file's header. */
const FILE = { sectionsAt: 0x28, sectionCount: 0x3c, namesIndex: 0x3e } as const;

/** The offsets of fields in a section's header. */
const SECTION = { type: 0x04, flags: 0x08, offset: 0x18, size: 0x20, link: 0x28 } as const;

/** The executable with the sections that are loaded, and their names. */
export function stripElf(elf: Uint8Array): Buffer {
  const file = Buffer.from(elf);
  if (file.toString("latin1", 0, 6) !== "\x7fELF\x02\x01") throw new Error("want a 64-bit little-endian ELF file");
  const headers = readSectionHeaders(file);
  const namesIndex = file.readUInt16LE(FILE.namesIndex);
  const kept = headers.flatMap((header, index) =>
    index === 0 || index === namesIndex || isLoaded(header) ? [{ header, index }] : []
  );
  const newIndexOf = new Map(kept.map(({ index }, position) => [index, position]));

  const names = readSection(file, headers[namesIndex]);
  const namesAt = Math.max(...headers.filter(isLoaded).map(readEnd));
  const sectionsAt = Math.ceil((namesAt + names.length) / 8) * 8;
  const newHeaders = kept.map(({ header, index }) => {
    const moved = Buffer.from(header);
    moved.writeUInt32LE(newIndexOf.get(header.readUInt32LE(SECTION.link)) ?? 0, SECTION.link);
    if (index === namesIndex) moved.writeBigUInt64LE(BigInt(namesAt), SECTION.offset);
    return moved;
  });

  const stripped = Buffer.alloc(sectionsAt + kept.length * SECTION_HEADER_BYTES);
  file.copy(stripped, 0, 0, namesAt);
  names.copy(stripped, namesAt);
  Buffer.concat(newHeaders).copy(stripped, sectionsAt);
  stripped.writeBigUInt64LE(BigInt(sectionsAt), FILE.sectionsAt);
  stripped.writeUInt16LE(kept.length, FILE.sectionCount);
  stripped.writeUInt16LE(newIndexOf.get(namesIndex) ?? 0, FILE.namesIndex);
  return stripped;
}

function readSectionHeaders(file: Buffer): readonly Buffer[] {
  const start = Number(file.readBigUInt64LE(FILE.sectionsAt));
  return Array.from(
    { length: file.readUInt16LE(FILE.sectionCount) },
    (_, index) => file.subarray(start + index * SECTION_HEADER_BYTES, start + (index + 1) * SECTION_HEADER_BYTES),
  );
}

function isLoaded(header: Buffer): boolean {
  return (header.readBigUInt64LE(SECTION.flags) & SHF_ALLOC) !== 0n;
}

function readEnd(header: Buffer): number {
  // Zeros that are made when the program starts take no room in the file.
  const size = header.readUInt32LE(SECTION.type) === SHT_NOBITS ? 0 : Number(header.readBigUInt64LE(SECTION.size));
  return Number(header.readBigUInt64LE(SECTION.offset)) + size;
}

function readSection(file: Buffer, header: Buffer | undefined): Buffer {
  if (header === undefined) throw new Error("the ELF file has no names of sections");
  return file.subarray(Number(header.readBigUInt64LE(SECTION.offset)), readEnd(header));
}
