/**
 * The control plane's own certificates: the CA (made once, never overwritten), the serving certificate and the admin
 * kubeconfig (made anew when their time has come).
 */
import { hostname } from "node:os";
import { isIP } from "node:net";
import { parseCredentialPair } from "../../core/bootstrap/credential_pair.ts";
import { AppError } from "../../core/errors.ts";
import { encodeKubeconfig, parseKubeconfig } from "../../core/kube/kubeconfig.ts";
import { type Authority, createAuthority, parseAuthority } from "../../core/pki/authority.ts";
import { type CertificateFacts, type CertificatePlan, issueCertificate } from "../../core/pki/certificate.ts";
import { generatePrivateKey, type PrivateKey } from "../../core/pki/keys.ts";
import { encodePem } from "../../core/pki/pem.ts";
import type { Clock, Logger, Random } from "../../core/ports.ts";
import { findRenewalReason, planServingNames, renewalDate, type ServingNames } from "../../core/serving/renewal.ts";
import { Secret } from "../../core/brand.ts";
import type { FilePort } from "../../client/files.ts";
import { type DataDir, FOLDER_MODE, PUBLIC_MODE, SECRET_MODE } from "./data_dir.ts";

/** What making certificates needs. */
export interface OwnCertificateDeps {
  readonly files: FilePort;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The serving certificate and key, PEM. */
export interface ServingFiles {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly certificate: CertificateFacts;
}

const DAY_MS = 86_400_000;
const CA_LIFE_MS = 3650 * DAY_MS;
const OWN_LIFE_MS = 365 * DAY_MS;
/** Clocks of machines differ a little: what is made now is valid a little earlier. */
const BACKDATE_MS = 5 * 60_000;
const ADMIN_NAME = "kubernetes-admin";
const CLUSTER_NAME = "tlsboot";
const GROUP_AND_OTHERS = 0o077;
/** A random serial of 127 bits stays positive and unique enough for any number of certificates. */
const SERIAL_BYTES = 16;

/** The CA of a data directory; makes one where there is none. AppError `ca_invalid`, `file_permissions`, `io`. */
export async function ensureCa(
  dir: DataDir,
  deps: OwnCertificateDeps,
): Promise<{ authority: Authority; created: boolean }> {
  const { files } = deps;
  await files.makeDirectory(dir.pki, FOLDER_MODE);
  const certificatePem = await files.readText(dir.caCertificate);
  const keyPem = await files.readText(dir.caKey);
  if (certificatePem !== undefined && keyPem !== undefined) {
    await refuseOpenKey(dir.caKey, files);
    return { authority: readAuthority(dir, certificatePem, keyPem), created: false };
  }
  if (certificatePem !== undefined || keyPem !== undefined) {
    const [have, miss] = certificatePem === undefined ? [dir.caKey, dir.caCertificate] : [dir.caCertificate, dir.caKey];
    throw new AppError("ca_invalid", `cannot use the CA: "${have}" is there, but "${miss}" is not`, {
      hint: "put the missing file back, or move both away to start with a new CA",
    });
  }
  const authority = await makeCa(deps);
  await files.createExclusive(dir.caKey, authority.keyPem.reveal(), SECRET_MODE);
  await files.createExclusive(dir.caCertificate, authority.authority.certificatePem, PUBLIC_MODE);
  return { authority: authority.authority, created: true };
}

/** A new CA for ten years; the key is handed out once, to be written. */
export async function makeCa(
  deps: Pick<OwnCertificateDeps, "clock" | "random">,
): Promise<{ authority: Authority; keyPem: Secret<string> }> {
  const key = await generatePrivateKey("ecdsa-p256");
  const now = deps.clock.now().getTime();
  const authority = await createAuthority({
    commonName: "tlsboot-ca",
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + CA_LIFE_MS),
    key,
    serial: serialOf(deps.random),
  });
  return { authority, keyPem: new Secret(key.toPem()) };
}

/** Which names the serving certificate has: design section 2. */
export function servingNamesOf(
  addresses: { readonly bind: string; readonly advertise: string | undefined; readonly extra: readonly string[] },
): ServingNames {
  const hosts = [
    "localhost",
    "127.0.0.1",
    "::1",
    hostname(),
    addresses.bind,
    addresses.advertise ?? "",
    ...addresses.extra,
  ];
  return planServingNames(hosts, (host) => isIP(host) !== 0);
}

