/**
 * The serving certificate of an instance: read from files of the settings, or issued by its CA for the server's names
 * and renewed.
 */
import { isIP } from "node:net";
import { hostname } from "node:os";
import { parseCredentialPair } from "../../core/machine/credential_pair.ts";
import {
  type AdvertisedHost,
  chooseAdvertisedHost,
  isUnspecified,
  listReachableHosts,
  LOOPBACK,
} from "../../core/machine/node_name.ts";
import { AppError } from "../../core/errors.ts";
import { isSameSet } from "../../core/lib/record.ts";
import { DAY_MS } from "../../core/lib/duration.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { listBundled } from "../../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import {
  findRenewalReason,
  planPermittedNames,
  planServingNames,
  type ServingNames,
} from "../../core/pki/authority/serving_certificate.ts";
import type { Logger } from "../../core/ports.ts";
import { type FilePort, FOLDER_MODE, PUBLIC_MODE, SECRET_MODE } from "../../client/files.ts";
import { readInterfaces } from "../../client/host_facts.ts";
import { issuePair } from "../authority/issue_pair.ts";
import type { DataDir } from "../data_dir.ts";
import type { InstanceDeps } from "../deps.ts";
import type { Part } from "./parts.ts";
import type { ServingSettings } from "../settings.ts";
import { readPairFiles } from "../named_files.ts";
import type { ServingPair } from "../../server/mod.ts";

/** The adapters for issuing certificates. */
export type CertificateDeps = Pick<InstanceDeps, "files" | "clock" | "random" | "logger">;

const LIFETIME_MS = 365 * DAY_MS;
const USAGES = ["digital signature", "server auth"];

/**
 * Reads the certificate and key of `tlsCertFile` and `tlsPrivateKeyFile`; undefined without these settings.
 * AppError `usage` for half a pair, AppError `io` and `key_invalid`.
 */
export async function readGivenServing(
  { tlsCertFile, tlsPrivateKeyFile }: ServingSettings,
  deps: InstanceDeps,
): Promise<ServingPair | undefined> {
  if (tlsCertFile === undefined || tlsPrivateKeyFile === undefined) return undefined;
  return await readPairFiles(tlsCertFile, tlsPrivateKeyFile, "serve with", deps);
}

/**
 * Chooses the server's host for kubeconfigs, and logs a warning if it was chosen automatically. AppError `usage` for an
 * advertised address that no client can connect to.
 */
export async function findHost(
  { bindAddress, advertiseAddress }: ServingSettings,
  { files, logger }: Pick<InstanceDeps, "files" | "logger">,
): Promise<AdvertisedHost> {
  const facts = await readInterfaces(files);
  if (advertiseAddress !== undefined && isUnspecified(advertiseAddress)) {
    const hosts = listReachableHosts(facts);
    throw new AppError(
      "usage",
      `the setting advertiseAddress: "${advertiseAddress}" is not an address that a client can connect to`,
      { hint: hosts.length === 0 ? "give the name of this host" : `this host has ${hosts.join(", ")}` },
    );
  }
  const advertised = chooseAdvertisedHost(bindAddress, advertiseAddress, facts);
  const { host, others } = advertised;
  if (others === undefined) return advertised;
  if (host === LOOPBACK) {
    logger.warn("this host has no address that other machines can reach; give one with the setting advertiseAddress", {
      address: host,
    });
  } else {
    logger.warn(
      "kubeconfigs and join commands name this host's address; choose another with the setting advertiseAddress",
      {
        address: host,
        others,
      },
    );
  }
  return advertised;
}

/** Lists the names of a serving certificate: those of this machine, and those that clients use. */
function listServingNames(
  addresses: { readonly bind: string; readonly advertise: string; readonly extra: readonly string[] },
): ServingNames {
  const hosts = ["localhost", "127.0.0.1", "::1", hostname(), addresses.bind, addresses.advertise, ...addresses.extra];
  return planServingNames(hosts, (host) => isIP(host) !== 0);
}

