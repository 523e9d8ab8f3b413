/** Parses the file of a profile (`kind: SigningProfile`). Every unknown key is a fault. */
import { findUnknownUsages } from "../pki/x509/usages.ts";
import { validateSignerName } from "../request/signer_name.ts";
import {
  checkedText,
  duration,
  flag,
  integer,
  ipRange,
  mapping,
  nonEmptyListOf,
  oneOf,
  optionalKey,
  parseConfigDocument,
  requiredKey,
  type Shape,
  text,
} from "../lib/config_file.ts";
import { MIN_POD_EXPIRATION_SECONDS } from "../kube/kinds/certificates_v1.ts";
import { findDerValueFault } from "../pki/x509/extra_extensions.ts";
import { ML_DSA_NAMES } from "../pki/keys/key_algorithm.ts";
import { canonicalIp, parseIpAddress } from "../lib/ip_address.ts";
import { findDnsNameFault } from "../pki/x509/dns_name.ts";
import { isDocumentUrl } from "../pki/x509/uri.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { findDnsPatternFault, findEmailPatternFault, findUriPatternFault } from "./name_patterns.ts";
import { findProfileFaults } from "./profile_faults.ts";
import {
  type KeyRule,
  type NameRules,
  type PodRules,
  type ProfileSpec,
  type SubjectRules,
  type ValueRule,
} from "./profile_spec.ts";

/** The kind of a profile file. */
export const PROFILE_KIND = "SigningProfile";

/** The API's minimum of `expirationSeconds`. */
const LEAST_LIFE_MS = 600_000;
/** The largest extension, because a certificate is sent in every handshake. */
const MAX_EXTENSION_BYTES = 4_096;

/** The usages that only CA certificates may have (RFC 5280 §4.2.1.9). */
const CA_USAGES: readonly string[] = ["cert sign", "crl sign"];

const signerName = checkedText((value) => {
  const [fault] = validateSignerName("signerName", value);
  if (fault !== undefined) return `"${value}" is not a signer name; write domain/path, such as example.com/web`;
  return value.startsWith("kubernetes.io/") ? `"${value}" is Kubernetes' own; its rules cannot be changed` : undefined;
});
const usage = checkedText((value) => {
  if (findUnknownUsages([value]).length > 0) {
    return `"${value}" is not a key usage, such as "digital signature" or "server auth"`;
  }
  return CA_USAGES.includes(value) ? `"${value}" is for CAs; a signer issues no CA certificates` : undefined;
});
const url = checkedText((value) =>
  isDocumentUrl(value) ? undefined : `"${value}" is not a URL, such as http://pki.example.com/ca.crl`
);
const oid = checkedText((value) =>
  /^(?:[01]\.[1-3]?\d|2\.(?:0|[1-9]\d{0,14}))(?:\.(?:0|[1-9]\d{0,14}))+$/.test(value)
    ? undefined
    : `"${value}" is not an object identifier, such as 1.3.6.1.4.1.32473.1`
);
const der = checkedText((value) => {
  const bytes = parseHex(value);
  if (bytes === undefined) return "DER in hexadecimal expected, such as 30 03 02 01 05";
  if (bytes.length > MAX_EXTENSION_BYTES) return `at most ${MAX_EXTENSION_BYTES} bytes expected`;
  const fault = findDerValueFault(bytes);
  return fault === undefined ? undefined : `not one value of DER: ${fault}`;
});

const annotation = checkedText((value) =>
  /^[^/\s]+\/[^/\s]+$/.test(value) ? undefined : `"${value}" is not the key of an annotation, such as example.com/dns`
);

/** The keys of a list rule: patterns or exact values, and their number; for pods also the default and an annotation. */
function valueKeys(pattern: Shape<string>, value: Shape<string>) {
  return {
    allowed: optionalKey(nonEmptyListOf(pattern)),
    exactly: optionalKey(nonEmptyListOf(value)),
    min: optionalKey(integer(0)),
    max: optionalKey(integer(1)),
    default: optionalKey(nonEmptyListOf(value)),
    annotation: optionalKey(annotation),
  };
}

/** The rule of a single value. */
const oneText = mapping({
  allowed: optionalKey(nonEmptyListOf(text)),
  exactly: optionalKey(text),
  required: optionalKey(flag),
  default: optionalKey(text),
  annotation: optionalKey(annotation),
});
const texts = mapping(valueKeys(text, text));

