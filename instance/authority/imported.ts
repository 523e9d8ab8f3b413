/** Reads a CA from the operator's files, and checks it before it is used. */
import type { FilePort } from "../../client/files.ts";
import { readPrivateFile } from "../../client/private_file.ts";
import { AppError } from "../../core/errors.ts";
import { formatTime } from "../../core/kube/meta.ts";
import { type Authority, joinAuthority, parseAuthorityCertificates } from "../../core/pki/authority/authority.ts";
import { type CertificateChain, isSelfSigned } from "../../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { createCaKey, type PrivateKey } from "../../core/pki/keys/keys.ts";
import { formatName } from "../../core/pki/x509/names.ts";
import { type CaKeys, openProgramKey } from "./keys.ts";
import { TLS_USAGE_OID } from "../../core/pki/x509/usages.ts";

/** A CA from two files, checked. */
interface ImportedAuthority {
  readonly authority: Authority;
  /** The key as text and opened; undefined when a program has it. */
  readonly key: { readonly pem: string; readonly opened: PrivateKey } | undefined;
}

/** The hints for files of a CA that do not exist. */
interface CaFileHints {
  readonly certificate: string;
  readonly key: string;
}

const IMPORT_HINTS: CaFileHints = {
  certificate: "check the path of the setting caCert",
  key: "name the key with the setting caKey, or make one with: tlsboot ca request --out FILE",
};

/** The minimum size of an RSA key of a CA (NIST SP 800-57 part 1: 112 bits of security). */
const MIN_RSA_BITS = 2048;
/** The usages that a CA of a data directory needs, and the setting for a CA that lacks one of them. */
const NEEDED_USAGES = [
  [TLS_USAGE_OID.client, "clients", "the setting clusterSigningKubeletServingCertFile"],
  [TLS_USAGE_OID.server, "servers", "the setting clusterSigningKubeApiserverClientCertFile"],
] as const;

/**
 * Reads and checks a CA: CA:TRUE, keyCertSign, path lengths, dates, strength, order and signatures of the chain up to its
 * root, and that the key belongs to the certificate. Throws AppError `not_found`, `file_permissions`, `ca_invalid`,
 * `ca_expired`, `passphrase_missing` and `passphrase_wrong`.
 */
export async function readImportedAuthority(
  paths: { readonly certificate: string; readonly key: string | undefined },
  now: Date,
  { files, keys }: { readonly files: FilePort; readonly keys: CaKeys },
  hints: CaFileHints = IMPORT_HINTS,
): Promise<ImportedAuthority> {
  const certificatePem = await files.readText(paths.certificate);
  if (certificatePem === undefined) {
    throw new AppError("not_found", `cannot read "${paths.certificate}": file does not exist`, {
      hint: hints.certificate,
    });
  }
  const hint = "give the CA first, followed by its issuers, and the CA's key";
  const certificates = parseAuthorityCertificates(certificatePem);
  if (!certificates.ok) throw createRefusal(paths.certificate, certificates.error, hint);
  assertUsable(certificates.value, paths.certificate, now);
  const key = paths.key === undefined ? undefined : await readKey(paths.key, hints.key, files, keys);
  const caKey = key === undefined ? await openProgramKey(paths.certificate, keys) : createCaKey(key.opened);
  const authority = await joinAuthority(certificates.value, caKey);
  if (!authority.ok) throw createRefusal(paths.certificate, authority.error, hint);
  return { authority: authority.value, key };
}

async function readKey(
  path: string,
  hint: string,
  files: FilePort,
  keys: CaKeys,
): Promise<{ readonly pem: string; readonly opened: PrivateKey }> {
  const pem = await readPrivateFile(path, files, { what: `"${path}"`, hint });
  const key = await keys.openKey(pem, path);
  if (!key.ok) throw createRefusal(path, key.error, "give the PEM file of the CA's key");
  return { pem, opened: key.value };
}

function assertUsable(chain: CertificateChain, path: string, now: Date): void {
  const certificates = [chain.certificate, ...chain.issuers];
  for (const certificate of certificates) {
    const { notBefore, notAfter } = certificate;
    const name = quoteSubject(certificate);
    if (now > notAfter) {
      throw new AppError("ca_expired", `cannot use the CA in "${path}": ${name} expired at ${formatTime(notAfter)}`, {
        hint: "give a valid CA with valid issuers",
      });
    }
    if (now < notBefore) {
      const why = `${name} is not valid before ${formatTime(notBefore)}`;
      throw createRefusal(path, why, "check this machine's clock, or wait until the certificate is valid");
    }
    if (certificate.keyAlgorithm === "RSA" && certificate.keyBits < MIN_RSA_BITS) {
      const why = `the RSA key of ${name} has ${certificate.keyBits} bits, want ${MIN_RSA_BITS} or more`;
      throw createRefusal(path, why, "give a CA with a stronger key");
    }
    for (const [oid, holders, setting] of NEEDED_USAGES) {
      const { extendedKeyUsages } = certificate;
      if (
        extendedKeyUsages.length === 0 || extendedKeyUsages.includes(TLS_USAGE_OID.any) ||
        extendedKeyUsages.includes(oid)
      ) {
        continue;
      }
      const why = `the extended key usages of ${name} do not allow certificates of ${holders}`;
      throw createRefusal(
        path,
        why,
        `give a CA without extended key usages, or start the server with it in ${setting}`,
      );
    }
  }
  const top = certificates.at(-1);
  if (top === undefined || isSelfSigned(top)) return;
  const why = `the issuer of ${quoteSubject(top)} is missing: "${formatName(top.issuer)}"`;
  throw createRefusal(path, why, "put each issuer after the certificate that it issued, up to the root");
}

function quoteSubject({ subject }: CertificateFacts): string {
  return `"${formatName(subject)}"`;
}

function createRefusal(path: string, why: string, hint: string): AppError {
  return new AppError("ca_invalid", `cannot use the CA in "${path}": ${why}`, { hint });
}
