/** The resource of core `v1` secrets. */
import { isLimitedToken, withCreator, withKeptRecords } from "../../core/token/bound_token.ts";
import { BOOTSTRAP_TOKEN_NAMESPACE } from "../../core/token/token_secret.ts";
import { decodeCanonicalBase64 } from "../../core/kube/wire/base64.ts";
import type { SecretObject } from "../../core/kube/kinds/core_v1.ts";
import { secretKind } from "../../core/kube/kinds/mod.ts";
import { subdomainNameErrors } from "../../core/kube/names.ts";
import { defaultSecret, validateSecretCreate, validateSecretUpdate } from "../../core/kube/rules/secrets.ts";
import type { KeyAlgorithmOptions } from "../../core/pki/keys/key_algorithm.ts";
import { findTlsPairFault } from "./tls_pair.ts";
import type { Storage, Stored } from "../storage/storage.ts";
import { ageColumn, nameColumn, textColumn } from "./columns.ts";
import { type Resource, STANDARD_VERBS } from "./resource.ts";
import { withMeta } from "./write.ts";

/** The prefix of the storage keys of the Secrets in kube-system, among them those of bootstrap tokens. */
export const TOKEN_SECRETS_PREFIX = `/registry/secrets/${BOOTSTRAP_TOKEN_NAMESPACE}/`;

/** Reads a Secret of kube-system from a storage by its name, such as that of a bootstrap token. */
export async function findTokenSecret(
  storage: Pick<Storage, "get">,
  name: string,
): Promise<Stored<SecretObject> | undefined> {
  // Every object below this prefix has passed the strategy of Secrets.
  return await storage.get(`${TOKEN_SECRETS_PREFIX}${name}`) as Stored<SecretObject> | undefined;
}

/** Returns a Secret of kube-system by its name as far as this server knows it. */
export function findKnownTokenSecret(
  storage: Pick<Storage, "getKnown">,
  name: string,
): Stored<SecretObject> | undefined {
  return storage.getKnown(`${TOKEN_SECRETS_PREFIX}${name}`) as Stored<SecretObject> | undefined;
}

/**
 * Finds the Secret of a bootstrap token that has limits, in its newest state; undefined for any other token. A token without
 * limits is nearly always known to have none, and then etcd is not asked.
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

/** Creates the resource of Secrets; with ML-DSA, a TLS Secret of such a key gets no warning. */
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

/** Creates the warnings about a valid Secret: a TLS certificate and key that do not belong together. */
function getWarningsForSecret(secret: SecretObject, options: KeyAlgorithmOptions): string[] {
  if (secret.type !== "kubernetes.io/tls") return [];
  const decodeValue = (key: string) => new TextDecoder().decode(decodeCanonicalBase64(secret.data?.[key] ?? ""));
  const fault = findTlsPairFault(decodeValue("tls.crt"), decodeValue("tls.key"), options);
  return fault === undefined ? [] : [fault];
}
