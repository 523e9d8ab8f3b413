/** Parses the file of a profile (`kind: SigningProfile`). Every unknown key is a fault. */
import { findUnknownUsages } from "../pki/x509/usages.ts";
import { validateSignerName } from "../request/signer_name.ts";
import {
  checkedText,
  defaultKey,
  duration,
  fault,
  flag,
  integer,
  ipRange,
  mapped,
  mapping,
  nonEmptyListOf,
  oneOf,
  optionalKey,
  parseConfigDocument,
  requiredKey,
  type Shape,
  text,
} from "../lib/config_file.ts";
import { MIN_EXPIRATION_SECONDS, MIN_POD_EXPIRATION_SECONDS } from "../kube/kinds/constants.ts";
import { findDerValueFault } from "../pki/x509/certificate_extensions.ts";
import { ML_DSA_NAMES } from "../pki/keys/key_names.ts";
import { canonicalIp } from "../lib/ip_address.ts";
import { findDnsNameFault, isDocumentUrl } from "../pki/x509/name_syntax.ts";
import type { Result } from "../lib/result.ts";
import { findDnsPatternFault, findEmailPatternFault, findUriPatternFault } from "./custom_profile.ts";
import {
  type ExtensionRules,
  findProfileFaults,
  type KeyRule,
  type NameRules,
  type ProfileSpec,
  type SubjectRules,
  type ValueRule,
} from "./profile_spec.ts";
import { decodeHex } from "../lib/encodings.ts";

const PROFILE_KIND = "SigningProfile";

/** The largest size of an extension, because every handshake contains the certificate. */
const MAX_EXTENSION_BYTES = 4_096;

/** The usages that only CA certificates may have (RFC 5280 §4.2.1.9). */
const CA_USAGES: readonly string[] = ["cert sign", "crl sign"];

