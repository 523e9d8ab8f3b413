/**
 * Changes the files of a CA that is being replaced. Each change is a sequence of atomic operations that may be
 * repeated, so a kill between any two operations loses nothing.
 */
import { basename, dirname, extname, join } from "node:path";
import { type FilePort, PUBLIC_MODE, SECRET_MODE, toTemporaryPath } from "../../client/files.ts";
import { parseAuthorityChain } from "../../core/pki/x509/ca_bundle.ts";
import type { CaFileStep, CaSlot, CaSlots } from "../../core/ca_rotation/ca_files.ts";
import type { CasOnDisk } from "../../core/ca_rotation/trust.ts";
import { readChain } from "./files.ts";
import { type AuthorityPaths, getSwapMarker } from "./layout.ts";

/** The file operations of a swap. */
export type SwapFiles = Pick<FilePort, "readText" | "writeAtomic" | "rename" | "unlink" | "lstat">;

/** The new CA as it is written to disk. Its key is undefined when a program holds it. */
export interface NewCaFiles {
  readonly certificatePem: string;
  readonly keyPem: string | undefined;
}

/** The changes of `applyCaFileSteps`, and their dependencies. */
interface CaFileChange {
  readonly paths: AuthorityPaths;
  readonly steps: readonly CaFileStep[];
  /** Returns the new CA; called only for the step `adopt`. */
  readonly adopt: () => Promise<NewCaFiles>;
  /** Rejects when the pair of files cannot sign; called before a pair begins to sign. */
  readonly verify: (paths: AuthorityPaths) => Promise<void>;
}

/** Returns the paths of the pair in a slot, such as `pki/next-ca.crt` and `pki/next-ca.key`. */
export function toSlotPaths({ certificate, key }: AuthorityPaths, slot: CaSlot): AuthorityPaths {
  const place = (path: string) => join(dirname(path), `${slot}-${basename(path)}`);
  return { certificate: place(certificate), key: place(key) };
}

/** Returns the paths of a retired CA, such as `pki/retired-ca-0123abcd.crt`. */
export function toRetiredPaths({ certificate, key }: AuthorityPaths, fingerprint: string): AuthorityPaths {
  const place = (path: string) =>
    join(dirname(path), `retired-${basename(path, extname(path))}-${fingerprint.slice(0, 8)}${extname(path)}`);
  return { certificate: place(certificate), key: place(key) };
}

/** Completes a swap during which a process was killed. Every program that signs calls this before it reads the CA. */
export async function completeCaSwap(paths: AuthorityPaths, files: SwapFiles): Promise<void> {
  const marked = (await files.readText(getSwapMarker(paths)))?.trim();
  if (marked === "next" || marked === "old") await promote(paths, marked, files);
  // A kill in the middle of a write leaves a copy of a key behind.
  for (const slot of ["next", "old"] as const) {
    await remove(toTemporaryPath(toSlotPaths(paths, slot).key, 0), files);
    await removeOrphanedKey(toSlotPaths(paths, slot), paths, files);
  }
}

/** Removes a key without a certificate, left by a swap that did not happen, if the CA that signs has the same key. */
async function removeOrphanedKey(slot: AuthorityPaths, signing: AuthorityPaths, files: SwapFiles): Promise<void> {
  if (await files.lstat(slot.key) === undefined || await files.lstat(slot.certificate) !== undefined) return;
  const { certificatePem, keyPem } = await readPair(signing, files);
  if (certificatePem !== "" && keyPem === await files.readText(slot.key)) await files.unlink(slot.key);
}

/** Reads the CAs on disk. AppError `not_found` and `ca_invalid` for the CA that signs; other malformed CAs are absent. */
export async function readCasOnDisk(paths: AuthorityPaths, files: SwapFiles): Promise<CasOnDisk> {
  const read = async ({ certificate }: AuthorityPaths) => {
    const chain = parseAuthorityChain(await files.readText(certificate) ?? "");
    return chain.ok ? chain.value : undefined;
  };
  return {
    current: await readChain(paths, files),
    next: await read(toSlotPaths(paths, "next")),
    old: await read(toSlotPaths(paths, "old")),
  };
}

/** Returns the fingerprints of the CAs on disk, for `planCaFiles`. */
export function toCaSlots({ current, next, old }: CasOnDisk): CaSlots {
  return {
    current: current.certificate.sha256Fingerprint,
    next: next?.certificate.sha256Fingerprint,
    old: old?.certificate.sha256Fingerprint,
  };
}

/** Applies a plan of `planCaFiles`. Rejects as `files`, `adopt` and `verify` do. */
export async function applyCaFileSteps(
  { paths, steps, adopt, verify }: CaFileChange,
  files: SwapFiles,
): Promise<void> {
  for (const step of steps) {
    switch (step.kind) {
      case "adopt":
        await writePair(toSlotPaths(paths, "next"), await adopt(), files);
        await verify(toSlotPaths(paths, "next"));
        break;
      case "swap":
        await verify(toSlotPaths(paths, step.from));
        await writePair(toSlotPaths(paths, step.keep), await readPair(paths, files), files);
        await files.writeAtomic(getSwapMarker(paths), `${step.from}\n`, PUBLIC_MODE);
        await promote(paths, step.from, files);
        break;
      case "retire":
        await retire(paths, step.slot, files);
    }
  }
}

async function promote(paths: AuthorityPaths, slot: CaSlot, files: SwapFiles): Promise<void> {
  const from = toSlotPaths(paths, slot);
  await move(from.key, paths.key, files);
  await move(from.certificate, paths.certificate, files);
  await files.unlink(getSwapMarker(paths));
}

async function retire(paths: AuthorityPaths, slot: CaSlot, files: SwapFiles): Promise<void> {
  const from = toSlotPaths(paths, slot);
  const text = await files.readText(from.certificate);
  const chain = parseAuthorityChain(text ?? "");
  if (!chain.ok || text === await files.readText(paths.certificate)) {
    // This is a copy of the CA that signs, from a swap that did not happen.
    await files.unlink(from.key);
    await files.unlink(from.certificate);
    return;
  }
  const to = toRetiredPaths(paths, chain.value.certificate.sha256Fingerprint);
  await move(from.key, to.key, files);
  await move(from.certificate, to.certificate, files);
}

async function readPair({ certificate, key }: AuthorityPaths, files: SwapFiles): Promise<NewCaFiles> {
  return { certificatePem: await files.readText(certificate) ?? "", keyPem: await files.readText(key) };
}

/** Writes the key first, so that there is never a certificate without its key. */
async function writePair(to: AuthorityPaths, { certificatePem, keyPem }: NewCaFiles, files: SwapFiles): Promise<void> {
  if (keyPem !== undefined) await files.writeAtomic(to.key, keyPem, SECRET_MODE);
  await files.writeAtomic(to.certificate, certificatePem, PUBLIC_MODE);
}

/** Removes a file if it exists: on a read-only file system, even removing a missing file fails. */
async function remove(path: string, files: SwapFiles): Promise<void> {
  if (await files.lstat(path) !== undefined) await files.unlink(path);
}

async function move(from: string, to: string, files: SwapFiles): Promise<void> {
  if (await files.lstat(from) !== undefined) await files.rename(from, to);
}
