/** Reads the signers to run and the profiles of custom signers, from the settings `signer` and `profile`. */
import { resolve } from "node:path";
import { AppError } from "../../core/errors.ts";
import { findNearest } from "../../core/lib/nearest.ts";
import { BUILTIN_SIGNERS } from "../../core/signing/profile.ts";
import { parseProfile } from "../../core/signing/profile_file.ts";
import type { ProfileSpec } from "../../core/signing/profile_spec.ts";
import type { FilePort } from "../../client/files.ts";
import {
  createFileProfileSource,
  createProfileError,
  type FileProfileSource,
  type ProfileSource,
} from "../../controllers/signer/profile_provider.ts";
import type { InstanceDeps } from "../deps.ts";
import { readRequiredFile } from "../named_files.ts";
import type { ProfileFiles } from "../settings.ts";

/** The signers and profiles that the settings name. */
export interface SignerChoice {
  /** The signer names of the settings and the profiles; may be empty. */
  readonly signerNames: readonly string[];
  /** The profiles by signer name. */
  readonly profiles: ReadonlyMap<string, ProfileSource>;
}

/** A choice with profiles from files only. */
interface FileSignerChoice extends SignerChoice {
  readonly profiles: ReadonlyMap<string, FileProfileSource>;
}

/** The adapters for reading profiles. */
type ProfileDeps = Pick<InstanceDeps, "files" | "clock" | "logger" | "cwd">;

/**
 * Reads the profiles. A file without a signer name is for the only custom signer. AppError `usage` for names without a
 * profile and profiles without a name, AppError `config_invalid` and `io` for files. A signer of pod certificates needs
 * profiles for pods.
 */
export async function openSignerProfiles(
  { signer: names, profile: files }: ProfileFiles,
  deps: ProfileDeps,
  isForPods = false,
): Promise<FileSignerChoice> {
  const custom = names.filter((name) => isForPods || !BUILTIN_SIGNERS.has(name));
  const [only, ...more] = custom;
  const profiles = new Map<string, FileProfileSource>();
  for (const file of files) {
    const source = await createFileProfileSource({
      file: resolve(deps.cwd, file),
      read: (path) => readRequiredFile(path, deps, "profile"),
      // With one name and one file, the file needs no signer name. A file with another name is refused.
      signerName: files.length === 1 && more.length === 0 ? only : undefined,
      isForPods,
      clock: deps.clock,
      logger: deps.logger,
    });
    const { signerName } = source;
    if (profiles.has(signerName)) {
      throw new AppError("usage", `the setting profile: two profiles are for signer "${signerName}"`, {
        hint: "give one for each signer",
      });
    }
    if (names.length > 0 && !names.includes(signerName)) {
      throw new AppError(
        "usage",
        `the setting profile: "${file}" is for signer "${signerName}", which the setting signer does not name`,
        { hint: `add the setting signer ${signerName}, or omit the profile` },
      );
    }
    profiles.set(signerName, source);
  }
  const missing = custom.find((name) => !profiles.has(name));
  if (missing !== undefined && isForPods) {
    throw new AppError("usage", `the setting signer: "${missing}" has no profile for pods`, {
      hint: "give its rules with the setting profile FILE",
    });
  }
  if (missing !== undefined) throw createUnknownSignerError(missing);
  return { signerNames: names.length > 0 ? [...new Set(names)] : [...profiles.keys()], profiles };
}

function createUnknownSignerError(name: string): AppError {
  const nearest = findNearest(name, BUILTIN_SIGNERS.keys());
  const hint = nearest === undefined ? `give its rules with the setting profile FILE` : `did you mean ${nearest}?`;
  return new AppError("usage", `the setting signer: "${name}" is not a signer of Kubernetes and has no profile`, {
    hint,
  });
}

/** Reads a profile once. AppError `config_invalid` with every fault, `io`. */
export async function readProfileFile(path: string, files: FilePort): Promise<ProfileSpec> {
  const spec = parseProfile(await readRequiredFile(path, { files, cwd: "" }, "profile"));
  if (spec.ok) return spec.value;
  throw createProfileError(path, spec.error);
}
