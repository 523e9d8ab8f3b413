/** Service accounts (`pkg/registry/core/serviceaccount/strategy.go`). All that is checked of them is their metadata. */
import type { ObjectReference, ServiceAccount } from "../core_v1.ts";

const MOUNTABLE_SECRETS = "kubernetes.io/enforce-mountable-secrets";

/** Of a reference to a secret only its name is kept: it lives in the namespace of the account. */
export function prepareServiceAccount(account: ServiceAccount): ServiceAccount {
  const { secrets } = account;
  return secrets === undefined ? account : { ...account, secrets: secrets.map(onlyName) };
}

/** What a client should know of an account that is accepted: an annotation that is on its way out, when it is new. */
export function warnOfServiceAccount(account: ServiceAccount, old: ServiceAccount | undefined): string[] {
  const has = ({ metadata }: ServiceAccount) => Object.hasOwn(metadata.annotations ?? {}, MOUNTABLE_SECRETS);
  if (!has(account) || (old !== undefined && has(old))) return [];
  return [
    `metadata.annotations[${MOUNTABLE_SECRETS}]: deprecated in v1.32+; prefer separate namespaces to isolate access to ` +
    "mounted secrets",
  ];
}

function onlyName({ name = "" }: ObjectReference): ObjectReference {
  return name === "" ? {} : { name };
}
