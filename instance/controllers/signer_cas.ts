/**
 * Opens the CA of each signer, by the settings and rules of kube-controller-manager
 * (`cmd/kube-controller-manager/app/options/csrsigningcontroller.go`).
 */
import { resolve } from "node:path";
import { formatDuration } from "../../core/lib/duration.ts";
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
  LEGACY_UNKNOWN_SIGNER,
  MIN_EXPIRATION_SECONDS,
} from "../../core/kube/kinds/constants.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import type { Logger } from "../../core/ports.ts";
import { BUILTIN_SIGNERS, DEFAULT_SIGNING_SECONDS } from "../../core/signing/profile.ts";
import {
  type CaKeySource,
  createFileAuthoritySource,
  type FileAuthoritySource,
} from "../../controllers/signer/ca_provider.ts";
import { createCaFiles } from "../authority/keys.ts";
import { hasSplitAuthorities } from "../authority/files.ts";
import { assertCrlUrls, authorityPaths, type CaPurpose, getSignerPurpose, toCrlUrl } from "../authority/layout.ts";
import { AppError } from "../../core/errors.ts";
import type { InstanceSettings, SigningCaFiles } from "../settings.ts";
import type { InstanceDeps } from "../deps.ts";

/** The paths of a certificate and its key. */
interface CaPaths {
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}

/** The CAs of the signers that run. */
export interface SigningCas {
  readonly signerNames: readonly string[];
  readonly authorities: (signerName: string) => Promise<Authority | undefined>;
}

/** The adapters for opening CAs. */
export interface SigningCaDeps extends Pick<InstanceDeps, "files" | "clock" | "logger" | "keys"> {
  /** The setting `crlUrl`; undefined for certificates that name no CRL. */
  readonly crlUrl?: string | undefined;
  /** Returns a number that grows each time a CA of the instance is replaced. */
  readonly version?: () => number;
}

const SIGNERS = [
  [KUBELET_SERVING_SIGNER, "KubeletServing"],
  [KUBE_APISERVER_CLIENT_KUBELET_SIGNER, "KubeletClient"],
  [KUBE_APISERVER_CLIENT_SIGNER, "KubeApiserverClient"],
  [LEGACY_UNKNOWN_SIGNER, "LegacyUnknown"],
] as const;

function findSharedCa(settings: SigningCaFiles): CaPaths {
  return { certFile: settings.clusterSigningCertFile, keyFile: settings.clusterSigningKeyFile };
}

function listOwnCas(
  settings: SigningCaFiles,
): readonly (CaPaths & { readonly name: string; readonly setting: string })[] {
  return SIGNERS.map(([name, part]) => ({
    name,
    setting: `clusterSigning${part}`,
    certFile: settings[`clusterSigning${part}CertFile`],
    keyFile: settings[`clusterSigning${part}KeyFile`],
  })).filter(isGiven);
}

/**
 * Returns the maximum lifetime of issued certificates; 0 means the default, as in kube-controller-manager. As there, it
 * may be shorter than ten minutes, the minimum for a request: `CSRSigningControllerOptions.Validate` in
 * cmd/kube-controller-manager/app/options does not check it, and `duration` in pkg/controller/certificates/signer
 * limits every request to it. That is logged, because no request can have such a short lifetime.
 */
export function signingDurationSeconds(
  settings: Pick<InstanceSettings, "clusterSigningDuration">,
  logger: Logger,
): number {
  const seconds = settings.clusterSigningDuration === 0
    ? DEFAULT_SIGNING_SECONDS
    : settings.clusterSigningDuration / 1000;
  if (seconds < MIN_EXPIRATION_SECONDS) {
    logger.warn("the signing duration is shorter than the minimum lifetime of a request", {
      clusterSigningDuration: formatDuration(seconds * 1000),
      minimum: formatDuration(MIN_EXPIRATION_SECONDS * 1000),
    });
  }
  return seconds;
}

export function namesSigningCa(settings: SigningCaFiles): boolean {
  return namesSharedCa(settings) || listOwnCas(settings).length > 0;
}

/** Reports whether the settings name one CA for all signers. */
export function namesSharedCa(settings: SigningCaFiles): boolean {
  return isGiven(findSharedCa(settings));
}

/**
 * Loads the CAs of the chosen signers, or of the built-in signers when none is chosen. AppError `usage` for incomplete pairs
 * and for a chosen signer without a CA; AppError `ca_invalid`, `file_permissions`.
 */
