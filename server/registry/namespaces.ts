/** Core `v1` namespaces. Deletion is not served: nothing here empties a namespace. */
import type { Namespace } from "../../core/kube/core_v1.ts";
import { namespaceKind } from "../../core/kube/kinds/mod.ts";
import { labelNameErrors } from "../../core/kube/names.ts";
import {
  defaultNamespace,
  prepareNamespaceForCreate,
  prepareNamespaceForUpdate,
  validateNamespaceCreate,
  validateNamespaceUpdate,
} from "../../core/kube/validation/namespaces.ts";
import { ageColumn, nameColumn, textColumn } from "./columns.ts";
import { type Resource, STANDARD_VERBS } from "./resource.ts";
import { plainStrategy } from "./strategies.ts";

/** Scopes of names. */
export const namespaces: Resource<Namespace> = {
  kind: namespaceKind,
  verbs: STANDARD_VERBS.filter((verb) => verb !== "delete" && verb !== "deletecollection"),
  columns: [
    nameColumn,
    textColumn<Namespace>("Status", "Active or terminating.", (namespace) => namespace.status.phase ?? ""),
    ageColumn,
  ],
  selectableFields: ["status.phase", "name"],
  selectField: (namespace, field) => field === "name" ? namespace.metadata.name ?? "" : namespace.status.phase ?? "",
  strategy: plainStrategy<Namespace>({
    validateName: labelNameErrors,
    applyDefaults: defaultNamespace,
    prepareForCreate: prepareNamespaceForCreate,
    prepareForUpdate: prepareNamespaceForUpdate,
    validateCreate: validateNamespaceCreate,
    validateUpdate: validateNamespaceUpdate,
  }),
  subresources: [],
};
