/**
 * Stores a CA rotation in files, without an API: a record next to the CA, the pairs of the CAs, and a bundle of the
 * trusted certificates. The next run completes a run that was killed.
 */
import { basename, dirname, join } from "node:path";
import { type FilePort, PUBLIC_MODE, writeChanged } from "../../client/files.ts";
import { AppError } from "../../core/errors.ts";
import { caRotationKind } from "../../core/kube/kinds/mod.ts";
import { formatApiVersion } from "../../core/kube/schema.ts";
import type { CaRotation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { type CaTarget, planCaFiles } from "../../core/ca_rotation/ca_files.ts";
import { parseRotatedCas, parseRotationFile, type RotatedCas } from "../../core/ca_rotation/rotation_rules.ts";
import { applyCaFileSteps, completeCaSwap, type NewCaFiles, readCasOnDisk, toCaSlots } from "./ca_swap.ts";
import type { AuthorityPaths } from "./layout.ts";

/** The paths of a rotation, all in the folder of the CA. */
export interface RotationPaths {
  /** The CA that signs now. */
  readonly signing: AuthorityPaths;
  /** The name of the CA's file without its extension. */
  readonly name: string;
  /** The certificates that must be trusted now. */
  readonly bundle: string;
  /** The new CA, signed by the old one. */
  readonly crossSigned: string;
  readonly record: string;
}

/** Returns the paths of the rotation of a CA: `ca-bundle.crt` and so on next to `ca.crt`. */
export function getRotationPaths(signing: AuthorityPaths): RotationPaths {
  const folder = dirname(signing.certificate);
  const name = basename(signing.certificate).replace(/\.(?:crt|cer|pem)$/i, "");
  return {
    signing,
    name,
    bundle: join(folder, `${name}-bundle.crt`),
    crossSigned: join(folder, `${name}-cross-signed.crt`),
    record: join(folder, `${name}-rotation.json`),
  };
}

/**
 * Reads the record of a rotation; undefined without one. A swap that a killed run left unfinished is completed first.
 * Throws AppError `invalid`.
 */
export async function readRotationRecord(paths: RotationPaths, files: FilePort): Promise<CaRotation | undefined> {
  await completeCaSwap(paths.signing, files);
  const text = await files.readText(paths.record);
  if (text === undefined) return undefined;
  const rotation = parseRotationFile(text);
  if (rotation.ok) return rotation.value;
  throw new AppError("invalid", `cannot read the rotation "${paths.record}": ${rotation.error}`, {
    hint: "restore the file from a backup; nothing was changed",
  });
}

/** Parses the CAs of a checked record. */
export function getRotatedCas({ spec }: CaRotation): RotatedCas {
  const cas = parseRotatedCas(spec);
  if (!cas.ok) throw new AppError("invalid", `${cas.error.field}: ${cas.error.message}`);
  return cas.value;
}

/** The ports for changing the files. */
interface RotationRecordDeps {
  readonly files: FilePort;
  /** Rejects when a pair of files cannot sign. */
  readonly verify: (paths: AuthorityPaths) => Promise<void>;
}

/**
 * Records a step and changes the files accordingly. A second call completes one that was killed. The bundle changes
 * before the CA that signs. `adopted` is the new CA of a rotation that begins. Throws AppError `invalid` and
 * `not_found`, and as `verify`.
 */
export async function storeRotationRecord(
  rotation: CaRotation,
  paths: RotationPaths,
  deps: RotationRecordDeps,
  adopted?: NewCaFiles,
): Promise<void> {
  const { files } = deps;
  const { step, oldCA, newCA, crossSignedCA = "" } = rotation.spec;
  const { oldCa, newCa } = getRotatedCas(rotation);
  const target: CaTarget = {
    step,
    oldCa: oldCa.certificate.sha256Fingerprint,
    newCa: newCa.certificate.sha256Fingerprint,
  };
  // A record without the new CA would be useless.
  if (adopted !== undefined) await arrange(target, paths, deps, adopted);
  const { kind } = caRotationKind;
  const record = { apiVersion: formatApiVersion(caRotationKind), kind, ...rotation };
  await files.writeAtomic(paths.record, `${JSON.stringify(record, null, 2)}\n`, PUBLIC_MODE);
  await writeChanged(paths.bundle, newCA + (step === "Finish" ? "" : oldCA), PUBLIC_MODE, files);
  if (step === "Finish") await files.unlink(paths.crossSigned);
  else await writeChanged(paths.crossSigned, crossSignedCA, PUBLIC_MODE, files);
  if (adopted === undefined) await arrange(target, paths, deps);
}

/**
 * Removes the new CA from the bundle and moves its files away, so that only the old CA is trusted again. Throws as
 * `storeRotationRecord`.
 */
export async function removeRotationRecord(
  rotation: CaRotation,
  paths: RotationPaths,
  deps: RotationRecordDeps,
): Promise<void> {
  const { current } = await readCasOnDisk(paths.signing, deps.files);
  const isOld = current.certificate.sha256Fingerprint === getRotatedCas(rotation).oldCa.certificate.sha256Fingerprint;
  // A run was killed before the old CA signed again.
  if (!isOld) await storeRotationRecord(rotation, paths, deps);
  await writeChanged(paths.bundle, rotation.spec.oldCA, PUBLIC_MODE, deps.files);
  await deps.files.unlink(paths.crossSigned);
  await arrange(undefined, paths, deps);
  await deps.files.unlink(paths.record);
}

/**
 * Moves away a new CA that has no record, unless its SHA-256 is `kept`. Returns the SHA-256 (hex) of the CA that was
 * moved.
 */
export async function retireUnrecorded(
  paths: RotationPaths,
  deps: RotationRecordDeps,
  kept?: string,
): Promise<string | undefined> {
  const { next } = await readCasOnDisk(paths.signing, deps.files);
  if (next === undefined || next.certificate.sha256Fingerprint === kept) return undefined;
  await arrange(undefined, paths, deps);
  return next.certificate.sha256Fingerprint;
}

async function arrange(
  target: CaTarget | undefined,
  { signing }: RotationPaths,
  { files, verify }: RotationRecordDeps,
  adopted?: NewCaFiles,
): Promise<void> {
  const steps = planCaFiles(target, toCaSlots(await readCasOnDisk(signing, files)));
  if (!steps.ok) throw new AppError("invalid", `cannot change "${signing.certificate}": ${steps.error}`);
  const adopt = (): Promise<NewCaFiles> => {
    if (adopted !== undefined) return Promise.resolve(adopted);
    throw new AppError("not_found", `cannot find the new CA next to "${signing.certificate}"`, {
      hint: "put back its certificate and its key, whose names begin with next-",
    });
  };
  await applyCaFileSteps({ paths: signing, steps: steps.value, adopt, verify }, files);
}