const signerName = checkedText((value) => {
  const [wrong] = validateSignerName("signerName", value);
  if (wrong !== undefined) return `"${value}" is not a signer name; write domain/path, such as example.com/web`;
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
const der = mapped(text, (value, place) => {
  const digits = value.replace(/[\s:]/g, "");
  const bytes = decodeHex(digits);
  if (!/^(?:[0-9a-fA-F]{2})+$/.test(digits)) {
    return fault(place, "want DER in hexadecimal, such as 30 03 02 01 05");
  }
  if (bytes.length > MAX_EXTENSION_BYTES) return fault(place, `want at most ${MAX_EXTENSION_BYTES} bytes`);
  const wrong = findDerValueFault(bytes);
  return wrong === undefined ? bytes : fault(place, `not one value of DER: ${wrong}`);
});

const annotation = checkedText((value) =>
  /^[^/\s]+\/[^/\s]+$/.test(value) ? undefined : `"${value}" is not the key of an annotation, such as example.com/dns`
);

/** The rule of a list: patterns or exact values, and their number; for pods also the default and an annotation. */
function values(pattern: Shape<string>, value: Shape<string>) {
  return {
    allowed: defaultKey(nonEmptyListOf(pattern), []),
    exactly: optionalKey(nonEmptyListOf(value)),
    min: defaultKey(integer(0), 0),
    max: optionalKey(integer(1)),
    default: optionalKey(nonEmptyListOf(value)),
    annotation: optionalKey(annotation),
  };
}

/** The rule of a single value. */
const oneText: Shape<ValueRule> = mapped(
  mapping({
    allowed: defaultKey(nonEmptyListOf(text), []),
    exactly: optionalKey(mapped(text, (value) => [value])),
    required: defaultKey(flag, false),
    default: optionalKey(mapped(text, (value) => [value])),
    annotation: optionalKey(annotation),
  }),
  ({ required: isRequired, ...rule }) => ({
    ...rule,
    min: isRequired ? 1 : 0,
    ...(rule.exactly === undefined ? { max: 1 } : {}),
  }),
);
const texts = mapping(values(text, text));

const SUBJECT: Shape<SubjectRules> = mapping({
  commonName: optionalKey(oneText),
  organizations: optionalKey(texts),
  organizationalUnits: optionalKey(texts),
  countries: optionalKey(texts),
  provinces: optionalKey(texts),
  localities: optionalKey(texts),
  streetAddresses: optionalKey(texts),
  postalCodes: optionalKey(texts),
  serialNumber: optionalKey(oneText),
});

const address = mapped(text, (value, place) => canonicalIp(value) ?? fault(place, `"${value}" is not an IP address`));
/** Checks a text with sample values in place of its placeholders, which `findProfileFaults` checks. */
const filled = (check: (value: string) => string | undefined) =>
  checkedText((value) => check(value.replace(/\{[A-Za-z]+\}/g, "x")));
const dnsPattern = filled(findDnsPatternFault);
const exactDns = filled((value) => findDnsNameFault(value.replace(/^\*\./, "x.")));

const uriPattern = filled(findUriPatternFault);
const emailPattern = filled(findEmailPatternFault);

const LEAST_BITS: Readonly<Record<string, Partial<KeyRule>>> = { RSA: { minBits: 2_048 }, ECDSA: { minBits: 256 } };
const KEY: Shape<KeyRule> = mapped(
  mapping({
    type: requiredKey(oneOf(["RSA", "ECDSA", "Ed25519", ...ML_DSA_NAMES])),
    minBits: optionalKey(integer(1)),
    maxBits: optionalKey(integer(1)),
  }),
  withLeastBits,
);

function withLeastBits(rule: KeyRule): KeyRule {
  return { ...LEAST_BITS[rule.type], ...rule };
}

/** The allowed values of one fact of a pod. */
const podRule = mapped(mapping({ allowed: requiredKey(nonEmptyListOf(text)) }), ({ allowed }) => allowed);

const NAMES: Shape<NameRules> = mapped(
  mapping({
    dns: optionalKey(mapping({ ...values(dnsPattern, exactDns), wildcards: defaultKey(flag, false) })),
    ips: optionalKey(mapping(values(ipRange, address))),
    uris: optionalKey(mapping(values(uriPattern, text))),
    emails: optionalKey(mapping(values(emailPattern, text))),
    atLeastOne: defaultKey(flag, false),
  }),
  ({ dns, ...rest }) => {
    const { wildcards, ...rule } = dns ?? { wildcards: false };
    return { ...rest, ...("allowed" in rule ? { dns: rule } : {}), wildcards };
  },
);

const EXTENSIONS: Shape<ExtensionRules> = mapping({
  ocsp: defaultKey(nonEmptyListOf(url), []),
  caIssuers: defaultKey(nonEmptyListOf(url), []),
  crl: defaultKey(nonEmptyListOf(url), []),
  policies: defaultKey(nonEmptyListOf(mapping({ oid: requiredKey(oid), cps: optionalKey(url) })), []),
  raw: defaultKey(
    nonEmptyListOf(mapping({ oid: requiredKey(oid), critical: defaultKey(flag, false), der: requiredKey(der) })),
    [],
  ),
});

const PROFILE = mapping({
  signerName: optionalKey(signerName),
  description: defaultKey(text, ""),
  subject: defaultKey(SUBJECT, {}),
  names: defaultKey(NAMES, { wildcards: false, atLeastOne: false }),
  usages: requiredKey(mapping({
    allowed: requiredKey(nonEmptyListOf(usage)),
    required: defaultKey(nonEmptyListOf(usage), []),
    default: optionalKey(nonEmptyListOf(usage)),
    annotation: optionalKey(annotation),
  })),
  lifetime: requiredKey(mapping({
    max: requiredKey(duration),
    default: optionalKey(duration),
    min: optionalKey(duration),
    refreshBefore: optionalKey(duration),
  })),
  keys: defaultKey(
    nonEmptyListOf(KEY),
    (["RSA", "ECDSA", "Ed25519"] as const).map((type) => withLeastBits({ type })),
  ),
  extensions: defaultKey(EXTENSIONS, { ocsp: [], caIssuers: [], crl: [], policies: [], raw: [] }),
  // Kubernetes has no custom signers, so nothing forbids issuing the intermediates too (decision 8).
  chain: defaultKey(flag, true),
  pods: optionalKey(mapping({
    namespace: requiredKey(podRule),
    serviceAccount: optionalKey(podRule),
    pod: optionalKey(podRule),
    node: optionalKey(podRule),
  })),
});

/** Parses a profile. The error lists every fault with its place. */
export function parseProfile(fileText: string): Result<ProfileSpec, readonly string[]> {
  return parseConfigDocument(fileText, PROFILE_KIND, checkedProfile);
}

/** Sets the defaults that depend on other keys, and checks what the types cannot express. */
const checkedProfile = mapped(PROFILE, (read, place) => {
  const { usages, lifetime: { max, min, refreshBefore, default: defaultMs = max }, pods } = read;
  const leastMs = pods === undefined
    ? Math.min(MIN_EXPIRATION_SECONDS * 1_000, defaultMs)
    : MIN_POD_EXPIRATION_SECONDS * 1_000;
  const spec: ProfileSpec = {
    ...read,
    // A kubelet's request has no usages, so a pod gets all allowed ones unless the profile says otherwise.
    usages: { ...usages, default: usages.default ?? (pods === undefined ? [] : usages.allowed) },
    lifetime: {
      maxMs: max,
      defaultMs,
      minMs: min ?? leastMs,
      ...(refreshBefore === undefined ? {} : { refreshBeforeMs: refreshBefore }),
    },
  };
  place.faults.push(...findProfileFaults(spec));
  return spec;
});
