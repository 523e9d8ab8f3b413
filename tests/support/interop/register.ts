/** The register of issued certificates as kubectl reads it. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import type { IssuedCertificate } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { parseCaBundle } from "../../../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../../../core/pki/x509/certificate.ts";
import { verifyRecords } from "../../../core/register/verify.ts";
import type { Kubectl } from "./kubectl.ts";

/** The records, and the newest of them that a seal covers. */
interface ReadRegister {
  readonly items: readonly IssuedCertificate[];
  readonly sealedUpTo: { readonly name: string } | undefined;
}

/** Reads the register, which must verify with the CA in a file. */
export async function readRegister(kubectl: Kubectl, caPath: string): Promise<ReadRegister> {
  const { items } = JSON.parse(await kubectl.run("get", "issuedcertificates", "--output=json")) as {
    readonly items: readonly IssuedCertificate[];
  };
  const { fault, sealedUpTo } = await verifyRecords(items, { cas: parseCertificates(await readFile(caPath, "utf8")) });
  assert.equal(fault, undefined);
  return { items, sealedUpTo };
}

/** Parses the certificates of a PEM text. */
export function parseCertificates(pem: string): readonly CertificateFacts[] {
  const parsed = parseCaBundle(pem);
  assert.ok(parsed.ok);
  return parsed.value;
}