const SUBJECT = {
  commonName: optionalKey(oneText),
  organizations: optionalKey(texts),
  organizationalUnits: optionalKey(texts),
  countries: optionalKey(texts),
  provinces: optionalKey(texts),
  localities: optionalKey(texts),
  streetAddresses: optionalKey(texts),
  postalCodes: optionalKey(texts),
  serialNumber: optionalKey(oneText),
};

const address = checkedText((value) =>
  parseIpAddress(value) === undefined ? `"${value}" is not an IP address` : undefined
);
/** Checks a text as it could be once its placeholders are filled in; `findProfileFaults` checks the placeholders. */
const filled = (check: (value: string) => string | undefined) =>
  checkedText((value) => check(value.replace(/\{[A-Za-z]+\}/g, "x")));
const dnsPattern = filled(findDnsPatternFault);
const exactDns = filled((value) => findDnsNameFault(value.replace(/^\*\./, "x.")));

const uriPattern = filled(findUriPatternFault);
const emailPattern = filled(findEmailPatternFault);

const KEY = mapping({
  type: requiredKey(oneOf(["RSA", "ECDSA", "Ed25519", ...ML_DSA_NAMES])),
  minBits: optionalKey(integer(1)),
  maxBits: optionalKey(integer(1)),
});

/** The allowed values of one fact of a pod. */
const podRule = mapping({ allowed: requiredKey(nonEmptyListOf(text)) });

const PROFILE = mapping({
  signerName: optionalKey(signerName),
  description: optionalKey(text),
  subject: optionalKey(mapping(SUBJECT)),
  names: optionalKey(mapping({
    dns: optionalKey(mapping({ ...valueKeys(dnsPattern, exactDns), wildcards: optionalKey(flag) })),
    ips: optionalKey(mapping(valueKeys(ipRange, address))),
    uris: optionalKey(mapping(valueKeys(uriPattern, text))),
    emails: optionalKey(mapping(valueKeys(emailPattern, text))),
    atLeastOne: optionalKey(flag),
  })),
  usages: requiredKey(mapping({
    allowed: requiredKey(nonEmptyListOf(usage)),
    required: optionalKey(nonEmptyListOf(usage)),
    default: optionalKey(nonEmptyListOf(usage)),
    annotation: optionalKey(annotation),
  })),
  lifetime: requiredKey(mapping({
    max: requiredKey(duration),
    default: optionalKey(duration),
    min: optionalKey(duration),
    refreshBefore: optionalKey(duration),
  })),
  keys: optionalKey(nonEmptyListOf(KEY)),
  extensions: optionalKey(mapping({
    ocsp: optionalKey(nonEmptyListOf(url)),
    caIssuers: optionalKey(nonEmptyListOf(url)),
    crl: optionalKey(nonEmptyListOf(url)),
    policies: optionalKey(nonEmptyListOf(mapping({ oid: requiredKey(oid), cps: optionalKey(url) }))),
    raw: optionalKey(
      nonEmptyListOf(mapping({ oid: requiredKey(oid), critical: optionalKey(flag), der: requiredKey(der) })),
    ),
  })),
  chain: optionalKey(flag),
  pods: optionalKey(mapping({
    namespace: requiredKey(podRule),
    serviceAccount: optionalKey(podRule),
    pod: optionalKey(podRule),
    node: optionalKey(podRule),
  })),
});

type ReadProfile = NonNullable<ReturnType<typeof PROFILE>>;

/** Parses a profile. The error lists every fault with its place. */
export function parseProfile(fileText: string): Result<ProfileSpec, readonly string[]> {
  const read = parseConfigDocument(fileText, PROFILE_KIND, checkedProfile);
  return read.ok ? ok(toProfileSpec(read.value)) : err(read.error);
}

/** Checks what the shape alone cannot express. */
const checkedProfile: Shape<ReadProfile> = (value, place) => {
  const before = place.faults.length;
  const profile = PROFILE(value, place);
  if (profile !== undefined && place.faults.length === before) {
    place.faults.push(...findProfileFaults(toProfileSpec(profile)));
  }
  return profile;
};

