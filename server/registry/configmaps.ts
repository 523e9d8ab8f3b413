/** The resource of core `v1` configmaps. */
import type { ConfigMap } from "../../core/kube/kinds/core_v1.ts";
import { configMapKind } from "../../core/kube/kinds/mod.ts";
import { subdomainNameErrors } from "../../core/kube/names.ts";
import { validateConfigMapCreate, validateConfigMapUpdate } from "../../core/kube/rules/secrets.ts";
import { ageColumn, nameColumn, textColumn } from "./columns.ts";
import { type Resource, STANDARD_VERBS } from "./resource.ts";

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
