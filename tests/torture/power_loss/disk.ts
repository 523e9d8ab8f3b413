/**
 * A model of the disk of a machine that loses power, to which recorded changes are applied. It is stricter than ext4
 * and XFS:
 *
 * - A change of a name (created, linked, renamed, removed) is safe once its folder has been synced after it. Until
 *   then, each change may be there or not, in any order; a rename within one folder is atomic. On ext4 and XFS, names
 *   change in order, and a sync of any file makes earlier names safe.
 * - Content is safe once its file has been synced after it. Until then, each page of 4,096 bytes may have any of its
 *   states since then, and a page that was being written may be torn between sectors of 512 bytes. The size is the size
 *   after any of the changes, and unwritten bytes below it read as zeros. Truncated bytes do not come back once the
 *   size shows the truncation.
 *
 * Modes and owners are the latest ones. An acknowledged sync has been done.
 */
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import type { Random } from "../../../core/ports.ts";
import { below } from "../../support/seeded_random.ts";
import type { DiskRecord } from "../../support/interop/recorded_disk.ts";

/** Which unsynced changes survive a crash: `zeros` is the new size without the content. */
export interface Survival {
  readonly names: "none" | "all" | "some";
  readonly content: "none" | "all" | "some" | "zeros";
}

export const EVERYTHING: Survival = { names: "all", content: "all" };
/** The extremes are tried at each name, sync and mark; `CHANCE` is tried everywhere. */
export const EXTREMES: readonly Survival[] = [
  { names: "none", content: "none" },
  EVERYTHING,
  { names: "all", content: "none" },
  { names: "none", content: "all" },
  { names: "all", content: "zeros" },
];
export const CHANCE: Survival = { names: "some", content: "some" };

/** A file with its content, or a link with its target. */
export type Leaf =
  | { readonly kind: "file"; readonly bytes: Uint8Array; readonly mode: number }
  | { readonly kind: "link"; readonly target: string };

/** Folders with their modes, and files and links, by path below the root. */
export interface Tree {
  readonly folders: ReadonlyMap<string, number>;
  readonly leaves: ReadonlyMap<string, Leaf>;
}

const PAGE = 4_096;
const SECTOR = 512;

type DataChange =
  & { readonly at: number }
  & (
    | { readonly kind: "write"; readonly offset: number; readonly bytes: Uint8Array }
    | { readonly kind: "truncate"; readonly length: number }
  );

interface FileNode {
  readonly kind: "file";
  mode: number;
  safe: Uint8Array;
  pending: DataChange[];
}

interface NameChange {
  readonly at: number;
  /** The names that change; undefined for a removed one. */
  readonly entries: readonly (readonly [string, DiskNode | undefined])[];
}

interface FolderNode {
  readonly kind: "folder";
  mode: number;
  readonly safe: Map<string, DiskNode>;
  pending: NameChange[];
  /** The names that programs see. */
  readonly visible: Map<string, DiskNode>;
}

type DiskNode = FileNode | FolderNode | { readonly kind: "link"; readonly target: string };

export class Disk {
  readonly #rootPath: string;
  readonly #root: FolderNode = createFolder(0o700);
  readonly #inodes = new Map<number, FileNode | FolderNode>();
  /** The number of changes at the beginning of each sync. */
  readonly #syncs = new Map<string, number>();
  #at = 0;

  constructor(rootPath: string, rootInode: number) {
    this.#rootPath = rootPath;
    this.#inodes.set(rootInode, this.#root);
  }

  /** Applies a change. Throws an Error if it does not fit the earlier changes, because then the record has gaps. */
  apply(record: DiskRecord): void {
    const at = ++this.#at;
    switch (record.kind) {
      case "create":
      case "makeFolder": {
        const node: FileNode | FolderNode = record.kind === "create"
          ? { kind: "file", mode: record.mode, safe: new Uint8Array(0), pending: [] }
          : createFolder(record.mode);
        this.#inodes.set(record.inode, node);
        return this.#name(at, [[record.path, node]]);
      }
      case "link":
        return this.#name(at, [[record.to, this.#find(record.from)]]);
      case "rename":
        return this.#name(at, [[record.from, undefined], [record.to, this.#find(record.from)]]);
      case "symlink":
        return this.#name(at, [[record.path, { kind: "link", target: record.target }]]);
      case "remove":
        this.#find(record.path);
        return this.#name(at, [[record.path, undefined]]);
      case "write":
      case "truncate":
        return void this.#file(record.inode).pending.push({ ...record, at });
      case "mode":
        this.#node(record.inode).mode = record.mode;
        return;
      case "syncBegins":
        return void this.#syncs.set(record.sync, at);
      case "syncEnds":
        return this.#keep(this.#node(record.inode), this.#syncs.get(record.sync) ?? 0);
      case "mark":
    }
  }

