/** Opens a signer without a server: its rules, and the CA in the data directory or in the files of the settings. */
import { resolve } from "node:path";
import type { FilePort } from "../../client/files.ts";
import { AppError } from "../../core/errors.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { listBundled } from "../../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { publicKeyPin } from "../../core/pki/keys/key_names.ts";
import { listTrustedCas } from "../../core/ca_rotation/trust.ts";
import { BUILTIN_SIGNERS, type ClientTrust, decideClientTrust, findClientTrust } from "../../core/signing/profile.ts";
import { readCasOnDisk } from "../authority/ca_swap.ts";
import { readClientCas, readTrustPem } from "../authority/instance_authorities.ts";
import { type IssuedLog, type IssuedLogDeps, openIssuedLog } from "../authority/issued_log.ts";
import { type AuthorityPaths, authorityPaths, CA_PURPOSES } from "../authority/layout.ts";
import { getRotationPaths } from "../authority/rotation_record.ts";
import { dataDirAt } from "../data_dir.ts";
import { openSignerProfiles } from "../controllers/signer_profiles.ts";
import type { RequestSigning } from "./sign_request.ts";
import { openMlDsaGate } from "../feature_gates.ts";
import { readIssuedLog } from "../../client/admin/record_source.ts";
import {
  namesSigningCa,
  openInstanceCas,
  openSigningCas,
  type SigningCaDeps,
  signingDurationSeconds,
} from "../controllers/signer_cas.ts";
import type { InstanceDeps } from "../deps.ts";
import type { InstanceSettings, PolicyFiles } from "../settings.ts";

/** The settings of signing without a server. Those that `up` has too have the same meaning. */
export type OfflineSigningSettings =
  & Pick<
    InstanceSettings,
    `clusterSigning${"CertFile" | "KeyFile" | "Duration"}` | "dataDir" | "crlUrl" | "featureGates" | keyof PolicyFiles
  >
  & Readonly<Record<"signer" | "profile" | "issuedLog" | "server" | "trustExporter", string | undefined>>
  & { readonly chain: boolean };

/** The adapters of signing without a server. */
export type OfflineSigningDeps = Omit<InstanceDeps, "heap"> & IssuedLogDeps & { readonly signal: AbortSignal };

/** A signer that can plan and sign requests. */
export type OpenedSigner = Omit<RequestSigning, "asked" | "record">;

/** Opens the signers of one run, each of them once. */
export interface SignerOpener {
  /** The names of the signers in the settings `signer` and `profile`. */
  readonly chosen: readonly string[];
  /** Throws AppError `not_found` for a custom signer without a profile, and the errors of opening a CA. */
  open(signerName: string): Promise<OpenedSigner>;
}

/** Creates the opener from the settings, and reads the profile. */
export async function createSignerOpener(
  settings: OfflineSigningSettings,
  deps: OfflineSigningDeps,
): Promise<SignerOpener> {
  const { signerNames, profiles } = await openSignerProfiles({
    signer: settings.signer === undefined ? [] : [settings.signer],
    profile: settings.profile === undefined ? [] : [settings.profile],
  }, deps);
  const opened = new Map<string, Promise<OpenedSigner>>();

  async function open(signerName: string): Promise<OpenedSigner> {
    const profile = BUILTIN_SIGNERS.get(signerName) ?? await profiles.get(signerName)?.current();
    if (profile === undefined) {
      throw new AppError("not_found", `cannot sign for "${signerName}": it is not one of Kubernetes' signers`, {
        hint: "give its rules with the setting profile FILE",
      });
    }
    const { authority, clientTrust } = await openOfflineCa(settings, signerName, { ...deps, crlUrl: settings.crlUrl });
    return {
      profile,
      authority,
      clientTrust,
      signingDurationSeconds: signingDurationSeconds(settings, deps.logger),
      allowMlDsa: openMlDsaGate(settings.featureGates),
      chain: settings.chain && profile.chain !== false,
    };
  }

  return {
    chosen: signerNames,
    open(signerName) {
      const signer = opened.get(signerName) ?? open(signerName);
      opened.set(signerName, signer);
      return signer;
    },
  };
}

/** Opens the log that the settings name, or that of the data directory if its CA signs. Undefined for another CA. */
export function openSignLog(
  settings: OfflineSigningSettings,
  deps: Pick<OfflineSigningDeps, "clock" | "cwd" | "warn">,
): (IssuedLog & { readonly path: string }) | undefined {
  const { issuedLog, clusterSigningCertFile, dataDir } = settings;
  const named = issuedLog ??
    (clusterSigningCertFile === undefined ? dataDirAt(resolve(deps.cwd, dataDir)).issuedLog : undefined);
  if (named === undefined) return undefined;
  const path = resolve(deps.cwd, named);
  return { ...openIssuedLog(path, deps), path };
}

