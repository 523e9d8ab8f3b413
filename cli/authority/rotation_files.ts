/**
 * The files of a CA that is replaced without a tlsboot server, as `/etc/kubernetes/pki` of kubeadm: the record of the
 * rotation, the pairs, and the bundle of what must be trusted. A run that was killed is completed by the next one.
 */
import { basename, dirname, join } from "node:path";
import type { FilePort } from "../../client/files.ts";
import { AppError } from "../../core/errors.ts";
import { encodeCertificates, encodeTrust } from "../../core/pki/authority_chain.ts";
import { type CaTarget, planCaFiles } from "../../core/rotation/ca_files.ts";
import {
  decodeFileRotation,
  encodeFileRotation,
  encodeRotationBundle,
  type FileRotation,
} from "../../core/rotation/file_rotation.ts";
import { PUBLIC_MODE } from "../instance/data_dir.ts";
import { applyCaFileSteps, completeCaSwap, type NewCaFiles, readCasOnDisk, toCaSlots } from "./ca_swap.ts";
import type { AuthorityPaths } from "./layout.ts";

/** The paths of a rotation, all beside the CA. */
export interface RotationPaths {
  /** The CA that signs at present. */
  readonly signing: AuthorityPaths;
  /** The name of the CA's file without its extension. */
  readonly name: string;
  /** The certificates that must be trusted now. */
  readonly bundle: string;
  /** The new CA, signed by the old one. */
  readonly crossSigned: string;
  readonly record: string;
}

/** Returns the paths of the rotation of a CA: `ca-bundle.crt` and so on beside `ca.crt`. */
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
 * Reads the record of a rotation; undefined without one. A swap of the pairs that a killed run began is completed first.
 * Throws AppError `invalid`.
 */
export async function readFileRotation(paths: RotationPaths, files: FilePort): Promise<FileRotation | undefined> {
  await completeCaSwap(paths.signing, files);
  const text = await files.readText(paths.record);
  if (text === undefined) return undefined;
  const rotation = decodeFileRotation(text);
  if (rotation.ok) return rotation.value;
  throw new AppError("invalid", `cannot read the rotation "${paths.record}": ${rotation.error}`, {
    hint: "put back the file from a backup; nothing was changed",
  });
}

/** What a change of the files needs. */
export interface RotationFilesDeps {
  readonly files: FilePort;
  /** Rejects when a pair of files cannot sign. */
  readonly verify: (paths: AuthorityPaths) => Promise<void>;
}

/**
 * Records a step and brings the files into it; repeating that completes what a killed run began. What is trusted changes
 * first. `adopted` is the new CA when the rotation begins. Throws AppError `invalid` and `not_found`, and as `verify`.
 */
export async function storeFileRotation(
  rotation: FileRotation,
  paths: RotationPaths,
  { files, verify }: RotationFilesDeps,
  adopted?: NewCaFiles,
): Promise<void> {
  const { step, oldCa, newCa } = rotation;
  const target: CaTarget = {
    step,
    oldCa: oldCa.certificate.sha256Fingerprint,
    newCa: newCa.certificate.sha256Fingerprint,
  };
  const arrange = async (): Promise<void> => {
    const steps = planCaFiles(target, toCaSlots(await readCasOnDisk(paths.signing, files)));
    if (!steps.ok) throw new AppError("invalid", `cannot change "${paths.signing.certificate}": ${steps.error}`);
    await applyCaFileSteps({ paths: paths.signing, steps: steps.value, adopt, verify }, files);
  };
  const adopt = (): Promise<NewCaFiles> =>
    adopted === undefined ? Promise.reject(missingNext(paths)) : Promise.resolve(adopted);
  // A record without the new CA would be of no use.
  if (adopted !== undefined) await arrange();
  await files.writeAtomic(paths.record, encodeFileRotation(paths.name, rotation), PUBLIC_MODE);
  await writeUnlessSame(paths.bundle, encodeRotationBundle(rotation), files);
  if (step === "Finish") await files.unlink(paths.crossSigned);
  else await writeUnlessSame(paths.crossSigned, encodeCertificates([rotation.crossSigned.certificate]), files);
  if (adopted === undefined) await arrange();
}

/** Takes the new CA out of the bundle and moves its files away; the old CA alone is trusted again. */
export async function removeFileRotation(
  { oldCa }: FileRotation,
  paths: RotationPaths,
  { files, verify }: RotationFilesDeps,
): Promise<void> {
  await writeUnlessSame(paths.bundle, encodeTrust(oldCa), files);
  await files.unlink(paths.crossSigned);
  const steps = planCaFiles(undefined, toCaSlots(await readCasOnDisk(paths.signing, files)));
  const adopt = () => Promise.reject(missingNext(paths));
  if (steps.ok) await applyCaFileSteps({ paths: paths.signing, steps: steps.value, adopt, verify }, files);
  await files.unlink(paths.record);
}

function missingNext({ signing }: RotationPaths): AppError {
  return new AppError("not_found", `cannot find the new CA beside "${signing.certificate}"`, {
    hint: "put back its certificate and its key, whose names begin with next-",
  });
}

async function writeUnlessSame(path: string, text: string, files: FilePort): Promise<void> {
  if (await files.readText(path) !== text) await files.writeAtomic(path, text, PUBLIC_MODE);
}
