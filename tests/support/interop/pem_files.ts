/** Finds every certificate and key that a folder holds, in PEM files and inside kubeconfigs. */
import { Buffer } from "node:buffer";
import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** One PEM block and where it came from. */
export interface FoundPem {
  readonly path: string;
  readonly label: string;
  readonly pem: string;
}

/** Walks the folder; links are looked through once, where they point to. */
export async function findPemBlocks(folder: string): Promise<readonly FoundPem[]> {
  const found: FoundPem[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!(await lstat(path)).isFile()) continue;
    const text = await readFile(path, "latin1");
    found.push(...parseBlocks(path, text));
    for (const [, base64 = ""] of text.matchAll(/-data: ([A-Za-z0-9+/=]+)/g)) {
      found.push(...parseBlocks(path, Buffer.from(base64, "base64").toString("latin1")));
    }
  }
  return found;
}

function parseBlocks(path: string, text: string): readonly FoundPem[] {
  // The database carries requests and certificates as base64 of PEM, never as PEM itself.
  return [...text.matchAll(/-----BEGIN ([A-Z ]+)-----\n[A-Za-z0-9+/=\n]+-----END \1-----\n/g)]
    .map(([pem, label = ""]) => ({ path, label, pem }));
}
