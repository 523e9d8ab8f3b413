/** The register of issued certificates of an instance, and the records of the certificates that it issues for itself. */
import { parseCertificate } from "../../core/pki/certificate.ts";
import type { Authority } from "../../core/pki/authority.ts";
import type { CertificateFacts } from "../../core/pki/certificate.ts";
import { findPemBlock } from "../../core/pki/pem.ts";
import { Register } from "../../server/register/register.ts";
import { RegisterUpkeep } from "../../server/register/upkeep.ts";
import { type Storage, WriteRefusedError } from "../../server/storage/storage.ts";
import type { InstanceDeps } from "./deps.ts";
import type { Part } from "./parts.ts";

/** The origin of a certificate of the instance itself. */
export type OwnSource = "ca" | "kubeconfig" | "serving";

/** The register of an instance. */
export interface InstanceRegister extends Part {
  readonly register: Register;
  /** Records a certificate of the instance itself before it is used, once. Throws as the storage. */
  record(certificate: CertificateFacts, source: OwnSource): Promise<void>;
  /** Records a certificate that is in use already; a full storage is logged, and the next minute tries again. */
  recordUsed(certificate: CertificateFacts, source: OwnSource): Promise<void>;
}

/** Opens the register, whose CA seals it, and keeps it up until it is disposed. */
export async function openRegister(
  { storage, authority, retentionMs }: {
    readonly storage: Storage;
    readonly authority: Authority;
    readonly retentionMs: number;
  },
  { clock, random, logger }: InstanceDeps,
): Promise<InstanceRegister> {
  const register = await Register.open({ storage, clock, random });
  const upkeep = new RegisterUpkeep({ storage, register, authority, retentionMs, clock, logger });
  let refused: (() => Promise<void>)[] = [];

  async function recordUsed(certificate: CertificateFacts, source: OwnSource): Promise<void> {
    try {
      await register.ensureRecorded(certificate, source);
    } catch (error) {
      if (!(error instanceof WriteRefusedError)) throw error;
      // What exists must be served although the storage is full.
      logger.error("a certificate of this server is not in the register", { source, error });
      refused.push(() => recordUsed(certificate, source));
    }
  }

  return {
    register,
    record: (certificate, source) => register.ensureRecorded(certificate, source),
    recordUsed,
    async renew() {
      const again = refused;
      refused = [];
      for (const attempt of again) await attempt();
      await upkeep.renew();
    },
    async [Symbol.asyncDispose]() {
      await upkeep[Symbol.asyncDispose]();
      register[Symbol.dispose]();
    },
  };
}

/** Parses the first certificate of a PEM text that this program has written or checked. */
export function parseLeaf(certificatePem: string): CertificateFacts {
  const parsed = parseCertificate(findPemBlock(certificatePem)?.block.bytes ?? new Uint8Array());
  if (!parsed.ok) throw new Error(`cannot read back a certificate: ${parsed.error}`);
  return parsed.value;
}
