/** The rules of service accounts (`pkg/registry/core/serviceaccount/strategy.go`); only their metadata is validated. */
import type { ObjectReference, ServiceAccount } from "../core_v1.ts";

const MOUNTABLE_SECRETS = "kubernetes.io/enforce-mountable-secrets";

/** Keeps only the names of referenced secrets, which are in the namespace of the account. */
export function prepareServiceAccount(account: ServiceAccount): ServiceAccount {
  const { secrets } = account;
  return secrets === undefined ? account : { ...account, secrets: secrets.map(onlyName) };
}

/** Creates the warnings about a valid account: a deprecated annotation that was not there before. */
export function getWarningsForServiceAccount(account: ServiceAccount, old: ServiceAccount | undefined): string[] {
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
