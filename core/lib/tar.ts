/** Tar archives (POSIX.1-1988, ustar) that every common tar program unpacks. */
import { Buffer } from "node:buffer";
import { err, ok, type Result } from "./result.ts";

/** The header of one entry of an archive. */
interface TarHeader {
  /** The path with slashes; the path of a folder ends with a slash. */
  readonly path: string;
  /** Permission bits; other mode bits of an archive, such as setuid, are ignored. */
  readonly mode: number;
  readonly size: number;
  /** The modification time in seconds since 1970. */
  readonly modifiedSeconds: number;
  /** The target of a symbolic link. */
  readonly target?: string;
  /** The id of the user and of the group that own the entry; root by default. */
  readonly owner?: number;
}

/** The size of a block in bytes. Headers and contents are padded to whole blocks. */
export const TAR_BLOCK = 512;
const PERMISSION_BITS = 0o777;
/** The sizes in bytes of the two fields of ustar that hold a path. */
const MAX_NAME = 100;
const MAX_PREFIX = 155;
/** An archive ends with two empty blocks. */
export const TAR_END: Uint8Array = new Uint8Array(2 * TAR_BLOCK);

/** Encodes a header. Throws for a path that is too long for ustar. */
export function encodeTarHeader(entry: TarHeader): Buffer {
  const block = Buffer.alloc(TAR_BLOCK);
  const { prefix, name } = splitPath(entry.path);
  const { owner = 0 } = entry;
  const ownerName = owner === 0 ? "root" : "";
  const text = (value: string, offset: number, length: number): void => {
    if (Buffer.byteLength(value) > length) throw new Error(`"${value}" is too long for tar`);
    block.write(value, offset, "utf8");
  };
  const number = (value: number, offset: number, length: number): void =>
    text(value.toString(8).padStart(length - 1, "0"), offset, length - 1);
  text(name, 0, MAX_NAME);
  number(entry.mode, 100, 8);
  number(owner, 108, 8);
  number(owner, 116, 8);
  number(entry.size, 124, 12);
  number(entry.modifiedSeconds, 136, 12);
  text(typeFlag(entry), 156, 1);
  text(entry.target ?? "", 157, 100);
  text("ustar\x0000", 257, 8);
  text(ownerName, 265, 32);
  text(ownerName, 297, 32);
  number(0, 329, 8);
  number(0, 337, 8);
  text(prefix, 345, MAX_PREFIX);
  const sum = sumBytes(block);
  block.write(`${sum.toString(8).padStart(6, "0")}\x00 `, 148, "latin1");
  return block;
}

/** Decodes the header of a file; undefined for the empty block at the end. Throws for a malformed header. */
export function decodeTarHeader(block: Uint8Array): TarHeader | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  const bytes = Buffer.from(block);
  const text = (offset: number, length: number): string =>
    bytes.toString("utf8", offset, offset + length).split("\0")[0]!;
  const number = (offset: number, length: number): number => {
    const digits = text(offset, length).trim();
    if (!/^[0-7]+$/.test(digits)) throw new Error("the archive has a header with a malformed number");
    return Number.parseInt(digits, 8);
  };
  if (number(148, 8) !== sumBytes(bytes) || text(156, 1) !== "0") {
    throw new Error("the archive has an entry that is damaged or is not a file");
  }
  const prefix = text(345, MAX_PREFIX);
  const name = text(0, MAX_NAME);
  return {
    path: prefix === "" ? name : `${prefix}/${name}`,
    mode: number(100, 8) & PERMISSION_BITS,
    size: number(124, 12),
    modifiedSeconds: number(136, 12),
  };
}

export interface TextFile {
  readonly path: string;
  readonly mode: number;
  readonly text: string;
}

/** Encodes text files as an archive. */
export function encodeTarFiles(files: readonly TextFile[], modifiedSeconds: number): Uint8Array<ArrayBuffer> {
  const parts = files.flatMap(({ path, mode, text }) => {
    const bytes = Buffer.from(text);
    return [encodeTarHeader({ path, mode, size: bytes.length, modifiedSeconds }), bytes, tarPadding(bytes.length)];
  });
  return Uint8Array.from(Buffer.concat([...parts, TAR_END]));
}

/** Decodes an archive of files, by path; the error says what is malformed. */
export function readTarFiles(archive: Uint8Array): Result<ReadonlyMap<string, Uint8Array>, string> {
  const files = new Map<string, Uint8Array>();
  let at = 0;
  try {
    while (at + TAR_BLOCK <= archive.length) {
      const header = decodeTarHeader(archive.subarray(at, at + TAR_BLOCK));
      if (header === undefined) return ok(files);
      at += TAR_BLOCK;
      if (at + header.size > archive.length) break;
      files.set(header.path, archive.subarray(at, at + header.size));
      at += Math.ceil(header.size / TAR_BLOCK) * TAR_BLOCK;
    }
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
  return err("the archive is cut off");
}

/** Creates the padding that follows content of the given size, up to the end of its last block. */
export function tarPadding(size: number, unit: number = TAR_BLOCK): Uint8Array {
  return new Uint8Array((unit - (size % unit)) % unit);
}

/** Sums the bytes of a header, with spaces in place of the checksum itself. */
function sumBytes(block: Uint8Array): number {
  return block.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 0x20 : byte), 0);
}

function typeFlag({ path, target }: TarHeader): string {
  if (target !== undefined) return "2";
  return path.endsWith("/") ? "5" : "0";
}

/** Splits a long path into the two fields of ustar, at the first slash that fits. Throws if there is none. */
function splitPath(path: string): { readonly prefix: string; readonly name: string } {
  if (Buffer.byteLength(path) <= MAX_NAME) return { prefix: "", name: path };
  for (let slash = path.indexOf("/", 1); slash > 0; slash = path.indexOf("/", slash + 1)) {
    const [prefix, name] = [path.slice(0, slash), path.slice(slash + 1)];
    if (Buffer.byteLength(prefix) > MAX_PREFIX) break;
    if (name !== "" && Buffer.byteLength(name) <= MAX_NAME) return { prefix, name };
  }
  throw new Error(`"${path}" is too long for tar`);
}