/** Lists the names of the serving certificate that the CA may certify. AppError when it may not certify the host. */
export function listPermittedNames(
  { bindAddress: bind, tlsSan: extra }: ServingSettings,
  host: string,
  ca: Authority,
  logger: Logger,
): ServingNames {
  const { names, refused } = planPermittedNames(listServingNames({ bind, advertise: host, extra }), [
    ca.certificate,
    ...ca.issuers,
  ]);
  const fault = refused.get(host.toLowerCase());
  if (fault !== undefined) {
    throw new AppError("config_invalid", `cannot serve as "${host}": the CA's name constraints forbid it: ${fault}`, {
      hint: "serve under a name that the CA permits with the setting advertiseAddress; tlsboot ca show lists them",
    });
  }
  if (refused.size > 0) {
    logger.warn("the CA's name constraints exclude names from the serving certificate", { names: [...refused.keys()] });
  }
  return names;
}

/** Reads the serving certificate, and issues a new one when it is missing, unusable or due for renewal. */
export async function ensureServing(
  dir: DataDir,
  authority: Authority,
  names: ServingNames,
  deps: CertificateDeps,
): Promise<ServingPair> {
  const current = await readServing(dir, deps.files);
  const reason = current === undefined
    ? "there is none"
    : findRenewalReason(current.certificate, authority.certificate, names, deps.clock.now()) ??
      findChainReason(current.serving, authority);
  if (current !== undefined && reason === undefined) return current.serving;
  const serving = await issueServing(authority, names, deps);
  await deps.files.makeDirectory(dir.pki, FOLDER_MODE);
  await deps.files.writeAtomic(dir.servingKey, serving.keyPem, SECRET_MODE);
  await deps.files.writeAtomic(dir.servingCertificate, serving.certificatePem, PUBLIC_MODE);
  deps.logger.info("serving certificate issued", { reason, dnsNames: names.dnsNames, ipAddresses: names.ipAddresses });
  return serving;
}

/** Issues a serving certificate for these names. */
export async function issueServing(
  authority: Authority,
  names: ServingNames,
  deps: Pick<CertificateDeps, "clock" | "random">,
): Promise<ServingPair> {
  const plan = { subject: { commonName: "tlsboot" }, ...names, usages: USAGES, lifetimeMs: LIFETIME_MS };
  const { certificatePem, keyPem } = await issuePair(authority, plan, deps);
  return { certificatePem, keyPem: keyPem.reveal() };
}

/**
 * Finds a reason to replace a certificate in its intermediates, because clients need the cross-signed CA now or no
 * longer.
 */
function findChainReason({ certificatePem }: ServingPair, { intermediates }: Authority): string | undefined {
  const present = listBundled(certificatePem).slice(1).map(({ sha256Fingerprint }) => sha256Fingerprint);
  const wanted = intermediates.map(({ sha256Fingerprint }) => sha256Fingerprint);
  return isSameSet(present, wanted) ? undefined : "its chain has changed";
}

/** Creates the part that renews the serving certificate of a running server and passes on each new one. */
export function createServingRenewal(
  { dir, authority, names, serving, onRenewed }: {
    readonly dir: DataDir;
    /** Returns the CA that signs it now. */
    readonly authority: () => Authority;
    readonly names: ServingNames;
    readonly serving: ServingPair;
    readonly onRenewed: (serving: ServingPair) => Promise<void>;
  },
  deps: CertificateDeps,
): Part {
  let { certificatePem } = serving;
  return {
    async renew() {
      const next = await ensureServing(dir, authority(), names, deps);
      // An earlier renewal may have written the files and then failed.
      if (next.certificatePem === certificatePem) return;
      await onRenewed(next);
      ({ certificatePem } = next);
    },
  };
}

async function readServing(
  dir: DataDir,
  files: FilePort,
): Promise<{ readonly serving: ServingPair; readonly certificate: CertificateFacts } | undefined> {
  const certificatePem = await files.readText(dir.servingCertificate);
  const keyPem = await files.readText(dir.servingKey);
  if (certificatePem === undefined || keyPem === undefined) return undefined;
  const pair = parseCredentialPair(certificatePem, keyPem);
  return pair.ok ? { serving: { certificatePem, keyPem }, certificate: pair.value.leaf } : undefined;
}
