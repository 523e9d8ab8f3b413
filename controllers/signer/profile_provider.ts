/** Reads the profile of a custom signer from a file, and reloads it when the file changes. */
import { AppError } from "../../core/errors.ts";
import { createCustomProfile } from "../../core/signing/custom_profile.ts";
import type { SigningProfile } from "../../core/signing/profile.ts";
import { findPurposeFault, type ProfileSpec } from "../../core/signing/profile_spec.ts";
import { parseProfile } from "../../core/signing/profile_file.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import { sleepOrAbort } from "../engine/loop.ts";
import { createReloader } from "./ca_provider.ts";

/** Provides the profile that a signer uses for each request. */
export interface ProfileSource {
  current(): Promise<SigningProfile>;
}

/** Provides a profile as it is in its file; a signer of pod certificates fills it in for each pod. */
export interface ProfileSpecSource {
  currentSpec(): Promise<ProfileSpec>;
}

/** Provides a profile that is read from a file. */
export interface FileProfileSource extends ProfileSource, ProfileSpecSource {
  readonly signerName: string;
}

/** The file of a profile, and how to read it. */
export interface FileProfileOptions {
  readonly file: string;
  /** Reads the text of a file; rejects when the file does not exist. */
  readonly read: (path: string) => Promise<string>;
  /** The signer name for a file without one; a file with a different name is refused. */
  readonly signerName?: string | undefined;
  /** Whether the profile is for pods: then it must have the section `pods`, which others must not have. */
  readonly isForPods?: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How often the files are checked, so that faults are reported even while no certificate is requested. */
const FOLLOW_INTERVAL_MS = 2_000;

/**
 * Reads the file for the first time. AppError `config_invalid` lists every fault. Later faults are logged as errors, and
 * the old profile stays in use.
 */
export async function createFileProfileSource(options: FileProfileOptions): Promise<FileProfileSource> {
  const { file, clock, logger } = options;
  const first = await load(options, options.signerName);
  const { signerName } = first.profile;
  const current = createReloader({
    first,
    load: (known) => load(options, signerName, known),
    clock,
    onChange: () => logger.info("profile reloaded", { file, signerName }),
    onFault: (error) =>
      logger.error("profile changed but cannot be used, the old one stays in use", { file, signerName, error }),
  });
  return {
    signerName,
    current: async () => (await current()).profile,
    currentSpec: async () => (await current()).spec,
  };
}

/** Checks the files until the signal aborts, so that a fault is reported soon. */
export async function followProfiles(
  sources: readonly ProfileSource[],
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  if (sources.length === 0) return;
  while (!signal.aborted) {
    for (const source of sources) await source.current();
    await sleepOrAbort(clock, FOLLOW_INTERVAL_MS, signal);
  }
}

interface Loaded {
  readonly profile: SigningProfile;
  readonly spec: ProfileSpec;
  readonly content: string;
}

/** Loads the profile; returns `known` itself when the file has not changed. */
async function load(
  { file, read, isForPods = false }: FileProfileOptions,
  signerName: string | undefined,
  known?: Loaded,
): Promise<Loaded> {
  const content = await read(file);
  if (content === known?.content) return known;
  const spec = parseProfile(content);
  if (!spec.ok) throw createProfileError(file, spec.error);
  const name = spec.value.signerName ?? signerName;
  if (name === undefined) {
    throw createProfileError(file, ["signerName: missing; set it here or with the setting signer"]);
  }
  if (signerName !== undefined && name !== signerName) {
    throw createProfileError(file, [`signerName: is "${name}" here, but "${signerName}" is requested`]);
  }
  const fault = findPurposeFault(spec.value, isForPods);
  if (fault !== undefined) throw createProfileError(file, [fault]);
  return { profile: createCustomProfile(name, spec.value), spec: spec.value, content };
}

/** Creates the AppError `config_invalid` that lists every fault of a profile. */
export function createProfileError(file: string, faults: readonly string[]): AppError {
  const list = faults.length === 1 ? ` ${faults[0]}` : faults.map((fault) => `\n  ${fault}`).join("");
  return new AppError("config_invalid", `cannot use profile "${file}":${list}`, {
    hint: "check a profile with: tlsboot policy check FILE",
  });
}
