/**
 * Mach-O without the symbols that only debuggers read: what `strip -x` does to Node, anywhere. They stand in the last
 * segment, among what the loader needs: that is kept and moves up. The signature goes, as it is for the whole file.
 *
 * The layout is that of `<mach-o/loader.h>` and `<mach-o/nlist.h>`.
 */
import { Buffer } from "node:buffer";
import { COMMAND, getSegment, HEADER, HEADER_BYTES, type LoadCommand, readCommands, setSegmentBytes } from "./macho.ts";

const SYMBOL_BYTES = 16;
const INDEX_BYTES = 4;
/** Marks of indices that are none. */
const NO_SYMBOL = 0xc0000000;
/** The alignment of the parts of the last segment. */
const ALIGNMENT = 8;

/** The offsets of fields in LC_SYMTAB. */
const SYMBOLS = { offset: 8, count: 12, namesOffset: 16, namesBytes: 20 } as const;

/** The offsets of fields in LC_DYSYMTAB. */
const DYNAMIC = {
  ...{ localFirst: 8, localCount: 12, externalFirst: 16, externalCount: 20, undefinedFirst: 24, undefinedCount: 28 },
  ...{ indirectOffset: 56, indirectCount: 60 },
} as const;

/** Fields of LC_DYSYMTAB that say where tables of older formats are; there must be none. */
const OLD_TABLES = [36, 44, 52, 68, 76];

/** Commands that say where something is in the last segment by offset and size, in the order in which linkers write it. */
const BLOBS: readonly number[] = [
  COMMAND.chainedFixups,
  COMMAND.exportsTrie,
  COMMAND.functionStarts,
  COMMAND.dataInCode,
];

/** The executable without its local symbols and its signature. */
export function stripMacho(macho: Uint8Array): Buffer {
  const file = Buffer.from(macho);
  const commands = readCommands(file);
  const linkEdit = getSegment(file, "__LINKEDIT");
  const symbols = getCommand(commands, COMMAND.symbolTable);
  const dynamic = getCommand(commands, COMMAND.dynamicSymbolTable);
  if (OLD_TABLES.some((field) => file.readUInt32LE(dynamic.at + field) !== 0)) {
    throw new Error("the Mach-O file has tables of older linkers");
  }
  const kept = keepSymbols(file, symbols.at, dynamic.at);
  const parts: { readonly bytes: Buffer; readonly offsetField: number }[] = [
    ...BLOBS.flatMap((wanted) => commands.filter(({ command }) => command === wanted)).map(({ at }) => ({
      bytes: sliceAt(file, file.readUInt32LE(at + 8), file.readUInt32LE(at + 12)),
      offsetField: at + 8,
    })),
    { bytes: kept.symbols, offsetField: symbols.at + SYMBOLS.offset },
    { bytes: kept.indirect, offsetField: dynamic.at + DYNAMIC.indirectOffset },
    { bytes: kept.names, offsetField: symbols.at + SYMBOLS.namesOffset },
  ];

  file.writeUInt32LE(kept.symbols.length / SYMBOL_BYTES, symbols.at + SYMBOLS.count);
  file.writeUInt32LE(kept.names.length, symbols.at + SYMBOLS.namesBytes);
  file.writeUInt32LE(0, dynamic.at + DYNAMIC.localCount);
  file.writeUInt32LE(0, dynamic.at + DYNAMIC.externalFirst);
  file.writeUInt32LE(file.readUInt32LE(dynamic.at + DYNAMIC.externalCount), dynamic.at + DYNAMIC.undefinedFirst);
  let end = linkEdit.fileOffset;
  for (const { bytes, offsetField } of parts) {
    end = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    file.writeUInt32LE(end, offsetField);
    end += bytes.length;
  }
  setSegmentBytes(file, linkEdit, end - linkEdit.fileOffset);
  const tail = Buffer.alloc(end - linkEdit.fileOffset);
  for (const { bytes, offsetField } of parts) bytes.copy(tail, file.readUInt32LE(offsetField) - linkEdit.fileOffset);
  removeSignature(file, commands);
  return Buffer.concat([file.subarray(0, linkEdit.fileOffset), tail]);
}

/** The symbols that a loader may look for, their names, and the table of those that the code calls. */
function keepSymbols(
  file: Buffer,
  symbols: number,
  dynamic: number,
): { readonly symbols: Buffer; readonly names: Buffer; readonly indirect: Buffer } {
  const field = (at: number) => file.readUInt32LE(at);
  const locals = field(dynamic + DYNAMIC.localCount);
  const isInOrder = field(dynamic + DYNAMIC.localFirst) === 0 &&
    field(dynamic + DYNAMIC.externalFirst) === locals &&
    field(dynamic + DYNAMIC.undefinedFirst) === locals + field(dynamic + DYNAMIC.externalCount) &&
    field(symbols + SYMBOLS.count) ===
      field(dynamic + DYNAMIC.undefinedFirst) + field(dynamic + DYNAMIC.undefinedCount);
  if (!isInOrder) throw new Error("the symbols of the Mach-O file are not local, external, undefined");
  const count = field(symbols + SYMBOLS.count) - locals;
  const kept = Buffer.from(
    sliceAt(file, field(symbols + SYMBOLS.offset) + locals * SYMBOL_BYTES, count * SYMBOL_BYTES),
  );
  const oldNames = sliceAt(file, field(symbols + SYMBOLS.namesOffset), field(symbols + SYMBOLS.namesBytes));
  // An index of 0 is a name that is not there.
  const names: Buffer[] = [Buffer.from(" \0", "latin1")];
  let length = 2;
  for (let at = 0; at < kept.length; at += SYMBOL_BYTES) {
    const from = kept.readUInt32LE(at);
    if (from === 0) continue;
    const name = oldNames.subarray(from, oldNames.indexOf(0, from) + 1);
    kept.writeUInt32LE(length, at);
    names.push(name);
    length += name.length;
  }
  return { symbols: kept, names: Buffer.concat(names), indirect: shiftIndices(file, dynamic, locals) };
}

function shiftIndices(file: Buffer, dynamic: number, locals: number): Buffer {
  const indirect = Buffer.from(sliceAt(
    file,
    file.readUInt32LE(dynamic + DYNAMIC.indirectOffset),
    file.readUInt32LE(dynamic + DYNAMIC.indirectCount) * INDEX_BYTES,
  ));
  for (let at = 0; at < indirect.length; at += INDEX_BYTES) {
    const index = indirect.readUInt32LE(at);
    if ((index & NO_SYMBOL) !== 0) continue;
    if (index < locals) throw new Error("the Mach-O file calls a local symbol by the loader");
    indirect.writeUInt32LE(index - locals, at);
  }
  return indirect;
}

function removeSignature(file: Buffer, commands: readonly LoadCommand[]): void {
  const index = commands.findIndex(({ command }) => command === COMMAND.codeSignature);
  const signature = commands[index];
  if (signature === undefined) return;
  if (index !== commands.length - 1) throw new Error("the Mach-O file has load commands behind its signature");
  file.fill(0, signature.at, signature.at + signature.bytes);
  file.writeUInt32LE(commands.length - 1, HEADER.commandCount);
  file.writeUInt32LE(signature.at - HEADER_BYTES, HEADER.commandBytes);
}

function getCommand(commands: readonly LoadCommand[], wanted: number): LoadCommand {
  const found = commands.find(({ command }) => command === wanted);
  if (found === undefined) throw new Error("the Mach-O file has no symbols");
  return found;
}

function sliceAt(file: Buffer, offset: number, bytes: number): Buffer {
  return file.subarray(offset, offset + bytes);
}