  /** Returns a state of the disk after a power loss. */
  crash(survival: Survival, random: Random): Tree {
    const folders = new Map<string, number>();
    const leaves = new Map<string, Leaf>();
    // A file with two names has the same content under both.
    const contents = new Map<FileNode, Uint8Array>();
    const visit = (folder: FolderNode, path: string): void => {
      for (const [name, node] of pickNames(folder, survival.names, random)) {
        const here = path === "" ? name : `${path}/${name}`;
        if (node.kind === "link") leaves.set(here, node);
        else if (node.kind === "file") {
          const bytes = contents.get(node) ?? pickContent(node, survival.content, random);
          contents.set(node, bytes);
          leaves.set(here, { kind: "file", bytes, mode: node.mode });
        } else if (!folders.has(here)) {
          folders.set(here, node.mode);
          visit(node, here);
        }
      }
    };
    visit(this.#root, "");
    return { folders, leaves };
  }

  /** Returns the files and links that programs see at a path below the root or in the folder there. */
  visible(path: string, isSkipped: (path: string) => boolean): ReadonlyMap<string, Leaf> {
    const leaves = new Map<string, Leaf>();
    const visit = (node: DiskNode, here: string): void => {
      if (isSkipped(here)) return;
      if (node.kind === "link") leaves.set(here, node);
      else if (node.kind === "file") {
        leaves.set(here, { kind: "file", bytes: applyChanges(node.safe, node.pending), mode: node.mode });
      } else for (const [name, next] of node.visible) visit(next, here === "" ? name : `${here}/${name}`);
    };
    const node = this.#search(join(this.#rootPath, path));
    if (node !== undefined) visit(node, path);
    return leaves;
  }

  #name(at: number, entries: readonly (readonly [string, DiskNode | undefined])[]): void {
    const byFolder = new Map<FolderNode, (readonly [string, DiskNode | undefined])[]>();
    for (const [path, node] of entries) {
      const folder = this.#find(dirname(path));
      if (folder.kind !== "folder") throw new Error(`the record has no folder ${dirname(path)}`);
      byFolder.set(folder, [...byFolder.get(folder) ?? [], [basename(path), node]]);
    }
    for (const [folder, changed] of byFolder) {
      folder.pending.push({ at, entries: changed });
      setNames(folder.visible, changed);
    }
  }

  #find(path: string): DiskNode {
    const node = this.#search(path);
    if (node === undefined) throw new Error(`the record has no ${path}`);
    return node;
  }

  #search(path: string): DiskNode | undefined {
    let node: DiskNode | undefined = this.#root;
    for (const name of relative(this.#rootPath, path).split(sep).filter((name) => name !== "")) {
      node = node?.kind === "folder" ? node.visible.get(name) : undefined;
    }
    return node;
  }

  #node(inode: number): FileNode | FolderNode {
    const node = this.#inodes.get(inode);
    if (node === undefined) throw new Error(`the record has no inode ${inode}`);
    return node;
  }

  #file(inode: number): FileNode {
    const node = this.#node(inode);
    if (node.kind !== "file") throw new Error(`inode ${inode} is no file`);
    return node;
  }

  /** Makes the changes before the beginning of a sync safe. */
  #keep(node: FileNode | FolderNode, begun: number): void {
    if (node.kind === "file") {
      node.safe = applyChanges(node.safe, node.pending.filter(({ at }) => at < begun));
      node.pending = node.pending.filter(({ at }) => at > begun);
    } else {
      for (const { entries } of node.pending.filter(({ at }) => at < begun)) setNames(node.safe, entries);
      node.pending = node.pending.filter(({ at }) => at > begun);
    }
  }
}

