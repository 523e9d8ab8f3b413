/**
 * The ad-hoc signature that macOS on arm64 requires of each program: hashes of its pages, without a signer. It is made
 * here because `codesign` runs on macOS alone. The layout is that of `<mach-o/loader.h>` and of the code directory,
 * version 0x20400, in xnu's `cs_blobs.h`.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { COMMAND, getSegment, HEADER, HEADER_BYTES, readCommands, setSegmentBytes } from "./macho.ts";

const COMMAND_BYTES = 16;
/** Hashes are of pages of this size, whatever the system's is. */
const PAGE_BYTES = 4096;
const HASH_BYTES = 32;

const EMBEDDED_SIGNATURE = 0xfade0cc0;
const CODE_DIRECTORY = 0xfade0c02;
const CODE_DIRECTORY_VERSION = 0x20400;
const CODE_DIRECTORY_BYTES = 88;
const INDEX_BYTES = 20;
const FLAGS_ADHOC_LINKER_SIGNED = 0x20002;
const HASH_TYPE_SHA256 = 2;
const MAIN_BINARY = 1n;

/** Signs an executable that has no signature. */
export function signAdHoc(macho: Uint8Array, identifier: string): Buffer {
  const unsigned = Buffer.from(macho);
  if (readCommands(unsigned).some(({ command }) => command === COMMAND.codeSignature)) {
    throw new Error("the Mach-O file has a signature");
  }
  const text = getSegment(unsigned, "__TEXT");
  const linkEdit = getSegment(unsigned, "__LINKEDIT");
  if (linkEdit.fileOffset + linkEdit.fileBytes !== unsigned.length) {
    throw new Error("the Mach-O file does not end with __LINKEDIT");
  }
  const codeLimit = Math.ceil(unsigned.length / 16) * 16;
  const hashCount = Math.ceil(codeLimit / PAGE_BYTES);
  const name = Buffer.from(`${identifier}\0`, "latin1");
  const hashOffset = CODE_DIRECTORY_BYTES + name.length;
  const signatureBytes = INDEX_BYTES + hashOffset + hashCount * HASH_BYTES;

  const code = Buffer.concat([unsigned, Buffer.alloc(codeLimit - unsigned.length)]);
  addCommand(code, codeLimit, signatureBytes);
  setSegmentBytes(code, linkEdit, codeLimit + signatureBytes - linkEdit.fileOffset);

  // Everything about signatures is big-endian.
  const directory = Buffer.alloc(hashOffset);
  const words = [
    ...[CODE_DIRECTORY, hashOffset + hashCount * HASH_BYTES, CODE_DIRECTORY_VERSION, FLAGS_ADHOC_LINKER_SIGNED],
    ...[hashOffset, CODE_DIRECTORY_BYTES, 0, hashCount, codeLimit],
  ];
  words.forEach((word, index) => directory.writeUInt32BE(word, index * 4));
  directory.set([HASH_BYTES, HASH_TYPE_SHA256, 0, Math.log2(PAGE_BYTES)], 36);
  directory.writeBigUInt64BE(BigInt(text.fileOffset), 64);
  directory.writeBigUInt64BE(BigInt(text.fileBytes), 72);
  directory.writeBigUInt64BE(MAIN_BINARY, 80);
  name.copy(directory, CODE_DIRECTORY_BYTES);

  const index = Buffer.alloc(INDEX_BYTES);
  [EMBEDDED_SIGNATURE, signatureBytes, 1, 0, INDEX_BYTES].forEach((word, at) => index.writeUInt32BE(word, at * 4));
  return Buffer.concat([code, index, directory, ...hashPages(code)]);
}

function hashPages(code: Buffer): readonly Buffer[] {
  return Array.from(
    { length: Math.ceil(code.length / PAGE_BYTES) },
    (_, page) => createHash("sha256").update(code.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES)).digest(),
  );
}

/** Writes LC_CODE_SIGNATURE behind the other commands, where linkers leave room. */
function addCommand(code: Buffer, offset: number, bytes: number): void {
  const [count, commandBytes] = [HEADER.commandCount, HEADER.commandBytes].map((at) => code.readUInt32LE(at)) as [
    number,
    number,
  ];
  const at = HEADER_BYTES + commandBytes;
  if (code.subarray(at, at + COMMAND_BYTES).some((byte) => byte !== 0)) {
    throw new Error("the Mach-O file has no room for another command");
  }
  const words = [COMMAND.codeSignature, COMMAND_BYTES, offset, bytes];
  words.forEach((word, index) => code.writeUInt32LE(word, at + index * 4));
  code.writeUInt32LE(count + 1, HEADER.commandCount);
  code.writeUInt32LE(commandBytes + COMMAND_BYTES, HEADER.commandBytes);
}
