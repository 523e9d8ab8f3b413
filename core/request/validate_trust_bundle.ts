/** The rules of ClusterTrustBundles (`pkg/apis/certificates/validation/validation.go`, `pkg/apis/core/validation/names.go`). */
import type { ClusterTrustBundle } from "../kube/kinds/certificates_v1.ts";
import { checkEach, type FieldError, invalid, tooLong } from "../kube/status/field_error.ts";
import { subdomainNameErrors } from "../kube/names.ts";
import { validateSignerName } from "./signer_name.ts";
import { encodeBase64 } from "../lib/encodings.ts";
import { byteLength } from "../lib/quote.ts";
import { parseCertificate } from "../pki/x509/certificate.ts";
import { parsePemBlocks, type PemBlock } from "../pki/asn1/pem.ts";

const MAX_TRUST_BUNDLE_BYTES = 1_048_576;
const SIGNER_NAME = "spec.signerName";
const TRUST_BUNDLE = "spec.trustBundle";

/** Returns the prefix of the names of a signer's bundles: `example.com:foo:` for the signer `example.com/foo`. */
export function toTrustBundlePrefix(signerName: string): string {
  return `${signerName.replaceAll("/", ":")}:`;
}

/** Returns the faults of a bundle's name; only the bundles of a signer have colons in their names. */
export function trustBundleNameErrors(
  name: string,
  prefix: boolean,
  { spec: { signerName = "" } }: ClusterTrustBundle,
): readonly string[] {
  if (signerName === "") {
    if (name.includes(":")) return ['ClusterTrustBundle without signer name must not have ":" in its name'];
    return subdomainNameErrors(name, prefix);
  }
  const required = toTrustBundlePrefix(signerName);
  if (!name.startsWith(required)) {
    return [`ClusterTrustBundle for signerName ${signerName} must be named with prefix ${required}`];
  }
  return subdomainNameErrors(name.slice(required.length), prefix);
}

/** Validates a new bundle apart from its metadata. */
export function validateTrustBundleCreate(
  { spec: { signerName = "", trustBundle } }: ClusterTrustBundle,
): FieldError[] {
  return [...validateSigner(signerName), ...validateCertificates(trustBundle)];
}

/** Validates a changed bundle. The name must still fit the signer; unchanged certificates are not parsed again. */
export function validateTrustBundleUpdate(bundle: ClusterTrustBundle, old: ClusterTrustBundle): FieldError[] {
  const { metadata: { name = "" }, spec: { signerName = "", trustBundle } } = bundle;
  return [
    ...trustBundleNameErrors(name, false, bundle).map((text) => invalid("metadata.name", name, text)),
    ...validateSigner(signerName),
    ...(trustBundle === old.spec.trustBundle ? [] : validateCertificates(trustBundle)),
    ...(signerName === (old.spec.signerName ?? "") ? [] : [invalid(SIGNER_NAME, signerName, "field is immutable")]),
  ];
}

function validateSigner(signerName: string): FieldError[] {
  return signerName === "" ? [] : validateSignerName(SIGNER_NAME, signerName);
}

function validateCertificates(trustBundle: string): FieldError[] {
  if (byteLength(trustBundle) > MAX_TRUST_BUNDLE_BYTES) return [tooLong(TRUST_BUNDLE, MAX_TRUST_BUNDLE_BYTES)];
  const blocks = parsePemBlocks(trustBundle);
  const faults = checkEach(blocks, (block, index) => {
    const fault = findBlockFault(block);
    return fault === undefined ? [] : [createFault(`entry ${index} ${fault}`)];
  });
  if (faults.length > 0) return faults;
  if (blocks.length === 0) return [createFault("at least one trust anchor must be provided")];
  const positions = Map.groupBy(blocks.keys(), (index) => encodeBase64(blocks[index]!.bytes));
  return [...positions.values()].filter(({ length }) => length > 1)
    .map((indices) => createFault(`duplicate trust anchor (indices [${indices.join(" ")}])`));
}

function findBlockFault({ label, headers, bytes }: PemBlock): string | undefined {
  if (label !== "CERTIFICATE") return `has bad block type: ${label}`;
  if (Object.keys(headers).length > 0) return "has PEM block headers";
  const certificate = parseCertificate(bytes);
  if (!certificate.ok) return "does not parse as X.509";
  return certificate.value.isCa ? undefined : "does not have the CA bit set";
}

/** The fault never contains the bundle, as upstream. */
function createFault(detail: string): FieldError {
  return invalid(TRUST_BUNDLE, "<value omitted>", detail);
}