/** Reads the records of the CA's certificates from its log. Empty when there is no log yet. */
export async function readSignRecords(
  path: string,
  { files, signal }: Pick<OfflineSigningDeps, "files" | "signal">,
): Promise<readonly IssuedCertificate[]> {
  const records: IssuedCertificate[] = [];
  if (await files.stat(path) === undefined) return records;
  for await (const { record } of readIssuedLog(path, signal)) records.push(record);
  return records;
}

/** A CA, and whether the server of the data directory trusts it for client certificates. */
interface OfflineCa {
  readonly authority: Authority;
  readonly clientTrust: ClientTrust;
}

/** Opens the CA as `up` does. Throws AppError `usage`, `not_found`, `ca_invalid` or `file_permissions`. */
async function openOfflineCa(
  settings: OfflineSigningSettings,
  signerName: string,
  deps: SigningCaDeps & { readonly cwd: string },
): Promise<OfflineCa> {
  const dataDir = resolve(deps.cwd, settings.dataDir);
  // This command need not behave like kube-controller-manager, so the file may contain issuers.
  const files = { ...settings, clusterSigningChain: true };
  const { authorities } = namesSigningCa(files)
    ? await openSigningCas(files, [signerName], deps)
    : await openInstanceCas(dataDir, [signerName], deps);
  const authority = await authorities(signerName);
  if (authority === undefined) throw new AppError("internal", `no CA for "${signerName}"`);
  // Without a network, only the CAs of the server on the data directory can be checked.
  const isTrusted = findClientTrust(authority, await readTrustedCas(dataDir, deps.files));
  return { authority, clientTrust: decideClientTrust(signerName, isTrusted) };
}

async function readTrustedCas(dataDir: string, files: FilePort): Promise<readonly CertificateFacts[]> {
  if (await files.lstat(authorityPaths(dataDir).certificate) === undefined) return [];
  return (await readClientCas(dataDir, files)).map(({ chain }) => chain.certificate);
}

/** The CAs that are related to the one that signs, also during a rotation. */
export interface RelatedCas {
  /** The CAs that clients of the API server trust. */
  readonly server: readonly CertificateFacts[];
  /** The CAs whose client certificates the API server accepts. */
  readonly clients: readonly CertificateFacts[];
  /** The certificate of the signing CA that is signed by its predecessor; undefined without a rotation. */
  readonly crossSigned: CertificateFacts | undefined;
}

/** Reads the CAs that are related to a signer's from the files next to it. Throws AppError `not_found` or `ca_invalid`. */
export async function readRelatedCas(
  { clusterSigningCertFile, clusterSigningKeyFile, dataDir }: OfflineSigningSettings,
  { authority, profile }: OpenedSigner,
  { files, cwd }: { readonly files: FilePort; readonly cwd: string },
): Promise<RelatedCas> {
  const root = resolve(cwd, dataDir);
  if (clusterSigningCertFile === undefined) {
    return {
      server: listBundled(await readTrustPem(root, files)),
      clients: (await readClientCas(root, files)).map(({ chain }) => chain.certificate),
      crossSigned: await findCrossSigned(
        CA_PURPOSES.map((purpose) => authorityPaths(root, purpose)),
        authority,
        files,
      ),
    };
  }
  const certificate = resolve(cwd, clusterSigningCertFile);
  const paths = { certificate, key: resolve(cwd, clusterSigningKeyFile ?? certificate) };
  const trusted = listTrustedCas(undefined, await readCasOnDisk(paths, files));
  return {
    server: trusted.flatMap((ca) => [ca.certificate, ...ca.issuers]),
    // The API server may not trust the CA of a custom signer.
    clients: BUILTIN_SIGNERS.has(profile.signerName) ? trusted.map((ca) => ca.certificate) : [],
    crossSigned: await findCrossSigned([paths], authority, files),
  };
}

async function findCrossSigned(
  places: readonly AuthorityPaths[],
  { certificate }: Authority,
  files: FilePort,
): Promise<CertificateFacts | undefined> {
  for (const place of places) {
    const [ca] = listBundled(await files.readText(getRotationPaths(place).crossSigned) ?? "");
    if (ca !== undefined && publicKeyPin(ca) === publicKeyPin(certificate)) return ca;
  }
  return undefined;
}
