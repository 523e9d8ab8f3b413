/**
 * The CA of each signer, by kube-controller-manager's settings and their rules
 * (`cmd/kube-controller-manager/app/options/csrsigningcontroller.go`).
 */
import { resolve } from "node:path";
import { formatDuration } from "../core/lib/duration.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBE_APISERVER_CLIENT_SIGNER, KUBELET_SERVING_SIGNER, LEGACY_UNKNOWN_SIGNER, MIN_EXPIRATION_SECONDS } from "../core/kube/kinds/certificates_v1.ts";
import type { Authority } from "../core/pki/authority/authority.ts";
import type { Clock, Logger } from "../core/ports.ts";
import { DEFAULT_SIGNING_SECONDS } from "../core/signing/plan.ts";
import { BUILTIN_SIGNERS } from "../core/signing/profile.ts";
import type { FilePort } from "../client/files.ts";
import { type CaKeySource, createFileAuthoritySource, type FileAuthoritySource } from "../controllers/ca_provider.ts";
import { type CaKeys, createCaFiles } from "./authority/keys.ts";
import { hasSplitAuthorities } from "./authority/files.ts";
import { assertCrlUrls, authorityPaths, type CaPurpose, getSignerPurpose, toCrlUrl } from "./authority/layout.ts";
import type { SIGNING_FLAGS } from "../cli/flags/controller.ts";
import type { Settings } from "../cli/framework/flags.ts";
import { AppError } from "../core/errors.ts";

/** The paths of a certificate and its key. */
export interface CaPaths {
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}

/** The CA settings: one pair for all signers, and one for each signer. */
export interface SigningCaFlags {
  readonly all: CaPaths;
  readonly kubeletServing: CaPaths;
  readonly kubeletClient: CaPaths;
  readonly kubeApiserverClient: CaPaths;
  readonly legacyUnknown: CaPaths;
  /** True when the files may contain issuers; then issued certificates are followed by the intermediates. */
  readonly withIssuers: boolean;
}

/** The CAs of the signers that run. */
export interface SigningCas {
  readonly signerNames: readonly string[];
  readonly authorities: (signerName: string) => Promise<Authority | undefined>;
}

/** The adapters for opening CAs. */
export interface SigningCaDeps {
  readonly files: FilePort;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly keys: CaKeys;
  /** The setting `crlUrl`; undefined for certificates that name no CRL. */
  readonly crlUrl?: string | undefined;
  /** Returns a number that grows when a CA of the instance was replaced. */
  readonly version?: () => number;
}

const SIGNERS: readonly {
  readonly name: string;
  readonly flag: Exclude<keyof SigningCaFlags, "all" | "withIssuers">;
  readonly prefix: string;
}[] = [
  { name: KUBELET_SERVING_SIGNER, flag: "kubeletServing", prefix: "cluster-signing-kubelet-serving" },
  {
    name: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
    flag: "kubeletClient",
    prefix: "cluster-signing-kube-apiserver-client",
  },
  { name: KUBE_APISERVER_CLIENT_SIGNER, flag: "kubeApiserverClient", prefix: "cluster-signing-kube-apiserver" },
  { name: LEGACY_UNKNOWN_SIGNER, flag: "legacyUnknown", prefix: "cluster-signing-legacy-unknown" },
];

/**
 * Returns the maximum lifetime of issued certificates; 0 means the default, as in kube-controller-manager. As there, it
 * may be shorter than the ten minutes that a request must have at least (no check in
 * `CSRSigningControllerOptions.Validate`, cmd/kube-controller-manager/app/options; `duration` in
 * pkg/controller/certificates/signer cuts every request to it). That is logged, because no request can have such a
 * short lifetime.
 */
export function signingDurationSeconds(
  settings: Pick<Settings<typeof SIGNING_FLAGS>, "clusterSigningDuration">,
  logger: Logger,
): number {
  const seconds = settings.clusterSigningDuration === 0
    ? DEFAULT_SIGNING_SECONDS
    : settings.clusterSigningDuration / 1000;
  if (seconds < MIN_EXPIRATION_SECONDS) {
    logger.warn("certificates are valid for less time than any request may ask for", {
      clusterSigningDuration: formatDuration(seconds * 1000),
      leastRequest: formatDuration(MIN_EXPIRATION_SECONDS * 1000),
    });
  }
  return seconds;
}

