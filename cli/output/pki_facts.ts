/** Describes certificates, with their validity, usages and name constraints, and requests and keys. */
import { verifyRequest } from "../../core/request/parse_request.ts";
import { formatTime } from "../../core/kube/meta.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { formatKey, isMlDsa } from "../../core/pki/keys/key_names.ts";
import { type PrivateKey, publicKeysEqual } from "../../core/pki/keys/keys.ts";
import { formatName } from "../../core/pki/x509/names.ts";
import type { RequestFacts } from "../../core/pki/x509/pkcs10.ts";
import { formatFingerprint } from "../../core/report/words.ts";
import { toExtendedKeyUsageOids } from "../../core/pki/x509/usages.ts";
import { KEY_USAGES } from "../../core/kube/kinds/constants.ts";
import { formatHumanDuration } from "../../core/lib/duration.ts";
import { listAlternativeNames } from "../../core/pki/x509/subject_alternative_names.ts";
import type { NameConstraints, NameSubtrees } from "../../core/pki/x509/name_constraints.ts";

/** The description of a certificate, request, key or kubeconfig. */
export interface Inspection {
  /** The title in the output: `certificate "CN=…"`. */
  readonly title: string;
  /** The facts for people. Those without a value are not shown. */
  readonly lines: readonly (readonly [title: string, value: string | undefined])[];
  /** The facts for `-o json`; they always include `kind`. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** The certificate, if a certificate is described. */
  readonly certificate?: CertificateFacts;
  /** The private key, if a private key is described. */
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
      ["Names", listAlternativeNames(certificate).join(", ")],
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
      ["Names", listAlternativeNames(request).join(", ")],
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

/** Programs that cannot verify ML-DSA signatures. */
const WITHOUT_ML_DSA = [
  "Go before 1.27 (Kubernetes 1.37 and older)",
  "OpenSSL before 3.5",
  "Node.js before 24.6",
  "Deno",
];

/** Lists the programs that cannot verify a certificate or a request; undefined if all can. */
function listUnable({ keyAlgorithm, signatureAlgorithm }: CertificateFacts | RequestFacts) {
  return isMlDsa(keyAlgorithm) || isMlDsa(signatureAlgorithm) ? WITHOUT_ML_DSA : undefined;
}

/** A description and the file that it is from. */
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

/** Returns the subject of a certificate, or its first name if it has no subject, like those of pods. */
function nameCertificate(certificate: CertificateFacts): string {
  return formatName(certificate.subject) || (listAlternativeNames(certificate)[0] ?? "");
}

function commonFacts(facts: CertificateFacts | RequestFacts): Readonly<Record<string, unknown>> {
  const { subject, keyAlgorithm, keyBits, signatureAlgorithm, dnsNames, ipAddresses, emailAddresses, uris } = facts;
  const names = { dnsNames, ipAddresses, emailAddresses, uris };
  return { subject: formatName(subject), keyAlgorithm, keyBits, signatureAlgorithm, ...names };
}

/** The validity period of a certificate. */
interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** Reports whether a validity period has begun and whether it has ended. */
function getValidityState(validity: Validity, now: Date): "valid" | "expired" | "not yet valid" {
  if (now < validity.notBefore) return "not yet valid";
  return now > validity.notAfter ? "expired" : "valid";
}

/** Formats a validity period: `from … to …, valid for 364d more`. */
export function formatValidity(validity: Validity, now: Date): string {
  const range = `from ${formatTime(validity.notBefore)} to ${formatTime(validity.notAfter)}`;
  switch (getValidityState(validity, now)) {
    case "valid":
      return `${range}, valid for ${formatHumanDuration(validity.notAfter.getTime() - now.getTime())} more`;
    case "expired":
      return `${range}, expired ${formatHumanDuration(now.getTime() - validity.notAfter.getTime())} ago`;
    case "not yet valid":
      return `${range}, not valid for another ${formatHumanDuration(validity.notBefore.getTime() - now.getTime())}`;
  }
}

const NAME_OF: ReadonlyMap<string, string> = new Map(
  KEY_USAGES.flatMap((usage) => toExtendedKeyUsageOids([usage]).map((oid) => [oid, usage] as const)).reverse(),
);

/** Returns the name of an extended key usage in the API, such as `client auth`; the OID when the API has no name for it. */
export function getExtendedUsageName(oid: string): string {
  return NAME_OF.get(oid) ?? oid;
}

const KINDS: readonly (readonly [key: keyof NameSubtrees, what: string])[] = [
  ["dnsNames", "DNS names"],
  ["ipRanges", "IP addresses"],
  ["emailAddresses", "email addresses"],
  ["uris", "URIs of"],
];

/** Describes name constraints: `DNS names example.org and below; IP addresses 10.0.0.0/8; other kinds of names freely`. */
export function describeNameConstraints({ permitted, excluded }: NameConstraints): string {
  const free = KINDS.filter(([key]) => permitted[key].length === 0);
  const allowed = KINDS.filter(([key]) => permitted[key].length > 0).map(([key, what]) => {
    return `${what} ${permitted[key].map((subtree) => describeSubtree(key, subtree)).join(", ")}`;
  });
  const refused = KINDS.filter(([key]) => excluded[key].length > 0).map(([key, what]) => {
    return `not for ${what} ${excluded[key].map((subtree) => describeSubtree(key, subtree)).join(", ")}`;
  });
  const rest = free.length === 0 ? [] : [allowed.length === 0 ? "any name" : "other kinds of names freely"];
  return [...allowed, ...rest, ...refused].join("; ");
}

function describeSubtree(key: keyof NameSubtrees, subtree: string): string {
  if (subtree === "") return "of any kind";
  if (key === "ipRanges" || subtree.includes("@")) return subtree;
  return subtree.startsWith(".") ? `below ${subtree.slice(1)}` : `${subtree} and below`;
}