function createFolder(mode: number): FolderNode {
  return { kind: "folder", mode, safe: new Map(), pending: [], visible: new Map() };
}

function setNames(
  names: Map<string, DiskNode>,
  entries: readonly (readonly [string, DiskNode | undefined])[],
): void {
  for (const [name, node] of entries) {
    if (node === undefined) names.delete(name);
    else names.set(name, node);
  }
}

function pickNames(folder: FolderNode, survival: Survival["names"], random: Random): ReadonlyMap<string, DiskNode> {
  if (survival === "all") return folder.visible;
  if (survival === "none" || folder.pending.length === 0) return folder.safe;
  const names = new Map(folder.safe);
  for (const { entries } of folder.pending) if (random.float() < 0.5) setNames(names, entries);
  return names;
}

function applyChanges(bytes: Uint8Array, changes: readonly DataChange[]): Uint8Array {
  if (changes.length === 0) return bytes;
  const sizes = measureSizes(bytes.length, changes);
  const result = new Uint8Array(Math.max(...sizes));
  result.set(bytes);
  for (const change of changes) {
    if (change.kind === "write") result.set(change.bytes, change.offset);
    else result.fill(0, change.length);
  }
  return result.subarray(0, sizes.at(-1));
}

/** Lists the size before the changes and after each one. */
function measureSizes(size: number, changes: readonly DataChange[]): readonly number[] {
  const sizes = [size];
  for (const change of changes) {
    size = change.kind === "truncate" ? change.length : Math.max(size, change.offset + change.bytes.length);
    sizes.push(size);
  }
  return sizes;
}

function pickContent({ safe, pending }: FileNode, survival: Survival["content"], random: Random): Uint8Array {
  if (survival === "none" || pending.length === 0) return safe;
  if (survival === "all") return applyChanges(safe, pending);
  const sizes = measureSizes(safe.length, pending);
  const sized = survival === "zeros" ? pending.length : below(random, pending.length + 1);
  const isTruncation = (change: DataChange): boolean => change.kind === "truncate";
  // If the size shows a truncation, the truncated bytes are gone; if not, the truncation has removed nothing.
  const oldest = pending.slice(0, sized).findLastIndex(isTruncation) + 1;
  const next = pending.slice(sized).findIndex(isTruncation);
  const newest = next < 0 ? pending.length : sized + next;
  const before = applyChanges(safe, pending.slice(0, oldest));
  const size = sizes[sized]!;
  const result = new Uint8Array(size);
  result.set(before.subarray(0, size));
  if (survival === "zeros") return result;
  const writes = pending.slice(oldest, newest).filter((change) => change.kind === "write");
  const latest = applyChanges(before, writes);
  for (let from = 0; from < size; from += PAGE) {
    const touching = writes.filter(({ offset, bytes }) => offset < from + PAGE && offset + bytes.length > from);
    if (touching.length === 0) continue;
    const count = below(random, touching.length + 1);
    const to = Math.min(from + PAGE, size);
    if (count === touching.length) {
      result.set(latest.subarray(from, to), from);
      continue;
    }
    for (const write of touching.slice(0, count)) copyWithin(result, write, from, to);
    // The next write was under way when the power failed.
    for (let sector = from; sector < to; sector += SECTOR) {
      if (random.float() < 0.25) copyWithin(result, touching[count]!, sector, Math.min(sector + SECTOR, to));
    }
  }
  return result;
}

/** Copies the part of a write that lies within a range. */
function copyWithin(
  result: Uint8Array,
  { offset, bytes }: { readonly offset: number; readonly bytes: Uint8Array },
  from: number,
  to: number,
): void {
  const [start, end] = [Math.max(offset, from), Math.min(offset + bytes.length, to)];
  if (start < end) result.set(bytes.subarray(start - offset, end - offset), start);
}

/** Writes a tree into an empty folder. */
export async function writeTree({ folders, leaves }: Tree, root: string): Promise<void> {
  await mkdir(root, { mode: 0o700, recursive: true });
  for (const [path, mode] of folders) await mkdir(join(root, path), { mode });
  for (const [path, leaf] of leaves) {
    if (leaf.kind === "link") await symlink(leaf.target, join(root, path));
    else await writeFile(join(root, path), leaf.bytes, { mode: leaf.mode });
  }
}
