/** Describes certificates, requests and keys. */
import { verifyRequest } from "../../core/request/parse_request.ts";
import { formatTime } from "../../core/kube/meta.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { formatKey, isMlDsa } from "../../core/pki/keys/key_algorithm.ts";
import { type PrivateKey, publicKeysEqual } from "../../core/pki/keys/keys.ts";
import { formatName } from "../../core/pki/x509/names.ts";
import type { RequestFacts } from "../../core/pki/x509/pkcs10.ts";
import { describeNameConstraints, formatValidity, getExtendedUsageName, getValidityState } from "./certificate_text.ts";
import { formatFingerprint } from "../../core/report/words.ts";

/** A certificate, request, key or kubeconfig that was found. */
export interface Inspection {
  /** The title in the output: `certificate "CN=…"`. */
  readonly title: string;
  /** The facts for people; one without a value is not shown. */
  readonly lines: readonly (readonly [title: string, value: string | undefined])[];
  /** The facts for `-o json`; they always include `kind`. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** The certificate, if it is one. */
  readonly certificate?: CertificateFacts;
  /** The private key, if it is one. */
  readonly key?: PrivateKey;
}

/** Describes a certificate for people and for `-o json`. */
export function describeCertificate(certificate: CertificateFacts, now: Date): Inspection {
  const { nameConstraints } = certificate;
  const extended = certificate.extendedKeyUsages.map(getExtendedUsageName);
  const unable = listUnable(certificate);
  return {
    title: `${certificate.isCa ? "CA certificate" : "certificate"} "${nameCertificate(certificate)}"`,
    lines: [
      ["Issuer", formatName(certificate.issuer)],
      ["Serial number", certificate.serialNumber],
      ["Key", formatKey(certificate)],
      ["Signature", certificate.signatureAlgorithm],
      ["Not verified by", unable?.join(", ")],
      ["Validity", formatValidity(certificate, now)],
      ["Usages", [...certificate.keyUsages, ...extended].join(", ")],
      ["Names", listNames(certificate).join(", ")],
      ["May issue for", nameConstraints && describeNameConstraints(nameConstraints)],
      ["SHA-256", formatFingerprint(certificate.sha256Fingerprint)],
    ],
    facts: {
      kind: "certificate",
      ...commonFacts(certificate),
      issuer: formatName(certificate.issuer),
      serialNumber: certificate.serialNumber,
      notVerifiedBy: unable,
      notBefore: formatTime(certificate.notBefore),
      notAfter: formatTime(certificate.notAfter),
      state: getValidityState(certificate, now),
      isCa: certificate.isCa,
      keyUsages: certificate.keyUsages,
      extendedKeyUsages: extended,
      nameConstraints,
      sha256Fingerprint: certificate.sha256Fingerprint,
    },
    certificate,
  };
}

/** Describes a certificate request for people and for `-o json`. */
export function describeRequestFacts(request: RequestFacts): Inspection {
  const signature = verifyRequest(request, { allowMlDsa: true });
  const unable = listUnable(request);
  const extensions = request.requestedExtensions.map(({ oid }) => oid);
  return {
    title: `certificate request "${formatName(request.subject)}"`,
    lines: [
      ["Key", formatKey(request)],
      ["Signature", `${request.signatureAlgorithm}, ${signature.ok ? "verified" : `not valid: ${signature.error}`}`],
      ["Not verified by", unable?.join(", ")],
      ["Names", listNames(request).join(", ")],
      ["Requested extensions", extensions.join(", ")],
    ],
    facts: {
      kind: "certificateRequest",
      ...commonFacts(request),
      isSignatureValid: signature.ok,
      notVerifiedBy: unable,
      requestedExtensions: extensions,
    },
  };
}

/** Describes a private key without showing it. */
export function describeKey(key: PrivateKey): Inspection {
  return {
    title: `private key ${formatKey({ keyAlgorithm: key.algorithm, keyBits: key.bits })}`,
    lines: [],
    facts: { kind: "privateKey", keyAlgorithm: key.algorithm, keyBits: key.bits },
    key,
  };
}

/** The programs that verify no signature of ML-DSA, neither of a certificate nor of its owner. */
const WITHOUT_ML_DSA = [
  "Go before 1.27 (Kubernetes 1.37 and older)",
  "OpenSSL before 3.5",
  "Node.js before 24.6",
  "Deno",
];

/** Lists the programs that cannot verify a certificate or a request; undefined for algorithms that all of them know. */
function listUnable({ keyAlgorithm, signatureAlgorithm }: CertificateFacts | RequestFacts) {
  return isMlDsa(keyAlgorithm) || isMlDsa(signatureAlgorithm) ? WITHOUT_ML_DSA : undefined;
}

/** A finding and the file that contains it. */
export interface FoundIn {
  readonly file: string;
  readonly finding: Inspection;
}

/** Adds to each key the certificate that it belongs to. */
export function relateKeys(all: readonly FoundIn[]): readonly FoundIn[] {
  const certificates = all.flatMap(({ file, finding: { certificate } }) => certificate ? [{ file, certificate }] : []);
  return all.map(({ file, finding }) => {
    const { key } = finding;
    if (key === undefined || certificates.length === 0) return { file, finding };
    const owners = certificates.filter(({ certificate }) =>
      publicKeysEqual(certificate.publicKeyDer, key.publicKeyDer())
    );
    const owner = owners.find((one) => one.file === file) ?? owners[0];
    const isAlone = certificates.every((one) => one.file === file);
    const belongs = owner === undefined
      ? `to no certificate in ${isAlone ? "this file" : "these files"}`
      : `to certificate "${nameCertificate(owner.certificate)}"${owner.file === file ? "" : ` in ${owner.file}`}`;
    return {
      file,
      finding: {
        ...finding,
        lines: [["Belongs", belongs], ...finding.lines],
        facts: {
          ...finding.facts,
          belongsToCertificate: owner !== undefined,
          certificate: owner?.certificate.sha256Fingerprint,
        },
      },
    };
  });
}

/** Describes a block that cannot be parsed. */
export function describeUnreadable(kind: string, error: string): Inspection {
  return {
    title: `unreadable ${kind === "unknown" ? "block" : kind}`,
    lines: [["Error", error]],
    facts: { kind, error },
  };
}

/** Names a certificate by its subject; one without a subject, as a pod may have, by its first name. */
function nameCertificate(certificate: CertificateFacts): string {
  return formatName(certificate.subject) || (listNames(certificate)[0] ?? "");
}

function listNames(facts: CertificateFacts | RequestFacts): readonly string[] {
  return [...facts.dnsNames, ...facts.ipAddresses, ...facts.emailAddresses, ...facts.uris];
}

function commonFacts(facts: CertificateFacts | RequestFacts): Readonly<Record<string, unknown>> {
  const { subject, keyAlgorithm, keyBits, signatureAlgorithm, dnsNames, ipAddresses, emailAddresses, uris } = facts;
  const names = { dnsNames, ipAddresses, emailAddresses, uris };
  return { subject: formatName(subject), keyAlgorithm, keyBits, signatureAlgorithm, ...names };
}
