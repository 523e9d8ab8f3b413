/** Core `v1` service accounts, the identities of programs. `token_requests.ts` issues their tokens. */
import type { ObjectReference, ServiceAccount } from "../../core/kube/kinds/core_v1.ts";
import { serviceAccountKind } from "../../core/kube/kinds/mod.ts";
import { subdomainNameErrors } from "../../core/kube/names.ts";
import { ageColumn, nameColumn } from "./columns.ts";
import { type Resource, STANDARD_VERBS } from "./resource.ts";

/** Service accounts; each namespace has one that is named `default`. */
export const serviceAccounts: Resource<ServiceAccount> = {
  kind: serviceAccountKind,
  verbs: STANDARD_VERBS,
  columns: [nameColumn, ageColumn],
  strategy: {
    checksGenerateName: true,
    validateName: subdomainNameErrors,
    prepareForCreate: prepareServiceAccount,
    prepareForUpdate: prepareServiceAccount,
    warn: getWarningsForServiceAccount,
  },
  deletion: { returnsObject: true },
};

const MOUNTABLE_SECRETS = "kubernetes.io/enforce-mountable-secrets";

/** Keeps only the names of referenced secrets, which are in the namespace of the account. */
function prepareServiceAccount(account: ServiceAccount): ServiceAccount {
  const { secrets } = account;
  return secrets === undefined ? account : { ...account, secrets: secrets.map(onlyName) };
}

/** Creates the warnings about a valid account: a deprecated annotation that was not there before. */
function getWarningsForServiceAccount(account: ServiceAccount, old: ServiceAccount | undefined): string[] {
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
