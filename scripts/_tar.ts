/** Archives whose bytes follow from their contents alone: tar (POSIX.1-1988, ustar) with the dates and owners it is told. */
import { Buffer } from "node:buffer";

/** A file, a folder or a link of an archive. */
export interface TarEntry {
  /** With slashes; a folder's ends with one. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  /** Absent for folders and links. */
  readonly data?: Uint8Array;
  /** Where a symbolic link leads. */
  readonly target?: string;
}

const BLOCK = 512;
/** Archives end with two empty blocks, and are padded to twenty (GNU tar's record). */
const RECORD = 20 * BLOCK;

/** The archive, its entries in their order, each owned by root and as old as is said (seconds since 1970). */
export function createTar(entries: readonly TarEntry[], modifiedSeconds: number): Buffer {
  const blocks: Uint8Array[] = [];
  for (const entry of entries) {
    const data = entry.data ?? new Uint8Array();
    blocks.push(header(entry, data.length, modifiedSeconds), data, padding(data.length, BLOCK));
  }
  const size = blocks.reduce((sum, block) => sum + block.length, 2 * BLOCK);
  return Buffer.concat([...blocks, new Uint8Array(2 * BLOCK), padding(size, RECORD)]);
}

function header(entry: TarEntry, size: number, modifiedSeconds: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const { prefix, name } = splitPath(entry.path);
  const text = (value: string, offset: number, length: number): void => {
    if (Buffer.byteLength(value) > length) throw new Error(`"${value}" is too long for tar`);
    block.write(value, offset, "utf8");
  };
  const number = (value: number, offset: number, length: number): void =>
    text(value.toString(8).padStart(length - 1, "0"), offset, length - 1);
  text(name, 0, 100);
  number(entry.mode, 100, 8);
  number(0, 108, 8);
  number(0, 116, 8);
  number(size, 124, 12);
  number(modifiedSeconds, 136, 12);
  text(typeFlag(entry), 156, 1);
  text(entry.target ?? "", 157, 100);
  text("ustar\x0000", 257, 8);
  text("root", 265, 32);
  text("root", 297, 32);
  number(0, 329, 8);
  number(0, 337, 8);
  text(prefix, 345, 155);
  // The sum is taken with spaces in its own place.
  block.fill(" ", 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\x00 `, 148, "latin1");
  return block;
}

function typeFlag({ path, target }: TarEntry): string {
  if (target !== undefined) return "2";
  return path.endsWith("/") ? "5" : "0";
}

/** Long paths are divided at a slash. */
function splitPath(path: string): { readonly prefix: string; readonly name: string } {
  if (Buffer.byteLength(path) <= 100) return { prefix: "", name: path };
  const slash = path.indexOf("/", path.length - 101);
  return { prefix: path.slice(0, slash), name: path.slice(slash + 1) };
}

function padding(size: number, unit: number): Uint8Array {
  return new Uint8Array((unit - (size % unit)) % unit);
}
