/** Opens the register of an instance, and records the certificates that the instance issues for itself. */
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBELET_SERVING_SIGNER } from "../../core/kube/kinds/constants.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { type CertificateFacts, parseCertificate } from "../../core/pki/x509/certificate.ts";
import { findPemBlock } from "../../core/pki/asn1/pem.ts";
import { issuedCertificateKind } from "../../core/kube/kinds/mod.ts";
import { formatObjectPath } from "../../core/kube/schema.ts";
import { type AuditOptions, auditOwnChange } from "../../server/http/audit.ts";
import type { IssuedCertificates } from "../../server/metrics/certificates.ts";
import { formatRecordName } from "../../core/register/record.ts";
import { Register } from "../../server/register/register.ts";
import { RegisterUpkeep, type ReportedSeal } from "../../server/register/upkeep.ts";
import { type Storage, WriteRefusedError } from "../../server/storage/storage.ts";
import type { InstanceDeps } from "../deps.ts";
import { ROOT_USER } from "../instance_rbac.ts";
import { migrateIssuedFile } from "./issued_files.ts";
import type { Part } from "./parts.ts";
import { createUid } from "../../server/registry/mod.ts";

/** The origin of one of the instance's own certificates. */
export type OwnSource = "ca" | "kubeconfig" | "serving" | "sign";

interface InstanceRegister extends Part {
  readonly register: Register;
  /** Seals the register before clients see it, if a seal became due while the server was down. Failures are logged. */
  sealIfOverdue(): Promise<void>;
  /** Records one of the instance's own certificates, once, before it is used. Throws as the storage. */
  record(certificate: CertificateFacts, source: OwnSource): Promise<void>;
  /** Records a certificate that is already in use. A full storage is logged, and the next minute tries again. */
  recordUsed(certificate: CertificateFacts, source: OwnSource): Promise<void>;
}

/** The annotation of audit events that has the sequence number and the hash of a sealed record. */
const SEAL_ANNOTATION = "register.tlsboot/seal";

/** Opens the register and maintains it until it is disposed; a CA seals it. */
export async function openRegister(
  { storage, authority, retentionMs, earlierFile, audit }: {
    readonly storage: Storage;
    /** Returns the CA that seals it now. */
    readonly authority: () => Authority;
    readonly retentionMs: number;
    /** The file in which earlier builds kept the issued certificates, which are moved into the register. */
    readonly earlierFile: string;
    /** The audit log, which receives each seal; undefined when there is none. */
    readonly audit: AuditOptions | undefined;
  },
  deps: InstanceDeps,
): Promise<InstanceRegister> {
  const { clock, random, logger } = deps;
  const register = await Register.open({ storage, clock, random });
  try {
    await migrateIssuedFile({ path: earlierFile, storage, register }, deps);
  } catch (error) {
    // The file is still there, and the next start tries again.
    logger.error("cannot move the earlier issued certificates into the register", { path: earlierFile, error });
  }
  const reportUnidentified = createUnidentifiedReport(register, logger);
  reportUnidentified();
  const onSealed = audit === undefined ? undefined : ({ record, expect }: ReportedSeal): void =>
    auditOwnChange(audit, {
      auditId: createUid(random),
      path: `${formatObjectPath(issuedCertificateKind, record)}/status`,
      user: ROOT_USER,
      annotations: { [SEAL_ANNOTATION]: expect },
    }, clock.now());
  const upkeep = new RegisterUpkeep({ storage, register, authority, retentionMs, clock, logger, onSealed });
  const refused = new Map<CertificateFacts, OwnSource>();

  async function recordUsed(certificate: CertificateFacts, source: OwnSource): Promise<void> {
    try {
      await register.ensureRecorded(certificate, source);
      refused.delete(certificate);
    } catch (error) {
      if (!(error instanceof WriteRefusedError)) throw error;
      // Existing objects must be served even when the storage is full.
      logger.error("a certificate of this server is not in the register", { source, error });
      refused.set(certificate, source);
    }
  }

  return {
    register,
    // A new register gets its first seal after a minute, so that the seal covers the certificates issued at the
    // start.
    sealIfOverdue: () => register.index.lastSeal === undefined ? Promise.resolve() : upkeep.sealIfDue(),
    record: (certificate, source) => register.ensureRecorded(certificate, source),
    recordUsed,
    async renew() {
      for (const [certificate, source] of refused) await recordUsed(certificate, source);
      reportUnidentified();
      await upkeep.renew();
    },
    async [Symbol.asyncDispose]() {
      await upkeep[Symbol.asyncDispose]();
      register[Symbol.dispose]();
    },
  };
}

/** Creates the function that logs certificates whose user is not in the register, each once. */
function createUnidentifiedReport(
  { index }: Pick<Register, "index">,
  logger: InstanceDeps["logger"],
): () => void {
  const reported = new Set<number>();
  return () => {
    const found = [...index.listUnidentified()].map(({ sequence }) => sequence).filter((one) => !reported.has(one));
    if (found.length === 0) return;
    for (const sequence of found) reported.add(sequence);
    logger.warn(
      "the register does not have the users of some certificates, so revocations of users and nodes do not mark them",
      {
        certificates: found.length,
        records: found.slice(0, MAX_REPORTED).map(formatRecordName).join(", "),
      },
    );
  };
}

/** The pause between two reports of certificates that were not renewed. */
const REPORT_INTERVAL_MS = 1_800_000;
/** The signers whose certificates are renewed automatically; certificates of people often are not. */
const RENEWED_SIGNERS: ReadonlySet<string> = new Set([KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBELET_SERVING_SIGNER]);
/** The number of certificates that one report logs by name. */
const MAX_REPORTED = 20;

/** Creates the part that checks every half hour for certificates that were not renewed, and logs each once. */
export function reportOverdue(
  issued: Pick<IssuedCertificates, "becameOverdue">,
  { clock, logger }: Pick<InstanceDeps, "clock" | "logger">,
): Part {
  let nextReportMs = 0;
  let reportedUntil = new Date(0);
  return {
    renew() {
      if (clock.elapsedMs() < nextReportMs) return Promise.resolve();
      nextReportMs = clock.elapsedMs() + REPORT_INTERVAL_MS;
      const now = clock.now();
      const overdue = [...issued.becameOverdue(reportedUntil, now)];
      for (const { signerName, subject, until } of overdue.slice(0, MAX_REPORTED)) {
        const log = RENEWED_SIGNERS.has(signerName) ? logger.warn : logger.info;
        log("a certificate is not renewed", { signerName, subject, notAfter: new Date(until * 1000) });
      }
      const more = overdue.length - MAX_REPORTED;
      if (more > 0) logger.warn("more certificates are not renewed", { more });
      reportedUntil = now;
      return Promise.resolve();
    },
  };
}

/** Parses the first certificate in a PEM text that this program wrote or checked. */
export function parseLeaf(certificatePem: string): CertificateFacts {
  const parsed = parseCertificate(findPemBlock(certificatePem)?.block.bytes ?? new Uint8Array());
  if (!parsed.ok) throw new Error(`cannot read back a certificate: ${parsed.error}`);
  return parsed.value;
}