export async function openSigningCas(
  settings: SigningCaFiles,
  chosen: readonly string[],
  deps: SigningCaDeps & { readonly cwd: string },
): Promise<SigningCas> {
  const own = listOwnCas(settings);
  const shared = findSharedCa(settings);
  if (isGiven(shared) && own.length > 0) {
    throw new AppError("usage", "cannot specify a CA for all signers and the CA of one signer at the same time", {
      hint: "give one CA for all signers, or one for each",
    });
  }
  for (const paths of own.length > 0 ? own : [{ ...shared, setting: "clusterSigning" }]) {
    const missing = paths.certFile === undefined
      ? "CertFile"
      : paths.keyFile === undefined && !deps.keys.hasProgram
      ? "KeyFile"
      : undefined;
    if (missing === undefined) continue;
    const what = isGiven(paths) ? `: the setting ${paths.setting}${missing} is missing` : "";
    throw new AppError("usage", `no CA to sign with${what}`, {
      hint:
        `give the setting ${paths.setting}CertFile and the setting ${paths.setting}KeyFile; tlsboot ca init makes a CA`,
    });
  }
  const missingSigner = own.length === 0 ? undefined : chosen.find((name) => !own.some((one) => one.name === name));
  if (missingSigner !== undefined) {
    throw new AppError("usage", `no CA to sign with for "${missingSigner}"`, {
      hint: "give the setting clusterSigningCertFile for all signers",
    });
  }
  // kube-controller-manager's rules are for its own signers (docs/decisions/0008-intermediate-cas.md).
  const isForCustom = chosen.length > 0 && !chosen.some((name) => BUILTIN_SIGNERS.has(name));
  const open = (paths: CaPaths): Promise<FileAuthoritySource> => {
    const certificate = resolve(deps.cwd, paths.certFile ?? "");
    const key = deps.keys.getNamedSource(certificate, paths.keyFile);
    return openCa(certificate, key, settings.clusterSigningChain || isForCustom, deps);
  };
  assertCrlUrls(deps.crlUrl, own.map(({ certFile }) => resolve(deps.cwd, certFile ?? "")));
  const sources = new Map<string, FileAuthoritySource>();
  for (const paths of own) sources.set(paths.name, await open(paths));
  if (own.length === 0) {
    const source = await open(shared);
    for (const name of chosen.length > 0 ? chosen : SIGNERS.map(([name]) => name)) sources.set(name, source);
  }
  const signerNames = chosen.length > 0 ? chosen : [...sources.keys()];
  return { signerNames, authorities: async (signerName) => await sources.get(signerName)?.current() };
}

/**
 * Opens the CAs of a data directory for some signers: one for all, or one for each purpose. AppError `not_found`,
 * `ca_invalid`, `file_permissions`.
 */
export async function openInstanceCas(
  root: string,
  signerNames: readonly string[],
  deps: SigningCaDeps,
): Promise<SigningCas> {
  const split = await hasSplitAuthorities(root, deps.files);
  const getPurpose = (signerName: string): CaPurpose => split ? getSignerPurpose(signerName) : "serving";
  assertCrlUrls(
    deps.crlUrl,
    [...new Set(signerNames.map(getPurpose))].map((one) => authorityPaths(root, one).certificate),
  );
  const sources = new Map<CaPurpose, FileAuthoritySource>();
  for (const purpose of new Set(signerNames.map(getPurpose))) {
    const paths = authorityPaths(root, purpose);
    sources.set(purpose, await openCa(paths.certificate, deps.keys.getSource(paths), true, deps));
  }
  return { signerNames, authorities: async (signerName) => await sources.get(getPurpose(signerName))?.current() };
}

function openCa(
  certFile: string,
  key: CaKeySource,
  withIssuers: boolean,
  { files, clock, logger, crlUrl, version }: SigningCaDeps,
): Promise<FileAuthoritySource> {
  return createFileAuthoritySource({
    files: createCaFiles(files),
    certFile,
    keyFile: key.name,
    key,
    withIssuers,
    crlUrl: toCrlUrl(crlUrl, certFile),
    version,
    clock,
    logger,
  });
}

function isGiven({ certFile, keyFile }: CaPaths): boolean {
  return certFile !== undefined || keyFile !== undefined;
}
