/** Files in memory. A test can make their changes fail, as on a full disk. */
import { Buffer } from "node:buffer";
import { dirname, resolve } from "node:path";
import type { FileFacts, FilePort } from "../../client/files.ts";
import { AppError } from "../../core/errors.ts";

type Entry =
  | { readonly kind: "file"; readonly text: string; readonly mode: number; readonly isOwnedByOther?: boolean }
  | { readonly kind: "symlink"; readonly target: string }
  | { readonly kind: "directory"; readonly mode: number };

export interface MemoryFiles extends FilePort {
  readonly entries: Map<string, Entry>;
  /** Calls that change something, in order, such as `writeAtomic /a/b`. */
  readonly calls: string[];
  /** Makes each changing call that matches fail with AppError `io` until it is set to undefined. */
  failOn: RegExp | undefined;
  /** The text of a file; follows links. */
  text(path: string): string | undefined;
  mode(path: string): number | undefined;
}

export function createMemoryFiles(initial: Readonly<Record<string, string>> = {}): MemoryFiles {
  const entries = new Map<string, Entry>();
  const calls: string[] = [];
  for (const [path, text] of Object.entries(initial)) entries.set(path, { kind: "file", text, mode: 0o600 });

  function follow(path: string): Entry | undefined {
    const entry = entries.get(path);
    return entry?.kind === "symlink" ? follow(resolve(dirname(path), entry.target)) : entry;
  }
  function change(verb: string, path: string): void {
    calls.push(`${verb} ${path}`);
    if (files.failOn?.test(`${verb} ${path}`) === true) {
      throw new AppError("io", `cannot ${verb} "${path}": no space left on device`);
    }
  }
  function toFacts(entry: Entry | undefined): FileFacts | undefined {
    if (entry === undefined) return undefined;
    return {
      kind: entry.kind,
      mode: entry.kind === "symlink" ? 0o777 : entry.mode,
      isOwnedByOther: entry.kind === "file" && entry.isOwnedByOther === true,
    };
  }
  const text = (path: string): string | undefined => {
    const entry = follow(path);
    return entry?.kind === "file" ? entry.text : undefined;
  };
  const files: MemoryFiles = {
    entries,
    calls,
    failOn: undefined,
    text,
    mode: (path) => toFacts(follow(path))?.mode,
    readText: (path) => Promise.resolve(text(path)),
    readOpened(path) {
      const entry = entries.get(path);
      const facts = toFacts(entry);
      return Promise.resolve(facts && { facts, text: entry?.kind === "file" ? entry.text : "" });
    },
    stat: (path) => Promise.resolve(toFacts(follow(path))),
    lstat: (path) => Promise.resolve(toFacts(entries.get(path))),
    async writeAtomic(path, content, mode) {
      change("writeAtomic", path);
      const text = typeof content === "string" ? content : Buffer.from(content).toString("latin1");
      entries.set(path, { kind: "file", text, mode });
    },
    async createExclusive(path, content, mode) {
      change("createExclusive", path);
      if (entries.has(path)) throw new AppError("file_exists", `cannot create "${path}": it exists`);
      entries.set(path, { kind: "file", text: content, mode });
    },
    async readLink(path) {
      const entry = entries.get(path);
      return entry?.kind === "symlink" ? entry.target : undefined;
    },
    realPath(path) {
      const entry = entries.get(path);
      return entry?.kind === "symlink" ? files.realPath(resolve(dirname(path), entry.target)) : Promise.resolve(path);
    },
    async symlink(target, path) {
      change("symlink", path);
      if (entries.has(path)) throw new AppError("file_exists", `cannot link "${path}": it exists`);
      entries.set(path, { kind: "symlink", target });
    },
    async rename(from, to) {
      change("rename", from);
      const entry = entries.get(from);
      if (entry === undefined) throw new AppError("io", `cannot rename "${from}": it does not exist`);
      entries.delete(from);
      entries.set(to, entry);
    },
    async unlink(path) {
      change("unlink", path);
      entries.delete(path);
    },
    async makeDirectory(path, mode) {
      change("makeDirectory", path);
      if (!entries.has(path)) entries.set(path, { kind: "directory", mode });
    },
  };
  return files;
}