/** Groups the settings of the CAs by signer. */
export function toSigningCaFlags(settings: Settings<typeof SIGNING_FLAGS>): SigningCaFlags {
  return {
    all: { certFile: settings.clusterSigningCertFile, keyFile: settings.clusterSigningKeyFile },
    kubeletServing: {
      certFile: settings.clusterSigningKubeletServingCertFile,
      keyFile: settings.clusterSigningKubeletServingKeyFile,
    },
    kubeletClient: {
      certFile: settings.clusterSigningKubeletClientCertFile,
      keyFile: settings.clusterSigningKubeletClientKeyFile,
    },
    kubeApiserverClient: {
      certFile: settings.clusterSigningKubeApiserverClientCertFile,
      keyFile: settings.clusterSigningKubeApiserverClientKeyFile,
    },
    legacyUnknown: {
      certFile: settings.clusterSigningLegacyUnknownCertFile,
      keyFile: settings.clusterSigningLegacyUnknownKeyFile,
    },
    withIssuers: settings.clusterSigningChain,
  };
}

/** Reports whether a setting names a CA. */
export function namesSigningCa(flags: SigningCaFlags): boolean {
  return isGiven(flags.all) || SIGNERS.some(({ flag }) => isGiven(flags[flag]));
}

/** Reports whether the settings name one CA for all signers. */
export function isForAll({ all }: SigningCaFlags): boolean {
  return isGiven(all);
}

/**
 * Loads the CAs of the chosen signers, or of the built-in signers when none is chosen. AppError `usage` for incomplete pairs
 * and for a chosen signer without a CA; AppError `ca_invalid`, `file_permissions`.
 */
export async function openSigningCas(
  flags: SigningCaFlags,
  chosen: readonly string[],
  deps: SigningCaDeps & { readonly cwd: string },
): Promise<SigningCas> {
  const specific = SIGNERS.filter(({ flag }) => isGiven(flags[flag]));
  const { certFile, keyFile } = flags.all;
  if (isGiven(flags.all) && specific.length > 0) {
    throw new AppError("usage", "cannot specify a CA for all signers and the CA of one signer at the same time", {
      hint: "give one CA for all signers, or one for each",
    });
  }
  for (const { flag, prefix } of specific) {
    if (flags[flag].keyFile === undefined && !deps.keys.hasProgram) {
      throw createHalfPairError(prefix, "cannot specify cert without key");
    }
    if (flags[flag].certFile === undefined) throw createHalfPairError(prefix, "cannot specify key without cert");
  }
  if (specific.length === 0 && (certFile === undefined || (keyFile === undefined && !deps.keys.hasProgram))) {
    const missing = certFile === undefined ? "clusterSigningCertFile" : "clusterSigningKeyFile";
    throw new AppError(
      "usage",
      isGiven(flags.all) ? `no CA to sign with: the setting ${missing} is missing` : "no CA to sign with",
      {
        hint:
          "give the setting clusterSigningCertFile and the setting clusterSigningKeyFile; tlsboot ca init makes a CA",
      },
    );
  }
  const missingSigner = specific.length === 0
    ? undefined
    : chosen.find((name) => !specific.some((one) => one.name === name));
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
    return openCa(certificate, key, flags.withIssuers || isForCustom, deps);
  };
  assertCrlUrls(deps.crlUrl, specific.map(({ flag }) => resolve(deps.cwd, flags[flag].certFile ?? "")));
  const sources = new Map<string, FileAuthoritySource>();
  if (specific.length > 0) {
    for (const { name, flag } of specific) sources.set(name, await open(flags[flag]));
  } else {
    const shared = await open(flags.all);
    for (const name of chosen.length > 0 ? chosen : SIGNERS.map(({ name }) => name)) sources.set(name, shared);
  }
  const signerNames = chosen.length > 0 ? chosen : [...sources.keys()];
  return { signerNames, authorities: (signerName) => readCurrentAuthority(sources.get(signerName)) };
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
  return { signerNames, authorities: (signerName) => readCurrentAuthority(sources.get(getPurpose(signerName))) };
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

async function readCurrentAuthority(source: FileAuthoritySource | undefined): Promise<Authority | undefined> {
  return await source?.current();
}

function isGiven({ certFile, keyFile }: CaPaths): boolean {
  return certFile !== undefined || keyFile !== undefined;
}

function createHalfPairError(prefix: string, why: string): AppError {
  return new AppError("usage", `"${prefix}": ${why}`, { hint: "give the certificate and its key" });
}
