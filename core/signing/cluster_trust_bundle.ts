/**
 * The ClusterTrustBundles of signers: their validation by the API (`pkg/apis/certificates/validation/validation.go`,
 * `pkg/apis/core/validation/names.go`), and the plan by which a signer publishes its CAs
 * (`pkg/controller/certificates/clustertrustbundlepublisher/publisher.go`).
 */
import type { ClusterTrustBundle } from "../kube/kinds/certificates_v1.ts";
import { checkEach, type FieldError, invalid, tooLong } from "../kube/status/field_error.ts";
import { subdomainNameErrors } from "../kube/names.ts";
import { encodeBase64 } from "../lib/encodings.ts";
import { validateSignerName } from "../request/signer_name.ts";
import { byteLength } from "../lib/go_text.ts";
import { parseCertificate } from "../pki/x509/certificate.ts";
import { parsePemBlocks, type PemBlock } from "../pki/asn1/pem.ts";
import { hash } from "node:crypto";
import { getCreationMs, getName } from "../kube/meta.ts";

const MAX_TRUST_BUNDLE_BYTES = 1_048_576;
const SIGNER_NAME = "spec.signerName";
const TRUST_BUNDLE = "spec.trustBundle";

/** Returns the prefix of the names of a signer's bundles: `example.com:foo:` for the signer `example.com/foo`. */
function toTrustBundlePrefix(signerName: string): string {
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

/** As upstream, the fault never contains the bundle. */
function createFault(detail: string): FieldError {
  return invalid(TRUST_BUNDLE, "<value omitted>", detail);
}

/** The changes that make the trust bundles of a signer current: first the write, then the deletions. */
interface TrustBundlePlan {
  readonly write?: { readonly verb: "create" | "update"; readonly bundle: ClusterTrustBundle };
  /** The earlier bundles of the signer that are no longer needed. */
  readonly deletions: readonly ClusterTrustBundle[];
  /** The time until the next deletion of a kept bundle. */
  readonly keptForMs?: number;
}

export interface TrustBundleContent {
  readonly trustBundle: string;
  /** The wanted annotations with the prefix `tlsboot/`; others with that prefix are removed. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Plans one bundle with the given content, and the deletion of the signer's others. Upstream deletes them at once. With
 * `keepMs` they are kept for that long, so that certificates of an earlier CA are trusted until they are replaced.
 */
export function planTrustBundles(
  signerName: string,
  { trustBundle, annotations = {} }: TrustBundleContent,
  existing: readonly ClusterTrustBundle[],
  now: Date,
  keepMs = 0,
): TrustBundlePlan {
  const name = formatTrustBundleName(signerName, trustBundle);
  const spec = { signerName, trustBundle };
  const own = existing.filter((bundle) => bundle.spec.signerName === signerName);
  const present = own.find((bundle) => getName(bundle) === name);
  const others = own.filter((bundle) => bundle !== present).map((bundle) => {
    const replacedAt = present === undefined ? now.getTime() : Math.max(getCreationMs(present), getCreationMs(bundle));
    return { bundle, restMs: replacedAt + keepMs - now.getTime() };
  });
  const rests = others.map(({ restMs }) => restMs).filter((restMs) => restMs > 0);
  const plan = {
    deletions: others.filter(({ restMs }) => restMs <= 0).map(({ bundle }) => bundle),
    ...(rests.length === 0 ? {} : { keptForMs: Math.min(...rests) }),
  };
  const wanted = Object.keys(annotations).length === 0 ? {} : { annotations };
  if (present === undefined) {
    return { ...plan, write: { verb: "create", bundle: { metadata: { name, ...wanted }, spec } } };
  }
  const isAnnotated = JSON.stringify(listOwn(present).sort()) === JSON.stringify(Object.entries(annotations).sort());
  if (present.spec.trustBundle === trustBundle && isAnnotated) return plan;
  const foreign = Object.entries(present.metadata.annotations ?? {}).filter(([key]) => !key.startsWith(OWN_PREFIX));
  const metadata = { ...present.metadata, annotations: { ...Object.fromEntries(foreign), ...annotations } };
  return { ...plan, write: { verb: "update", bundle: { ...present, metadata, spec } } };
}

const OWN_PREFIX = "tlsboot/";

function listOwn({ metadata: { annotations = {} } }: ClusterTrustBundle): [string, string][] {
  return Object.entries(annotations).filter(([key]) => key.startsWith(OWN_PREFIX));
}

/** Returns the name of a bundle, such as `example.com:web:3f…`: the signer, and the first 12 bytes of a SHA-256. */
export function formatTrustBundleName(signerName: string, trustBundle: string): string {
  return `${toTrustBundlePrefix(signerName)}${hash("sha256", trustBundle).slice(0, 24)}`;
}