/** The serving certificate; made anew when it is missing, unusable or its time has come. */
export async function ensureServing(
  dir: DataDir,
  authority: Authority,
  names: ServingNames,
  deps: OwnCertificateDeps,
): Promise<{ serving: ServingFiles; renewed: string | undefined }> {
  const current = await readServing(dir, deps.files);
  const reason = current === undefined
    ? "there is none"
    : findRenewalReason(current.certificate, authority.certificate, names, deps.clock.now());
  if (current !== undefined && reason === undefined) return { serving: current, renewed: undefined };
  const key = await generatePrivateKey("ecdsa-p256");
  const certificatePem = await issueOwn(authority, key, deps, {
    subject: { commonName: "tlsboot" },
    ...names,
    usages: ["digital signature", "server auth"],
  });
  const privateKeyPem = key.toPem();
  await deps.files.makeDirectory(dir.pki, FOLDER_MODE);
  await deps.files.writeAtomic(dir.servingKey, privateKeyPem, SECRET_MODE);
  await deps.files.writeAtomic(dir.servingCertificate, certificatePem, PUBLIC_MODE);
  deps.logger.info("serving certificate issued", { reason, dnsNames: names.dnsNames, ipAddresses: names.ipAddresses });
  return {
    serving: { certificatePem, privateKeyPem, certificate: leafOf(certificatePem, privateKeyPem) },
    renewed: reason,
  };
}

/** The admin's kubeconfig (group system:masters), embedded; made anew when its certificate or the server changes. */
export async function ensureAdminKubeconfig(
  dir: DataDir,
  authority: Authority,
  server: string,
  deps: OwnCertificateDeps,
): Promise<{ renewalDate: Date; renewed: string | undefined }> {
  const current = await readAdmin(dir, deps.files);
  const reason = current === undefined
    ? "there is none"
    : current.server !== server || current.caPem !== authority.certificatePem
    ? "the server has changed"
    : findRenewalReason(current.certificate, authority.certificate, undefined, deps.clock.now());
  if (current !== undefined && reason === undefined) {
    return { renewalDate: renewalDate(current.certificate), renewed: undefined };
  }
  const key = await generatePrivateKey("ecdsa-p256");
  const certificatePem = await issueOwn(authority, key, deps, {
    subject: { commonName: ADMIN_NAME, organizations: ["system:masters"] },
    dnsNames: [],
    ipAddresses: [],
    usages: ["digital signature", "client auth"],
  });
  const text = encodeKubeconfig({
    clusters: [{ name: CLUSTER_NAME, cluster: { server, certificateAuthorityData: authority.certificatePem } }],
    contexts: [{ name: CLUSTER_NAME, context: { cluster: CLUSTER_NAME, user: ADMIN_NAME } }],
    users: [{
      name: ADMIN_NAME,
      user: { clientCertificateData: certificatePem, clientKeyData: new Secret(key.toPem()) },
    }],
    currentContext: CLUSTER_NAME,
  });
  await deps.files.writeAtomic(dir.adminKubeconfig, text, SECRET_MODE);
  deps.logger.info("admin kubeconfig written", { path: dir.adminKubeconfig, reason });
  return { renewalDate: renewalDate(leafOf(certificatePem, key.toPem())), renewed: reason };
}

/** Random bytes of a certificate's serial number. */
export function serialOf(random: Random): Uint8Array<ArrayBuffer> {
  const serial = random.bytes(SERIAL_BYTES);
  serial[0] = serial[0]! & 0x7f;
  return serial;
}

function readAuthority(dir: DataDir, certificatePem: string, keyPem: string): Authority {
  const parsed = parseAuthority(certificatePem, keyPem);
  if (parsed.ok) return parsed.value;
  throw new AppError("ca_invalid", `cannot use the CA in "${dir.caCertificate}" and "${dir.caKey}": ${parsed.error}`, {
    hint: "put back the files that belong together, or move both away to start with a new CA",
  });
}

async function refuseOpenKey(path: string, files: FilePort): Promise<void> {
  const mode = (await files.stat(path))?.mode ?? 0;
  if ((mode & GROUP_AND_OTHERS) === 0) return;
  throw new AppError(
    "file_permissions",
    `cannot use CA key "${path}": its mode ${(mode & 0o777).toString(8).padStart(4, "0")} lets others at it`,
    { hint: `chmod 600 ${path}` },
  );
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

async function issueOwn(
  authority: Authority,
  key: PrivateKey,
  deps: OwnCertificateDeps,
  plan: Pick<CertificatePlan, "subject" | "dnsNames" | "ipAddresses" | "usages">,
): Promise<string> {
  const now = deps.clock.now().getTime();
  const end = Math.min(now + OWN_LIFE_MS, authority.certificate.notAfter.getTime());
  if (end <= now) {
    throw new AppError(
      "ca_expired",
      `cannot issue a certificate: the CA ended at ${authority.certificate.notAfter.toISOString()}`,
      {
        hint: "move the old CA away and start with a new one; every node must bootstrap again",
      },
    );
  }
  const der = await issueCertificate(
    {
      ...plan,
      publicKeyDer: key.publicKeyDer(),
      emailAddresses: [],
      uris: [],
      notBefore: new Date(now - BACKDATE_MS),
      notAfter: new Date(end),
      isCa: false,
    },
    authority,
    serialOf(deps.random),
  );
  return encodePem("CERTIFICATE", der);
}

function leafOf(certificatePem: string, keyPem: string): CertificateFacts {
  const pair = parseCredentialPair(certificatePem, keyPem);
  if (!pair.ok) throw new AppError("internal", `cannot read back an issued certificate: ${pair.error}`);
  return pair.value.leaf;
}
