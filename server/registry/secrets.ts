/**
 * Core `v1` configmaps and secrets. The certificate and key of a TLS Secret should match. A mismatch is reported with
 * the errors of Go's `tls.X509KeyPair`.
 */
import { SYSTEM_NAMESPACE } from "../../core/kube/meta.ts";
import { isLimitedToken, withCreator, withKeptRecords } from "../../core/token/bound_token.ts";
import { decodeCanonicalBase64 } from "../../core/kube/wire/scalars.ts";
import type { ConfigMap, SecretObject } from "../../core/kube/kinds/core_v1.ts";
import { configMapKind, secretKind } from "../../core/kube/kinds/mod.ts";
import { subdomainNameErrors } from "../../core/kube/names.ts";
import {
  defaultSecret,
  validateConfigMapCreate,
  validateConfigMapUpdate,
  validateSecretCreate,
  validateSecretUpdate,
} from "../../core/kube/rules/secrets.ts";
import { isMlDsa, isPrivateKeyAlgorithm, type KeyAlgorithmOptions } from "../../core/pki/keys/key_names.ts";
import { parsePrivateKey, publicKeysEqual } from "../../core/pki/keys/keys.ts";
import { parseCertificate } from "../../core/pki/x509/certificate.ts";
import { encodePem, parsePemBlocks, type PemBlock } from "../../core/pki/asn1/pem.ts";
import type { Storage, Stored } from "../storage/storage.ts";
import { ageColumn, nameColumn, type Resource, STANDARD_VERBS, textColumn } from "./resource.ts";
import { withMeta } from "./write.ts";

/** The prefix of the storage keys of Secrets in kube-system, which include bootstrap tokens. */
export const TOKEN_SECRETS_PREFIX = `/registry/secrets/${SYSTEM_NAMESPACE}/`;

/** Reads a Secret of kube-system from a storage by its name, such as that of a bootstrap token. */
export async function findTokenSecret(
  storage: Pick<Storage, "get">,
  name: string,
): Promise<Stored<SecretObject> | undefined> {
  // Every object below this prefix has passed the strategy of Secrets.
  return await storage.get(`${TOKEN_SECRETS_PREFIX}${name}`) as Stored<SecretObject> | undefined;
}

/** Returns the state of a kube-system Secret that this server knows, which may not be the newest. */
export function findKnownTokenSecret(
  storage: Pick<Storage, "getKnown">,
  name: string,
): Stored<SecretObject> | undefined {
  return storage.getKnown(`${TOKEN_SECRETS_PREFIX}${name}`) as Stored<SecretObject> | undefined;
}

/**
 * Finds the Secret of a bootstrap token that has limits, in its newest state; undefined for any other token. A token
 * without limits is nearly always known to have none, which saves a request to etcd.
 */
export async function findLimitedToken(
  storage: Pick<Storage, "get" | "getKnown">,
  name: string,
): Promise<Stored<SecretObject> | undefined> {
  const known = findKnownTokenSecret(storage, name);
  if (known !== undefined && !isLimitedToken(known.object)) return undefined;
  const stored = await findTokenSecret(storage, name);
  return stored !== undefined && isLimitedToken(stored.object) ? stored : undefined;
}

/** Secrets, which include the bootstrap tokens, with the warnings of kube-apiserver 1.37. */
export const secrets: Resource<SecretObject> = createSecretResource({});

/** Creates the resource of Secrets. If ML-DSA is allowed, a TLS Secret with such a key gets no warning. */
export function createSecretResource(options: KeyAlgorithmOptions): Resource<SecretObject> {
  return {
    kind: secretKind,
    verbs: STANDARD_VERBS,
    columns: [
      nameColumn,
      textColumn("Type", "What the secret is for.", (secret) => secret.type ?? ""),
      textColumn("Data", "How many entries it has.", (secret) => Object.keys(secret.data ?? {}).length),
      ageColumn,
    ],
    selectableFields: ["type"],
    selectField: (secret) => secret.type ?? "",
    strategy: {
      checksGenerateName: true,
      validateName: subdomainNameErrors,
      applyDefaults: defaultSecret,
      validateCreate: validateSecretCreate,
      validateUpdate: validateSecretUpdate,
      warn: (secret) => getWarningsForSecret(secret, options),
      prepareForCreate: (secret, { user, now }) =>
        withMeta(secret, { annotations: withCreator(secret, user.username, now) }),
      prepareForUpdate: (secret, stored) => withMeta(secret, { annotations: withKeptRecords(secret, stored) }),
    },
  };
}

