/** Writes and renews the `admin.kubeconfig` of an instance, whose certificate is in the group system:masters. */
import { parseCredentialPair } from "../../core/machine/credential_pair.ts";
import { encodeKubeconfig, parseKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { MASTERS_GROUP } from "../../core/kube/user.ts";
import { DAY_MS } from "../../core/lib/duration.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { findRenewalReason } from "../../core/pki/authority/serving_certificate.ts";
import { toRevocationName } from "../../core/revocation/revocation.ts";
import { type FilePort, SECRET_MODE } from "../../client/files.ts";
import type { Revocations } from "../../server/mod.ts";
import type { InstanceAuthorities } from "../authority/instance_authorities.ts";
import { issueClientPair, type IssueDeps } from "../authority/issue_pair.ts";
import type { DataDir } from "../data_dir.ts";
import type { Part } from "./parts.ts";
import { parseLeaf } from "./register.ts";
import type { CertificateDeps } from "./serving.ts";

/** The server of the kubeconfig, its trusted CAs, and the CA that signs the certificate. */
interface AdminOptions {
  /** The URL of the server. */
  readonly server: string;
  readonly authorities: Pick<InstanceAuthorities, "client" | "trustPem">;
  /** Records a new certificate before the kubeconfig is written, and the current one again. */
  readonly record: (certificate: CertificateFacts, source: "kubeconfig") => Promise<void>;
  /** The current Revocations; absent when the kubeconfig is written only once. */
  readonly revocations?: Pick<Revocations, "index">;
}

const LIFETIME_MS = 365 * DAY_MS;
/** The user name of the administrator, as in a cluster of kubeadm. */
export const ADMIN_NAME = "kubernetes-admin";
const CLUSTER_NAME = "tlsboot";

/**
 * Writes the kubeconfig, now and at each renewal, when it is missing, revoked, due for renewal, or for another server.
 */
export async function keepAdminKubeconfig(
  dir: DataDir,
  options: AdminOptions,
  deps: CertificateDeps,
): Promise<Part> {
  const renew = () => ensureAdminKubeconfig(dir, options, deps);
  await renew();
  return { renew };
}

/** Issues the certificate of the administrator and encodes the kubeconfig. AppError `ca_expired`. */
export async function createAdminKubeconfig(
  { server, authorities, record }: AdminOptions,
  deps: IssueDeps,
): Promise<string> {
  const identity = { commonName: ADMIN_NAME, organizations: [MASTERS_GROUP], lifetimeMs: LIFETIME_MS };
  const { certificatePem, keyPem } = await issueClientPair(authorities.client, identity, deps);
  await record(parseLeaf(certificatePem), "kubeconfig");
  const cluster = { server, certificateAuthorityData: authorities.trustPem };
  return encodeKubeconfig({
    clusters: [{ name: CLUSTER_NAME, cluster }],
    contexts: [{ name: CLUSTER_NAME, context: { cluster: CLUSTER_NAME, user: ADMIN_NAME } }],
    users: [{ name: ADMIN_NAME, user: { clientCertificateData: certificatePem, clientKeyData: keyPem } }],
    currentContext: CLUSTER_NAME,
  });
}

async function ensureAdminKubeconfig(dir: DataDir, options: AdminOptions, deps: CertificateDeps): Promise<void> {
  const { server, authorities: { client, trustPem } } = options;
  const current = await readAdmin(dir, deps.files);
  const reason = current === undefined
    ? "there is none"
    : current.server !== server || current.caPem !== trustPem
    ? "the server has changed"
    : isRevokedBySerial(current.certificate, options)
    ? "its certificate is revoked"
    : findRenewalReason(current.certificate, client.certificate, undefined, deps.clock.now());
  if (reason === undefined) {
    // A build without a register wrote it, or the register comes from an older backup.
    if (current !== undefined) await options.record(current.certificate, "kubeconfig");
    return;
  }
  await deps.files.writeAtomic(dir.adminKubeconfig, await createAdminKubeconfig(options, deps), SECRET_MODE);
  deps.logger.info("admin kubeconfig written", { path: dir.adminKubeconfig, reason });
}

/** Reports whether a certificate is revoked by its serial number; a new one for the same user is then accepted. */
function isRevokedBySerial({ serialNumber }: CertificateFacts, { revocations }: AdminOptions): boolean {
  return revocations?.index.get(toRevocationName({ kind: "serial", value: serialNumber })) !== undefined;
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
