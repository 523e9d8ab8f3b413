/** Certificates, requests and keys in words. */
import { verifyRequest } from "../../core/csr/request.ts";
import { formatTime } from "../../core/kube/meta.ts";
import type { CertificateFacts } from "../../core/pki/certificate.ts";
import { type PrivateKey, publicKeysEqual } from "../../core/pki/keys.ts";
import { formatName } from "../../core/pki/names.ts";
import type { RequestFacts } from "../../core/pki/pkcs10.ts";
import { constraintsText } from "./constraints_text.ts";
import { extendedUsageName } from "./extended_usage_name.ts";
import { fingerprintText, keyText, validityState, validityText } from "./certificate_text.ts";
import type { Finding } from "./inspect_bytes.ts";

/** A certificate. */
export function describeCertificate(certificate: CertificateFacts, now: Date): Finding {
  const subject = formatName(certificate.subject);
  const names = namesOf(certificate);
  const extended = certificate.extendedKeyUsages.map(extendedUsageName);
  const usages = [...certificate.keyUsages, ...extended];
  const state = validityState(certificate, now);
  return {
    title: `${certificate.isCa ? "CA certificate" : "certificate"} "${subject}"`,
    lines: [
      ["Issuer", formatName(certificate.issuer)],
      ["Serial number", certificate.serialNumber],
      ["Key", keyText(certificate)],
      ["Signature", certificate.signatureAlgorithm],
      ["Validity", validityText(certificate, now)],
      ...(usages.length === 0 ? [] : [["Usages", usages.join(", ")] as const]),
      ...(names.length === 0 ? [] : [["Names", names.join(", ")] as const]),
      ...(certificate.nameConstraints === undefined
        ? []
        : [["May issue for", constraintsText(certificate.nameConstraints)] as const]),
      ["SHA-256", fingerprintText(certificate.sha256Fingerprint)],
    ],
    facts: {
      kind: "certificate",
      subject,
      issuer: formatName(certificate.issuer),
      serialNumber: certificate.serialNumber,
      keyAlgorithm: certificate.keyAlgorithm,
      keyBits: certificate.keyBits,
      signatureAlgorithm: certificate.signatureAlgorithm,
      notBefore: formatTime(certificate.notBefore),
      notAfter: formatTime(certificate.notAfter),
      state,
      isCa: certificate.isCa,
      keyUsages: certificate.keyUsages,
      extendedKeyUsages: extended,
      ...alternativeNames(certificate),
      ...(certificate.nameConstraints === undefined ? {} : { nameConstraints: certificate.nameConstraints }),
      sha256Fingerprint: certificate.sha256Fingerprint,
    },
    isOutdated: state !== "valid",
  };
}

/** A request. */
export function describeRequestFacts(request: RequestFacts): Finding {
  const subject = formatName(request.subject);
  const signature = verifyRequest(request);
  const names = namesOf(request);
  const extensions = request.requestedExtensions.map(({ oid }) => oid);
  return {
    title: `certificate request "${subject}"`,
    lines: [
      ["Key", keyText(request)],
      ["Signature", `${request.signatureAlgorithm}, ${signature.ok ? "verified" : `not valid: ${signature.error}`}`],
      ...(names.length === 0 ? [] : [["Names", names.join(", ")] as const]),
      ...(extensions.length === 0 ? [] : [["Requested extensions", extensions.join(", ")] as const]),
    ],
    facts: {
      kind: "certificateRequest",
      subject,
      keyAlgorithm: request.keyAlgorithm,
      keyBits: request.keyBits,
      signatureAlgorithm: request.signatureAlgorithm,
      isSignatureValid: signature.ok,
      ...alternativeNames(request),
      requestedExtensions: extensions,
    },
    isOutdated: false,
  };
}

/** A private key: what it is, and which of the certificates beside it is its own. */
export function describeKey(key: PrivateKey, beside: readonly CertificateFacts[]): Finding {
  const owner = beside.find((certificate) => publicKeysEqual(certificate.publicKeyDer, key.publicKeyDer()));
  const words = keyText({ keyAlgorithm: key.algorithm, keyBits: key.bits });
  const belongs = owner === undefined
    ? (beside.length === 0 ? undefined : "to no certificate in this file")
    : `to certificate "${formatName(owner.subject)}"`;
  return {
    title: `private key ${words}`,
    lines: belongs === undefined ? [] : [["Belongs", belongs]],
    facts: {
      kind: "privateKey",
      keyAlgorithm: key.algorithm,
      keyBits: key.bits,
      ...(owner === undefined ? {} : { certificate: owner.sha256Fingerprint }),
    },
    isOutdated: false,
  };
}

/** Something that looks like one of them and is not. */
export function describeUnreadable(kind: string, error: string): Finding {
  return {
    title: `unreadable ${kind === "unknown" ? "block" : kind}`,
    lines: [["Error", error]],
    facts: { kind, error },
    isOutdated: false,
  };
}

function namesOf(facts: CertificateFacts | RequestFacts): readonly string[] {
  return [...facts.dnsNames, ...facts.ipAddresses, ...facts.emailAddresses, ...facts.uris];
}

function alternativeNames(facts: CertificateFacts | RequestFacts): Readonly<Record<string, unknown>> {
  return {
    dnsNames: facts.dnsNames,
    ipAddresses: facts.ipAddresses,
    emailAddresses: facts.emailAddresses,
    uris: facts.uris,
  };
}
