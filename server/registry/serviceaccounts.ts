/** Core `v1` service accounts, the identities of programs. Their tokens are not issued here. */
import type { ServiceAccount } from "../../core/kube/core_v1.ts";
import { serviceAccountKind } from "../../core/kube/kinds/mod.ts";
import { subdomainNameErrors } from "../../core/kube/names.ts";
import { getWarningsForServiceAccount, prepareServiceAccount } from "../../core/kube/validation/serviceaccounts.ts";
import { ageColumn, nameColumn } from "./columns.ts";
import { type Resource, STANDARD_VERBS } from "./resource.ts";
import { createPlainStrategy } from "./strategies.ts";

/** Service accounts; each namespace has one that is named `default`. */
export const serviceAccounts: Resource<ServiceAccount> = {
  kind: serviceAccountKind,
  verbs: STANDARD_VERBS,
  columns: [nameColumn, ageColumn],
  selectableFields: [],
  strategy: createPlainStrategy<ServiceAccount>({
    checksGenerateName: true,
    validateName: subdomainNameErrors,
    prepareForCreate: prepareServiceAccount,
    prepareForUpdate: prepareServiceAccount,
    warn: getWarningsForServiceAccount,
  }),
  subresources: [],
  deletion: { answersObject: true },
};
