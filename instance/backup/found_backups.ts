/** Finds the backups of a data directory, by their names and headers. */
import { open, readdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type BackupEvidence, isWholeArchive } from "../../core/report/health/host.ts";

const BACKUP_NAME = /\.(?:backup|age)$|^tlsboot.*\.tar\.age$/;
const AGE_HEADER = "age-encryption.org/v1\n-> ";
const AGE_HEADER_END = /\n--- [A-Za-z0-9+/]{43}\n/;
/** A header with a hundred keys is smaller. */
const AGE_HEADER_BYTES = 16_384;

/** Finds the given backups, and those next to the data directory and in the current folder. */
export async function findBackups(
  root: string,
  named: readonly string[],
  deps: { readonly cwd: string; readonly show: (path: string) => string },
): Promise<readonly BackupEvidence[]> {
  const paths = new Set(named.map((path) => resolve(deps.cwd, path)));
  for (const folder of [dirname(root), deps.cwd]) {
    for (const name of await readdir(folder).catch(() => [])) {
      if (BACKUP_NAME.test(name)) paths.add(join(folder, name));
    }
  }
  const found = await Promise.all([...paths].map(async (path): Promise<readonly BackupEvidence[]> => {
    const head = await readHead(path);
    if (!head.startsWith(AGE_HEADER)) return [];
    const hasPassphrase = head.startsWith("scrypt ", AGE_HEADER.length);
    const { mtime: madeAt, size } = await stat(path);
    const end = AGE_HEADER_END.exec(head);
    const isWhole = end !== null && isWholeArchive(size - end.index - end[0].length);
    return [{ path: deps.show(path), madeAt, hasPassphrase, isWhole }];
  }));
  return found.flat();
}

async function readHead(path: string): Promise<string> {
  try {
    const handle = await open(path, "r");
    try {
      const { buffer, bytesRead } = await handle.read(new Uint8Array(AGE_HEADER_BYTES), 0, AGE_HEADER_BYTES, 0);
      return new TextDecoder("latin1").decode(buffer.subarray(0, bytesRead));
    } finally {
      await handle.close();
    }
  } catch {
    return "";
  }
}
