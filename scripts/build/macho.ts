/** Reads the structure of a Mach-O file of a 64-bit processor. The layout is that of `<mach-o/loader.h>`. */
import type { Buffer } from "node:buffer";

const MAGIC_64 = 0xfeedfacf;

/** The length of the header in bytes; load commands follow it. */
export const HEADER_BYTES = 32;

/** The offsets of fields in the header. */
export const HEADER = { commandCount: 16, commandBytes: 20 } as const;

/** Load commands by what they are. */
export const COMMAND = {
  symbolTable: 0x2,
  dynamicSymbolTable: 0xb,
  segment: 0x19,
  codeSignature: 0x1d,
  functionStarts: 0x26,
  dataInCode: 0x29,
  exportsTrie: 0x80000033,
  chainedFixups: 0x80000034,
} as const;

/** The offsets of fields in the command of a segment. */
export const SEGMENT = { name: 8, memoryBytes: 32, fileOffset: 40, fileBytes: 48 } as const;

/** Segments end in memory at a multiple of this. */
export const SEGMENT_ALIGNMENT = 0x4000;

export interface LoadCommand {
  readonly command: number;
  /** The offset of the section in the file. */
  readonly at: number;
  readonly bytes: number;
}

/** A segment of the file. */
export interface Segment {
  /** The offset of its load command. */
  readonly at: number;
  readonly fileOffset: number;
  readonly fileBytes: number;
}

/** Reads all commands, in their order. Throws for another kind of file. */
export function readCommands(file: Buffer): readonly LoadCommand[] {
  if (file.readUInt32LE(0) !== MAGIC_64) throw new Error("want a 64-bit Mach-O file");
  let next = HEADER_BYTES;
  return Array.from({ length: file.readUInt32LE(HEADER.commandCount) }, () => {
    const at = next;
    const bytes = file.readUInt32LE(at + 4);
    next += bytes;
    return { command: file.readUInt32LE(at), at, bytes };
  });
}

/** A segment by its name. */
export function getSegment(file: Buffer, name: string): Segment {
  const found = readCommands(file).find(({ command, at }) =>
    command === COMMAND.segment &&
    file.toString("latin1", at + SEGMENT.name, at + SEGMENT.name + 16).replace(/\0+$/, "") === name
  );
  if (found === undefined) throw new Error(`the Mach-O file has no segment ${name}`);
  return {
    at: found.at,
    fileOffset: Number(file.readBigUInt64LE(found.at + SEGMENT.fileOffset)),
    fileBytes: Number(file.readBigUInt64LE(found.at + SEGMENT.fileBytes)),
  };
}

/** Writes the length of a segment into its command. */
export function setSegmentBytes(file: Buffer, { at }: Segment, bytes: number): void {
  file.writeBigUInt64LE(BigInt(Math.ceil(bytes / SEGMENT_ALIGNMENT) * SEGMENT_ALIGNMENT), at + SEGMENT.memoryBytes);
  file.writeBigUInt64LE(BigInt(bytes), at + SEGMENT.fileBytes);
}
