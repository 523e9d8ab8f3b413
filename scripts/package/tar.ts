/** Archives whose bytes follow from their contents alone: tar with fixed dates and owners. */
import { Buffer } from "node:buffer";
import { encodeTarHeader, TAR_BLOCK, TAR_END, tarPadding } from "../../core/lib/tar.ts";

/** A file, a folder or a link of an archive. */
export interface TarEntry {
  /** The path, with slashes; that of a folder ends with one. */
  readonly path: string;
  /** The permission bits of the entry, such as 0o644. */
  readonly mode: number;
  /** Absent for folders and links. */
  readonly data?: Uint8Array;
  /** The target of a symbolic link. */
  readonly target?: string;
  /** The number of the user and of the group that own the entry; without it, root. */
  readonly owner?: number;
}

/** Archives are padded to twenty blocks (GNU tar's record). */
const RECORD = 20 * TAR_BLOCK;

/** The archive, its entries in their order, each as old as is said (seconds since 1970). */
export function createTar(entries: readonly TarEntry[], modifiedSeconds: number): Buffer {
  const blocks: Uint8Array[] = [];
  for (const { data = new Uint8Array(), ...entry } of entries) {
    blocks.push(encodeTarHeader({ ...entry, size: data.length, modifiedSeconds }), data, tarPadding(data.length));
  }
  const size = blocks.reduce((sum, block) => sum + block.length, TAR_END.length);
  return Buffer.concat([...blocks, TAR_END, tarPadding(size, RECORD)]);
}

/** Returns every folder above some files, the root included. */
export function findFolders(paths: readonly string[]): readonly TarEntry[] {
  const folders = new Set([""]);
  for (const path of paths) {
    const parts = path.split("/").slice(0, -1);
    parts.forEach((_, index) => folders.add(`${parts.slice(0, index + 1).join("/")}/`));
  }
  return [...folders].map((path) => ({ path, mode: 0o755 }));
}
