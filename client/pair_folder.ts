/**
 * A certificate and its key in a folder, for any program: `tls.crt`, `tls.key` and both in `tls.pem`. The three are links
 * through one more link, `..data`, as in a volume of a Secret: moving that one changes all of them in the same instant.
 */
import { basename, dirname, join, resolve } from "node:path";
import { parseCredentialPair } from "../core/bootstrap/credential_pair.ts";
import { AppError, isAppError } from "../core/errors.ts";
import type { CredentialTarget } from "./credential_target.ts";
import type { FilePort } from "./files.ts";
import { checkOwnFolder } from "./private_file.ts";

/** The files, by absolute path. */
export interface PairPaths {
  /** Leaf first. */
  readonly certificate: string;
  readonly key: string;
  /** Certificates, then the key. */
  readonly combined: string;
}

/** A folder that holds one pair. */
export interface PairFolder extends CredentialTarget {
  readonly paths: PairPaths;
}

const NAMES = { certificate: "tls.crt", key: "tls.key", combined: "tls.pem" } as const;
/** kubelet's name for it (`pkg/volume/util/atomic_writer.go`). */
const DATA = "..data";
/** The pair in use and the one before it; each update writes the other. */
const SLOTS = ["..pair-1", "..pair-2"] as const;
const SECRET_MODE = 0o600;
const PUBLIC_MODE = 0o644;
const FOLDER_MODE = 0o700;
/** Each one that is taken is another writer, or the rest of a crash. */
const MAX_TEMPORARY_LINKS = 1_000;

/** The pair in a folder; nothing is made before `update`. `existing` refuses a folder that everybody may write to: AppError `file_permissions`. */
export function openPairFolder(folder: string, files: FilePort): PairFolder {
  const at = (name: string): string => join(resolve(folder), name);
  const paths = { certificate: at(NAMES.certificate), key: at(NAMES.key), combined: at(NAMES.combined) };
  return {
    paths,
    pendingKeyPath: at("tls.key.new"),
    async existing() {
      await checkOwnFolder(resolve(folder), files);
      if (await files.readLink(at(DATA)) !== undefined) await linkNames(at, files, "missing");
      const found = await Promise.all(Object.values(paths).map((path) => files.lstat(path)));
      if (found.every((facts) => facts === undefined)) return { kind: "none" };
      const [certificate, key] = [await files.readText(paths.certificate), await files.readText(paths.key)];
      if (certificate === undefined) return { kind: "unusable", reason: `"${paths.certificate}" is missing` };
      if (key === undefined) return { kind: "unusable", reason: `"${paths.key}" is missing` };
      const pair = parseCredentialPair(certificate, key);
      if (pair.ok) return { kind: "usable", leaf: pair.value.leaf };
      return { kind: "unusable", reason: `"${paths.certificate}" cannot be used: ${pair.error}` };
    },
    async update(pair) {
      const slot = await files.readLink(at(DATA)) === SLOTS[0] ? SLOTS[1] : SLOTS[0];
      const key = pair.keyPem.reveal();
      await files.makeDirectory(at(slot), FOLDER_MODE);
      await files.writeAtomic(join(at(slot), NAMES.key), key, SECRET_MODE);
      await files.writeAtomic(join(at(slot), NAMES.combined), pair.certificatePem + key, SECRET_MODE);
      await files.writeAtomic(join(at(slot), NAMES.certificate), pair.certificatePem, PUBLIC_MODE);
      await moveLink(slot, at(DATA), files);
      await linkNames(at, files, "all");
    },
  };
}

/** Lets the names lead through `..data`; those that do so already are left alone. */
async function linkNames(at: (name: string) => string, files: FilePort, which: "missing" | "all"): Promise<void> {
  for (const name of Object.values(NAMES)) {
    const target = `${DATA}/${name}`;
    if (which === "missing" && await files.lstat(at(name)) !== undefined) continue;
    if (await files.readLink(at(name)) !== target) await moveLink(target, at(name), files);
  }
}

/** Points a link somewhere else in one rename, in place of whatever stands there. */
async function moveLink(target: string, path: string, files: FilePort): Promise<void> {
  const temporary = await makeTemporaryLink(target, path, files);
  try {
    await files.rename(temporary, path);
  } catch (error) {
    // Left where even this fails; the first error says why.
    await files.unlink(temporary).catch(() => {});
    throw error;
  }
}

async function makeTemporaryLink(target: string, path: string, files: FilePort): Promise<string> {
  for (let number = 0; number < MAX_TEMPORARY_LINKS; number++) {
    const candidate = join(dirname(path), `.${basename(path)}.${number}.link`);
    try {
      await files.symlink(target, candidate);
      return candidate;
    } catch (error) {
      if (!isAppError(error, "file_exists")) throw error;
    }
  }
  throw new AppError("io", `cannot link "${path}": ${MAX_TEMPORARY_LINKS} temporary links are left beside it`);
}
