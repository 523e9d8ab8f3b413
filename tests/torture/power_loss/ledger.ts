/**
 * What must be on a disk after a power loss at any place of a record: the files that a finished command left, and the
 * objects that a server acknowledged.
 */
import { createHash } from "node:crypto";
import { relative } from "node:path";
import { gunzipSync } from "node:zlib";
import type { DiskRecord } from "../../support/interop/recorded_disk.ts";
import type { Disk, Leaf, Tree } from "./disk.ts";

/** A note of the test in a record. */
export type Mark =
  /** A request for an object is sent or answered; without a value, the object is deleted. */
  | { readonly kind: "requested" | "acknowledged"; readonly name: string; readonly value?: string }
  /** The current files below a path are acknowledged: a command has succeeded, or a server is up. */
  | { readonly kind: "settled"; readonly under: string }
  /** From now on, the data directory at a path must have the acknowledged objects. */
  | { readonly kind: "store"; readonly under: string };

/** Unfinished files and locks may be in any state. The store is checked separately. */
const ANY_STATE = /(?:^|\/)tlsboot\.db(?:-[a-z]+)?$|\.tmp$|\.lock(?:-journal)?$|\.restoring(?:\/|$)/;
/** Acknowledged lines must remain; later ones may be torn. */
const APPENDED = /(?:^|\/)issued\.jsonl$/;
/** The current log is not synced, as in Kubernetes. */
const LOG = /\.log$/;
const COMPRESSED_LOG = /\.log\.gz$/;
const ABSENT = "absent";

type Contents = Map<string, Set<string>>;

export class PowerLossLedger {
  readonly #root: string;
  /** All complete contents of each path; undefined while they are collected. */
  readonly #whole: Contents | undefined;
  readonly #collected: Contents = new Map();
  /** The acknowledged content of each acknowledged path, and later ones. */
  readonly #allowed: Contents = new Map();
  readonly #appended = new Map<string, Uint8Array>();
  readonly #objects = new Map<string, { value: string; requested: string | undefined }>();

  /** The data directories that have the acknowledged objects. */
  readonly stores: Set<string> = new Set();

  /** `earlier` is a ledger that has followed the whole record. */
  constructor(root: string, earlier?: PowerLossLedger) {
    this.#root = root;
    this.#whole = earlier === undefined ? undefined : earlier.#collected;
  }

