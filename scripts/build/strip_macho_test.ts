import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { COMMAND, getSegment, readCommands } from "./macho.ts";
import { stripMacho } from "./strip_macho.ts";

const LINK_EDIT = 0x4000;
const TRIE = "the loader's names";
const NAMES = " \0_local\0_other\0_shown\0_called\0";
const LOCAL = 0x80000000;

const SYMBOLS = ["_local", "_other", "_shown", "_called"];

test("stripMacho() removes local symbols and their names, and renumbers the others", () => {
  const stripped = stripMacho(createMacho());
  const symbols = readFields(stripped, COMMAND.symbolTable);
  const [symbolsAt, count, namesAt, namesBytes] = symbols as [number, number, number, number];
  assert.equal(count, 2);
  const names = stripped.subarray(namesAt, namesAt + namesBytes);
  assert.equal(names.toString("latin1"), " \0_shown\0_called\0");
  const entries = [0, 1].map((index) => stripped.subarray(symbolsAt + index * 16, symbolsAt + (index + 1) * 16));
  assert.deepEqual(entries.map((entry) => names.toString("latin1", entry.readUInt32LE(0)).split("\0")[0]), [
    "_shown",
    "_called",
  ]);
  assert.deepEqual(entries.map((entry) => entry.readBigUInt64LE(8)), [1002n, 1003n]);
  const dynamic = readFields(stripped, COMMAND.dynamicSymbolTable);
  assert.deepEqual(dynamic.slice(0, 6), [0, 0, 0, 1, 1, 1]);
  const [indirectAt, indirectCount] = dynamic.slice(12, 14) as [number, number];
  assert.equal(indirectCount, 2);
  assert.deepEqual([stripped.readUInt32LE(indirectAt), stripped.readUInt32LE(indirectAt + 4)], [1, LOCAL]);
});

test("stripMacho() keeps the parts that are loaded or read by the loader, and ends with __LINKEDIT", () => {
  const macho = createMacho();
  const stripped = stripMacho(macho);
  assert.ok(stripped.length < macho.length);
  assert.deepEqual(stripped.subarray(0x1000, LINK_EDIT), macho.subarray(0x1000, LINK_EDIT));
  const [trieAt, trieBytes] = readFields(stripped, COMMAND.exportsTrie) as [number, number];
  assert.equal(stripped.toString("latin1", trieAt, trieAt + trieBytes), TRIE);
  const { fileOffset, fileBytes } = getSegment(stripped, "__LINKEDIT");
  assert.deepEqual([fileOffset, fileOffset + fileBytes], [LINK_EDIT, stripped.length]);
});

test("stripMacho() removes the signature and its command", () => {
  const stripped = stripMacho(createMacho());
  const commands = readCommands(stripped);
  assert.ok(!commands.some(({ command }) => command === COMMAND.codeSignature));
  const last = commands.at(-1)!;
  assert.equal(stripped.readUInt32LE(20), last.at + last.bytes - 32);
  assert.deepEqual(stripped.subarray(last.at + last.bytes, last.at + last.bytes + 16), Buffer.alloc(16));
});

test("stripMacho() refuses unknown files", () => {
  assert.throws(() => stripMacho(Buffer.alloc(64)), /want a 64-bit Mach-O file/);
  const dynamicAt = readCommands(createMacho()).find(({ command }) => command === COMMAND.dynamicSymbolTable)!.at;
  const mixed = createMacho();
  mixed.writeUInt32LE(1, dynamicAt + 8);
  assert.throws(() => stripMacho(mixed), /are not local, external, undefined/);
  const older = createMacho();
  older.writeUInt32LE(1, dynamicAt + 76);
  assert.throws(() => stripMacho(older), /tables of older linkers/);
});

/** Reads the words that follow the two words of a command. */
function readFields(macho: Buffer, wanted: number): readonly number[] {
  const { at, bytes } = readCommands(macho).find(({ command }) => command === wanted)!;
  return Array.from({ length: bytes / 4 - 2 }, (_, index) => macho.readUInt32LE(at + 8 + index * 4));
}

/** A segment with something in it, and __LINKEDIT as linkers write it: two local symbols, one shown, one called. */
function createMacho(): Buffer {
  const symbols = Buffer.alloc(SYMBOLS.length * 16);
  SYMBOLS.forEach((name, index) => {
    symbols.writeUInt32LE(NAMES.indexOf(name), index * 16);
    symbols.writeBigUInt64LE(BigInt(1000 + index), index * 16 + 8);
  });
  const parts = [Buffer.from(TRIE.padEnd(24, "\0")), symbols, words(3, LOCAL), Buffer.from(NAMES.padEnd(32, "\0"))];
  const signature = Buffer.alloc(48, 7);
  const [trieAt, symbolsAt, indirectAt, namesAt, signatureAt] = toOffsets([...parts, signature]);
  const linkEdit = Buffer.concat([...parts, signature]);
  const commands = [
    segment("__TEXT", 0, LINK_EDIT),
    segment("__LINKEDIT", LINK_EDIT, linkEdit.length),
    words(COMMAND.exportsTrie, 16, trieAt, TRIE.length),
    words(COMMAND.symbolTable, 24, symbolsAt, SYMBOLS.length, namesAt, NAMES.length),
    words(COMMAND.dynamicSymbolTable, 80, 0, 2, 2, 1, 3, 1, 0, 0, 0, 0, 0, 0, indirectAt, 2, 0, 0, 0, 0),
    words(COMMAND.codeSignature, 16, signatureAt, signature.length),
  ];
  const head = Buffer.concat(commands);
  const file = Buffer.concat([Buffer.alloc(LINK_EDIT, 0), linkEdit]);
  words(0xfeedfacf, 0x0100000c, 0, 2, commands.length, head.length).copy(file);
  head.copy(file, 32);
  file.fill("code", 0x1000, LINK_EDIT);
  return file;
}

function toOffsets(parts: readonly Buffer[]): readonly [number, number, number, number, number] {
  let next = LINK_EDIT;
  const offsets = parts.map(({ length }) => (next += length) - length);
  return offsets as unknown as readonly [number, number, number, number, number];
}

function segment(name: string, offset: number, bytes: number): Buffer {
  const command = Buffer.alloc(72);
  words(COMMAND.segment, 72).copy(command);
  command.write(name, 8, "latin1");
  [bytes, offset, bytes].forEach((value, index) => command.writeBigUInt64LE(BigInt(value), 32 + index * 8));
  return command;
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeUInt32LE(value, index * 4));
  return bytes;
}
