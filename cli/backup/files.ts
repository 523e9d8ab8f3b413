/** The files of a data directory that a backup holds: all but the database, which comes as objects, and logs. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

/** One file. */
export interface BackupFile {
  /** Below the data directory, with slashes. */
  readonly path: string;
  readonly mode: number;
  readonly bytes: Uint8Array;
}

/** The database with what lies beside it, what a crash left half written, and logs with what was put aside of them. */
const LEFT_OUT = [/^tlsboot\.db(?:-.+)?$/, /\.tmp(?:-.*|\.\d+)?$/, /\.log(?:\.gz)?$/];

/** Every file, by path; links and what is no file are left out. */
export async function* filesOf(root: string, below = ""): AsyncGenerator<BackupFile> {
  const entries = await readdir(join(root, below), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) yield* filesOf(root, path);
    else if (entry.isFile() && !LEFT_OUT.some((pattern) => pattern.test(entry.name))) {
      const at = join(root, path);
      yield { path, mode: (await stat(at)).mode & 0o777, bytes: await readFile(at) };
    }
  }
}