  /** Records a change that the disk has applied. */
  apply(record: DiskRecord, disk: Disk): void {
    if (record.kind === "mark") return this.#mark(JSON.parse(record.text), disk);
    if (record.kind === "rename" || record.kind === "link") this.#recordContents(record.to, disk);
    if (record.kind === "symlink") this.#recordContents(record.path, disk);
    const gone = record.kind === "rename" ? record.from : record.kind === "remove" ? record.path : undefined;
    if (gone === undefined) return;
    const path = relative(this.#root, gone);
    for (const [known, allowed] of this.#allowed) {
      if (known === path || known.startsWith(`${path}/`)) allowed.add(ABSENT);
    }
  }

  /** The number of acknowledged writes and files. */
  get promises(): number {
    return this.#objects.size + this.#allowed.size + this.#appended.size;
  }

  /** Reports whether the file at a path was acknowledged. */
  isSettled(path: string): boolean {
    return this.#allowed.has(path);
  }

  /** Finds the faults in the objects that a server or its database has. */
  findObjectFaults(found: ReadonlyMap<string, string>): readonly string[] {
    const faults: string[] = [];
    for (const [name, { value, requested }] of this.#objects) {
      const now = found.get(name) ?? ABSENT;
      if (now === value || now === requested) continue;
      faults.push(`object ${name} is ${now}, and ${value} is lost, which was acknowledged`);
    }
    for (const name of found.keys()) if (!this.#objects.has(name)) faults.push(`object ${name} was never requested`);
    return faults;
  }

  /** Finds the faults in the files of a tree. */
  findFileFaults({ leaves }: Tree): readonly string[] {
    const faults: string[] = [];
    for (const [path, leaf] of leaves) {
      const fault = this.#findLeafFault(path, leaf, leaves);
      if (fault !== undefined) faults.push(`${path} ${fault}`);
    }
    for (const [path, allowed] of this.#allowed) {
      if (leaves.has(path) || allowed.has(ABSENT)) continue;
      faults.push(`${path} is lost, although it was acknowledged`);
    }
    for (const [path, bytes] of this.#appended) {
      const leaf = leaves.get(path);
      const isKept = leaf?.kind === "file" && bytes.every((byte, at) => leaf.bytes[at] === byte);
      if (!isKept) faults.push(`${path} has lost acknowledged lines`);
    }
    return faults;
  }

  #findLeafFault(path: string, leaf: Leaf, leaves: ReadonlyMap<string, Leaf>): string | undefined {
    if (ANY_STATE.test(path) || APPENDED.test(path) || LOG.test(path)) return undefined;
    if (COMPRESSED_LOG.test(path)) {
      return isWholeArchive(leaf) || leaves.has(path.replace(/\.gz$/, ""))
        ? undefined
        : "is torn, and the log that was compressed is gone";
    }
    const digest = digestLeaf(leaf);
    const whole = this.#whole?.get(path);
    if (whole !== undefined && !whole.has(digest)) return `is torn: ${describeSize(leaf)}`;
    const allowed = this.#allowed.get(path);
    if (allowed === undefined || allowed.has(digest)) return undefined;
    return allowed.size === 1 && allowed.has(ABSENT) ? "came back after its removal" : "has its old content again";
  }

  #mark(mark: Mark, disk: Disk): void {
    switch (mark.kind) {
      case "requested": {
        const before = this.#objects.get(mark.name);
        this.#objects.set(mark.name, { value: before?.value ?? ABSENT, requested: mark.value ?? ABSENT });
        return;
      }
      case "acknowledged":
        this.#objects.set(mark.name, { value: mark.value ?? ABSENT, requested: undefined });
        return;
      case "store":
        return void this.stores.add(mark.under);
      case "settled":
        return this.#settle(mark.under, disk);
    }
  }

  #settle(under: string, disk: Disk): void {
    const isSkipped = (path: string): boolean => ANY_STATE.test(path) || LOG.test(path) || COMPRESSED_LOG.test(path);
    const leaves = disk.visible(under, isSkipped);
    for (const path of this.#collected.keys()) {
      if (path.startsWith(`${under}/`) && !leaves.has(path)) this.#allowed.set(path, new Set([ABSENT]));
    }
    for (const [path, leaf] of leaves) {
      if (APPENDED.test(path) && leaf.kind === "file") this.#appended.set(path, leaf.bytes);
      else {
        const digest = digestLeaf(leaf);
        addDigest(this.#collected, path, digest);
        this.#allowed.set(path, new Set([digest]));
      }
    }
  }

  /** Records the new content of a path, or of each path in a folder. */
  #recordContents(path: string, disk: Disk): void {
    const isSkipped = (one: string): boolean => ANY_STATE.test(one) || APPENDED.test(one) || COMPRESSED_LOG.test(one);
    for (const [here, leaf] of disk.visible(relative(this.#root, path), isSkipped)) {
      const digest = digestLeaf(leaf);
      addDigest(this.#collected, here, digest);
      this.#allowed.get(here)?.add(digest);
    }
  }
}

function addDigest(contents: Contents, path: string, digest: string): void {
  const known = contents.get(path) ?? new Set();
  contents.set(path, known.add(digest));
}

function digestLeaf(leaf: Leaf): string {
  return leaf.kind === "link" ? `-> ${leaf.target}` : createHash("sha256").update(leaf.bytes).digest("hex");
}

function describeSize(leaf: Leaf): string {
  return leaf.kind === "link" ? `a link to ${leaf.target}` : `${leaf.bytes.length} bytes`;
}

function isWholeArchive(leaf: Leaf): boolean {
  try {
    return leaf.kind === "file" && gunzipSync(leaf.bytes).length > 0;
  } catch {
    return false;
  }
}
