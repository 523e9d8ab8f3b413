/** A disk that records the changes of programs that preload `disk_record.c`, and its record. */
import { appendFile, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { ROOT, runProgram } from "../child.ts";
import type { TempFolder } from "../temp.ts";

/** A change of a file or name, the start or end of a sync, or a mark of the test. */
export type DiskRecord =
  | { readonly kind: "create" | "makeFolder"; readonly path: string; readonly inode: number; readonly mode: number }
  | { readonly kind: "link" | "rename"; readonly from: string; readonly to: string }
  | { readonly kind: "symlink"; readonly target: string; readonly path: string }
  | { readonly kind: "remove"; readonly path: string }
  | { readonly kind: "write"; readonly inode: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly inode: number; readonly length: number }
  | { readonly kind: "mode"; readonly inode: number; readonly mode: number }
  | { readonly kind: "syncBegins" | "syncEnds"; readonly inode: number; readonly sync: string }
  | { readonly kind: "mark"; readonly text: string };

export interface RecordedDisk {
  /** The recorded folder, empty at first. */
  readonly root: string;
  /** The environment of each program that gets this disk. */
  readonly env: Readonly<Record<string, string>>;
  /** Adds a mark to the record, after all earlier changes. */
  mark(text: string): Promise<void>;
  /** Reads the record from its beginning. */
  read(): AsyncGenerator<DiskRecord>;
}

/** Compiles a library of this folder for preloading. Needs a C compiler. */
export async function compilePreloaded(name: string, folder: TempFolder): Promise<string> {
  const library = folder.join(`${name}.so`);
  const source = join(ROOT, "tests", "support", "interop", `${name}.c`);
  const built = await runProgram("cc", ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"]);
  if (built.code !== 0) throw new Error(`${name}.c cannot be compiled: ${built.stderr}`);
  return library;
}

/** The delay of each sync, so that an answer that does not wait for the sync comes before its end. */
const SYNC_MS = 3;

export async function createRecordedDisk(folder: TempFolder): Promise<RecordedDisk> {
  const [root, path] = [folder.join("disk"), folder.join("record")];
  await mkdir(root, { mode: 0o700 });
  const library = await compilePreloaded("disk_record", folder);
  return {
    root,
    env: { LD_PRELOAD: library, DISK_RECORD: path, DISK_RECORD_ROOT: root, DISK_RECORD_SYNC_MS: `${SYNC_MS}` },
    mark: (text) => appendFile(path, `n 0 0 0 ${new TextEncoder().encode(text).length} 0 0\n${text}`),
    read: () => readRecords(path),
  };
}

const PIECE_BYTES = 1 << 20;

/** Reads records one by one, because the file of a long run is large. */
async function* readRecords(path: string): AsyncGenerator<DiskRecord> {
  const file = await open(path, "r");
  try {
    let rest = new Uint8Array(0);
    const fill = async (length: number): Promise<boolean> => {
      while (rest.length < length) {
        const piece = new Uint8Array(Math.max(PIECE_BYTES, length - rest.length));
        const { bytesRead } = await file.read(piece);
        if (bytesRead === 0) return false;
        const more = new Uint8Array(rest.length + bytesRead);
        more.set(rest);
        more.set(piece.subarray(0, bytesRead), rest.length);
        rest = more;
      }
      return true;
    };
    const decoder = new TextDecoder();
    while (await fill(1)) {
      let end = rest.indexOf(10);
      for (; end < 0; end = rest.indexOf(10)) if (!await fill(rest.length + 1)) throw new Error("the record is cut");
      const [kind = "", ...words] = decoder.decode(rest.subarray(0, end)).split(" ");
      const [inode = 0, a = 0, b = 0, first = 0, second = 0, length = 0] = words.map(Number);
      const from = end + 1;
      const to = from + first + second + length;
      if (!await fill(to)) throw new Error("the record is cut");
      const one = decoder.decode(rest.subarray(from, from + first));
      const two = decoder.decode(rest.subarray(from + first, from + first + second));
      // Copy the bytes, so that the whole piece can be freed.
      const bytes = rest.slice(from + first + second, to);
      rest = rest.subarray(to);
      yield toRecord({ kind, inode, a, b, one, two, bytes });
    }
  } finally {
    await file.close();
  }
}

interface RawRecord {
  readonly kind: string;
  readonly inode: number;
  readonly a: number;
  readonly b: number;
  readonly one: string;
  readonly two: string;
  readonly bytes: Uint8Array;
}

/** Decodes the letters and numbers of `disk_record.c`. */
function toRecord({ kind, inode, a, b, one, two, bytes }: RawRecord): DiskRecord {
  switch (kind) {
    case "c":
      return { kind: "create", path: one, inode, mode: a };
    case "d":
      return { kind: "makeFolder", path: one, inode, mode: a };
    case "l":
      return { kind: "link", from: one, to: two };
    case "r":
      return { kind: "rename", from: one, to: two };
    case "y":
      return { kind: "symlink", target: one, path: two };
    case "u":
    case "k":
      return { kind: "remove", path: one };
    case "w":
      return { kind: "write", inode, offset: a, bytes };
    case "t":
      return { kind: "truncate", inode, length: a };
    case "m":
      return { kind: "mode", inode, mode: a };
    case "s":
      return { kind: "syncBegins", inode, sync: `${b}-${a}` };
    case "e":
      return { kind: "syncEnds", inode, sync: `${b}-${a}` };
    case "n":
      return { kind: "mark", text: one };
    default:
      throw new Error(`unknown record ${JSON.stringify(kind)}`);
  }
}