function toProfileSpec(read: ReadProfile): ProfileSpec {
  const { usages, lifetime, extensions = {}, pods } = read;
  const defaultMs = lifetime.default ?? lifetime.max;
  // A kubelet's request names no usages, so a pod gets all allowed ones unless the profile says otherwise.
  const defaultUsages = usages.default ?? (pods === undefined ? [] : usages.allowed);
  const leastMs = pods === undefined ? Math.min(LEAST_LIFE_MS, defaultMs) : MIN_POD_EXPIRATION_SECONDS * 1_000;
  return {
    ...(read.signerName === undefined ? {} : { signerName: read.signerName }),
    description: read.description ?? "",
    subject: toSubjectRules(read.subject ?? {}),
    names: toNameRules(read.names ?? {}),
    usages: {
      allowed: usages.allowed,
      required: usages.required ?? [],
      default: defaultUsages,
      ...(usages.annotation === undefined ? {} : { annotation: usages.annotation }),
    },
    lifetime: {
      maxMs: lifetime.max,
      defaultMs,
      minMs: lifetime.min ?? leastMs,
      ...(lifetime.refreshBefore === undefined ? {} : { refreshBeforeMs: lifetime.refreshBefore }),
    },
    keys: (read.keys ?? ANY_GOOD_KEY).map((rule) => ({ ...LEAST_BITS[rule.type], ...rule })),
    extensions: {
      ocsp: extensions.ocsp ?? [],
      caIssuers: extensions.caIssuers ?? [],
      crl: extensions.crl ?? [],
      policies: extensions.policies ?? [],
      raw: (extensions.raw ?? []).map((one) => ({
        oid: one.oid,
        critical: one.critical ?? false,
        der: parseHex(one.der) ?? new Uint8Array(0),
      })),
    },
    // Decision 8: Kubernetes has no custom signers, so nothing forbids to issue the intermediates too.
    chain: read.chain ?? true,
    ...(pods === undefined ? {} : { pods: toPodRules(pods) }),
  };
}

const ANY_GOOD_KEY: readonly KeyRule[] = [{ type: "RSA" }, { type: "ECDSA" }, { type: "Ed25519" }];
const LEAST_BITS: Readonly<Record<string, Partial<KeyRule>>> = { RSA: { minBits: 2_048 }, ECDSA: { minBits: 256 } };

function toSubjectRules({ commonName, serialNumber, ...lists }: NonNullable<ReadProfile["subject"]>): SubjectRules {
  const rules: { -readonly [Field in keyof SubjectRules]: SubjectRules[Field] } = {};
  if (commonName !== undefined) rules.commonName = singleRule(commonName);
  for (const [field, rule] of Object.entries(lists)) rules[field as keyof typeof lists] = valueRule(rule);
  if (serialNumber !== undefined) rules.serialNumber = singleRule(serialNumber);
  return rules;
}

function toNameRules({ dns, ips, uris, emails, atLeastOne }: NonNullable<ReadProfile["names"]>): NameRules {
  return {
    ...(dns === undefined ? {} : { dns: valueRule(dns) }),
    ...(ips === undefined ? {} : { ips: valueRule(ips, (value) => canonicalIp(value) ?? value) }),
    ...(uris === undefined ? {} : { uris: valueRule(uris) }),
    ...(emails === undefined ? {} : { emails: valueRule(emails) }),
    wildcards: dns?.wildcards ?? false,
    atLeastOne: atLeastOne ?? false,
  };
}

function toPodRules(rules: NonNullable<ReadProfile["pods"]>): PodRules {
  return Object.fromEntries(Object.entries(rules).map(([fact, { allowed }]) => [fact, allowed]));
}

function singleRule(read: NonNullable<ReturnType<typeof oneText>>): ValueRule {
  const { exactly, required: isRequired = false, default: fallback, ...rest } = read;
  return valueRule({
    ...rest,
    ...(exactly === undefined ? { max: 1 } : { exactly: [exactly] }),
    ...(isRequired ? { min: 1 } : {}),
    ...(fallback === undefined ? {} : { default: [fallback] }),
  });
}

function valueRule(
  { allowed, exactly, min, max, default: fallback, annotation }: NonNullable<ReturnType<typeof texts>>,
  canonical: (value: string) => string = (value) => value,
): ValueRule {
  return {
    allowed: allowed ?? [],
    ...(exactly === undefined ? {} : { exactly: exactly.map(canonical) }),
    min: min ?? 0,
    ...(max === undefined ? {} : { max }),
    ...(fallback === undefined ? {} : { default: fallback.map(canonical) }),
    ...(annotation === undefined ? {} : { annotation }),
  };
}

/** Parses hexadecimal, with or without spaces or colons between the bytes. */
function parseHex(value: string): Uint8Array<ArrayBuffer> | undefined {
  const digits = value.replace(/[\s:]/g, "");
  if (!/^(?:[0-9a-fA-F]{2})+$/.test(digits)) return undefined;
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
