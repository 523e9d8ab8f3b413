/** The serving certificate and the admin kubeconfig of an instance, renewed in time. */
import { hostname } from "node:os";
import { isIP } from "node:net";
import { parseCredentialPair } from "../../core/bootstrap/credential_pair.ts";
import { AppError } from "../../core/errors.ts";
import { encodeKubeconfig, parseKubeconfig } from "../../core/kube/kubeconfig.ts";
import { MASTERS_GROUP } from "../../core/kube/user.ts";
import type { Authority } from "../../core/pki/authority.ts";
import { encodeTrust } from "../../core/pki/authority_chain.ts";
import type { CertificateFacts } from "../../core/pki/certificate.ts";
import type { Clock, Logger, Random } from "../../core/ports.ts";
import {
  findRenewalReason,
  planServingNames,
  renewalDate,
  type ServerNames,
} from "../../core/pki/serving_certificate.ts";
import type { FilePort } from "../../client/files.ts";
import type { InstanceAuthorities } from "../authority/instance_authorities.ts";
import { issueClientPair, issuePair } from "../issue_pair.ts";
import { type DataDir, FOLDER_MODE, PUBLIC_MODE, SECRET_MODE } from "./data_dir.ts";

/** The adapters for issuing certificates. */
export interface InstanceCertificateDeps {
  readonly files: FilePort;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The serving certificate and key, as PEM. */
export interface ServingFiles {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly certificate: CertificateFacts;
}

const DAY_MS = 86_400_000;
const OWN_LIFE_MS = 365 * DAY_MS;
const ADMIN_NAME = "kubernetes-admin";
const CLUSTER_NAME = "tlsboot";
const SERVING_USAGES = ["digital signature", "server auth"];

/** Lists the names of the serving certificate: those of this machine, and those that clients use. */
export function listServingNames(
  addresses: { readonly bind: string; readonly advertise: string; readonly extra: readonly string[] },
): ServerNames {
  const hosts = [
    "localhost",
    "127.0.0.1",
    "::1",
    hostname(),
    addresses.bind,
    addresses.advertise,
    ...addresses.extra,
  ];
  return planServingNames(hosts, (host) => isIP(host) !== 0);
}

/** Reads the serving certificate, and issues a new one when it is missing, unusable or due for renewal. */
export async function ensureServing(
  dir: DataDir,
  authority: Authority,
  names: ServerNames,
  deps: InstanceCertificateDeps,
): Promise<{ serving: ServingFiles; renewed: string | undefined }> {
  const current = await readServing(dir, deps.files);
  const reason = current === undefined
    ? "there is none"
    : findRenewalReason(current.certificate, authority.certificate, names, deps.clock.now());
  if (current !== undefined && reason === undefined) return { serving: current, renewed: undefined };
  const plan = { subject: { commonName: "tlsboot" }, ...names, usages: SERVING_USAGES, lifeMs: OWN_LIFE_MS };
  const { certificatePem, keyPem } = await issuePair(authority, plan, deps);
  const privateKeyPem = keyPem.reveal();
  await deps.files.makeDirectory(dir.pki, FOLDER_MODE);
  await deps.files.writeAtomic(dir.servingKey, privateKeyPem, SECRET_MODE);
  await deps.files.writeAtomic(dir.servingCertificate, certificatePem, PUBLIC_MODE);
  deps.logger.info("serving certificate issued", { reason, dnsNames: names.dnsNames, ipAddresses: names.ipAddresses });
  return {
    serving: { certificatePem, privateKeyPem, certificate: parseLeaf(certificatePem, privateKeyPem) },
    renewed: reason,
  };
}

/** Writes the admin's kubeconfig (group system:masters) when it is missing, due for renewal, or for another server. */
export async function ensureAdminKubeconfig(
  dir: DataDir,
  { serving, client }: Pick<InstanceAuthorities, "serving" | "client">,
  server: string,
  deps: InstanceCertificateDeps,
): Promise<{ renewalDate: Date; renewed: string | undefined }> {
  const current = await readAdmin(dir, deps.files);
  const caPem = encodeTrust(serving);
  const reason = current === undefined
    ? "there is none"
    : current.server !== server || current.caPem !== caPem
    ? "the server has changed"
    : findRenewalReason(current.certificate, client.certificate, undefined, deps.clock.now());
  if (current !== undefined && reason === undefined) {
    return { renewalDate: renewalDate(current.certificate), renewed: undefined };
  }
  const identity = { commonName: ADMIN_NAME, organizations: [MASTERS_GROUP], lifeMs: OWN_LIFE_MS };
  const { certificatePem, keyPem } = await issueClientPair(client, identity, deps);
  const text = encodeKubeconfig({
    clusters: [{ name: CLUSTER_NAME, cluster: { server, certificateAuthorityData: caPem } }],
    contexts: [{ name: CLUSTER_NAME, context: { cluster: CLUSTER_NAME, user: ADMIN_NAME } }],
    users: [{
      name: ADMIN_NAME,
      user: { clientCertificateData: certificatePem, clientKeyData: keyPem },
    }],
    currentContext: CLUSTER_NAME,
  });
  await deps.files.writeAtomic(dir.adminKubeconfig, text, SECRET_MODE);
  deps.logger.info("admin kubeconfig written", { path: dir.adminKubeconfig, reason });
  return { renewalDate: renewalDate(parseLeaf(certificatePem, keyPem.reveal())), renewed: reason };
}

async function readServing(dir: DataDir, files: FilePort): Promise<ServingFiles | undefined> {
  const certificatePem = await files.readText(dir.servingCertificate);
  const privateKeyPem = await files.readText(dir.servingKey);
  if (certificatePem === undefined || privateKeyPem === undefined) return undefined;
  const pair = parseCredentialPair(certificatePem, privateKeyPem);
  return pair.ok ? { certificatePem, privateKeyPem, certificate: pair.value.leaf } : undefined;
}

async function readAdmin(
  dir: DataDir,
  files: FilePort,
): Promise<{ server: string; caPem: string; certificate: CertificateFacts } | undefined> {
  const text = await files.readText(dir.adminKubeconfig);
  if (text === undefined) return undefined;
  const config = parseKubeconfig(text, dir.adminKubeconfig);
  if (!config.ok) return undefined;
  const cluster = config.value.clusters[0]?.cluster;
  const user = config.value.users[0]?.user;
  if (cluster === undefined || user?.clientCertificateData === undefined || user.clientKeyData === undefined) {
    return undefined;
  }
  const pair = parseCredentialPair(user.clientCertificateData, user.clientKeyData.reveal());
  if (!pair.ok) return undefined;
  return { server: cluster.server ?? "", caPem: cluster.certificateAuthorityData ?? "", certificate: pair.value.leaf };
}

function parseLeaf(certificatePem: string, keyPem: string): CertificateFacts {
  const pair = parseCredentialPair(certificatePem, keyPem);
  if (!pair.ok) throw new AppError("internal", `cannot read back an issued certificate: ${pair.error}`);
  return pair.value.leaf;
}
