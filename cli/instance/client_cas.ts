/** Whose client certificates the API believes: the CAs of the instance, and those of `--client-ca-file`. */
import { resolve } from "node:path";
import { AppError } from "../../core/errors.ts";
import { encodeCertificates, parseAuthorityChain } from "../../core/pki/authority_chain.ts";
import { parseCaBundle } from "../../core/pki/ca_bundle.ts";
import type { CertificateFacts } from "../../core/pki/certificate.ts";
import type { FilePort } from "../../client/files.ts";
import type { ClientCa } from "../authority/instance_authorities.ts";

/** Bundles, PEM. */
export interface ClientCas {
  /** Certificates that these have issued are believed. */
  readonly trusted: string;
  /** Those above them: the TLS layer wants to see a chain end, but what else they have issued is not believed. */
  readonly issuers: string;
}

/**
 * Each CA of the instance, as it was read at the start and as its file has it by now, and a bundle of others. AppError `io`, `ca_invalid` for a bundle
 * that cannot be read; a file of the instance that cannot is passed over.
 */
export async function readClientCas(
  own: readonly ClientCa[],
  clientCaFile: string | undefined,
  deps: { readonly files: FilePort; readonly cwd: string },
): Promise<ClientCas> {
  const trusted: CertificateFacts[] = [];
  const issuers: CertificateFacts[] = [];
  for (const { chain, certificateFile } of own) {
    trusted.push(chain.certificate);
    issuers.push(...chain.issuers);
    const current = parseAuthorityChain(await deps.files.readText(certificateFile) ?? "");
    if (!current.ok) continue;
    trusted.push(current.value.certificate);
    issuers.push(...current.value.issuers);
  }
  const others = clientCaFile === undefined ? [] : await readBundle(clientCaFile, deps);
  return { trusted: encodeOnce([...trusted, ...others]), issuers: encodeOnce(issuers) };
}

async function readBundle(
  path: string,
  { files, cwd }: { readonly files: FilePort; readonly cwd: string },
): Promise<readonly CertificateFacts[]> {
  const pem = await files.readText(resolve(cwd, path));
  if (pem === undefined) {
    throw new AppError("io", `cannot read "${path}": no such file`, { hint: "check the path" });
  }
  const bundle = parseCaBundle(pem);
  if (bundle.ok) return bundle.value;
  throw new AppError("ca_invalid", `cannot use client CA file "${path}": ${bundle.error}`, {
    hint: "give a file with one or more PEM CERTIFICATE blocks",
  });
}

function encodeOnce(certificates: readonly CertificateFacts[]): string {
  const known = new Map(certificates.map((certificate) => [certificate.sha256Fingerprint, certificate]));
  return encodeCertificates([...known.values()]);
}
