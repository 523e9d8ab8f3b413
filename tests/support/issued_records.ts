/** Registers of issued certificates with a valid hash chain. */
import { X509Certificate } from "node:crypto";
import type { IssuedCertificate, IssuedCertificateSpec } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { createRecord, formatRecordName, getChainHash } from "../../core/register/record.ts";
import { REGISTER_PREFIX } from "../../server/register/register.ts";
import type { Storage } from "../../server/storage/storage.ts";

/** The fields of a record that a test sets. */
export type RecordEdit = Partial<Omit<IssuedCertificateSpec, "sequence" | "previousHash" | "removed">> & {
  readonly status?: IssuedCertificate["status"];
};

/** Creates a register with a record for each edit, by default of the node `n<sequence>`. */
export function createRecords(edits: readonly RecordEdit[]): readonly IssuedCertificate[] {
  let previousHash: string | undefined;
  return edits.map(({ status = {}, issuedAt, replaces, ...edit }, index) => {
    const sequence = index + 1;
    const description = {
      serialNumber: `aaaa${sequence.toString(16).padStart(8, "0")}${"0".repeat(28)}`,
      fingerprint: `ffff${sequence.toString(16).padStart(60, "0")}`,
      issuer: "CN=tlsboot",
      signerName: "kubernetes.io/kube-apiserver-client-kubelet",
      subject: `O=system:nodes,CN=system:node:n${sequence}`,
      notBefore: "2026-01-01T00:00:00Z",
      notAfter: "2027-01-01T00:00:00Z",
      source: "CertificateSigningRequest",
      ...edit,
    } as const;
    const spec = createRecord(description, {
      sequence,
      issuedAt: new Date(issuedAt ?? "2026-01-01T00:05:00Z"),
      ...(replaces === undefined ? {} : { replaces }),
      ...(previousHash === undefined ? {} : { previousHash }),
    });
    previousHash = getChainHash(spec);
    return { metadata: { name: formatRecordName(sequence) }, spec, status };
  });
}

/** Formats records as the log of a signer. */
export function formatIssuedLog(records: readonly IssuedCertificate[]): string {
  return records.map(({ spec, status }) => `${JSON.stringify({ spec, status })}\n`).join("");
}

/** Returns the serial number as a record has it, with two digits for each byte. Deno omits a leading zero. */
export function getRecordedSerial(certificate: X509Certificate | string): string {
  const { serialNumber } = typeof certificate === "string" ? new X509Certificate(certificate) : certificate;
  const digits = serialNumber.toLowerCase().replace(/^0+/, "");
  return digits.padStart(digits.length + digits.length % 2, "0");
}

/** Returns the records of a storage in the order of their sequence. */
export async function readChain(storage: Storage): Promise<readonly IssuedCertificate[]> {
  return (await storage.list(REGISTER_PREFIX)).items.map(({ object }) => object as IssuedCertificate);
}