/** Creates the warnings about a valid Secret: a TLS certificate and key that do not match. */
function getWarningsForSecret(secret: SecretObject, options: KeyAlgorithmOptions): string[] {
  if (secret.type !== "kubernetes.io/tls") return [];
  const decodeValue = (key: string) => new TextDecoder().decode(decodeCanonicalBase64(secret.data?.[key] ?? ""));
  const fault = findTlsPairFault(decodeValue("tls.crt"), decodeValue("tls.key"), options);
  return fault === undefined ? [] : [fault];
}

/** Finds the fault of a certificate and its key. The message contains nothing of the key. */
export function findTlsPairFault(
  certificatePem: string,
  keyPem: string,
  { allowMlDsa = false }: KeyAlgorithmOptions = {},
): string | undefined {
  const certificates = parsePemBlocks(certificatePem);
  const leaf = certificates.find(({ label }) => label === "CERTIFICATE");
  if (leaf === undefined) return formatMissingCertificate(certificates.map(({ label }) => label));
  const keys = parsePemBlocks(keyPem);
  const block = keys.find(isPrivateKey);
  if (block === undefined) return formatMissingKey(keys.map(({ label }) => label));
  const certificate = parseCertificate(leaf.bytes);
  if (!certificate.ok) return certificate.error;
  const key = parsePrivateKey(encodePem(block.label, block.bytes));
  // kube-apiserver 1.37 is built with a Go before 1.27, which parses no ML-DSA keys.
  if (!key.ok || (isMlDsa(key.value.algorithm) && !allowMlDsa)) return "tls: failed to parse private key";
  const { publicKey } = certificate.value;
  const isKnown = isPrivateKeyAlgorithm(publicKey.algorithm) && (allowMlDsa || !isMlDsa(publicKey.algorithm));
  if (!isKnown) return "tls: unknown public key algorithm";
  if (publicKey.algorithm !== key.value.algorithm) return "tls: private key type does not match public key type";
  const fits = publicKeysEqual(certificate.value.publicKeyDer, key.value.publicKeyDer());
  return fits ? undefined : "tls: private key does not match public key";
}

function isPrivateKey({ label }: PemBlock): boolean {
  return label === "PRIVATE KEY" || label.endsWith(" PRIVATE KEY");
}

function formatMissingCertificate(labels: readonly string[]): string {
  if (labels.length === 0) return "tls: failed to find any PEM data in certificate input";
  if (labels.length === 1 && labels[0]?.endsWith("PRIVATE KEY")) {
    return "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may " +
      "have been switched";
  }
  return 'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following ' +
    `types: [${labels.join(" ")}]`;
}

function formatMissingKey(labels: readonly string[]): string {
  if (labels.length === 0) return "tls: failed to find any PEM data in key input";
  if (labels.length === 1 && labels[0] === "CERTIFICATE") {
    return "tls: found a certificate rather than a key in the PEM for the private key";
  }
  return 'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the ' +
    `following types: [${labels.join(" ")}]`;
}

/** Plain data, such as `kube-public/cluster-info`. */
export const configMaps: Resource<ConfigMap> = {
  kind: configMapKind,
  verbs: STANDARD_VERBS,
  columns: [
    nameColumn,
    textColumn(
      "Data",
      "How many entries it has.",
      (map) => Object.keys(map.data ?? {}).length + Object.keys(map.binaryData ?? {}).length,
    ),
    ageColumn,
  ],
  strategy: {
    checksGenerateName: true,
    validateName: subdomainNameErrors,
    validateCreate: validateConfigMapCreate,
    validateUpdate: validateConfigMapUpdate,
  },
};
