/** The resource of core `v1` configmaps. */
import type { ConfigMap } from "../../core/kube/kinds/core_v1.ts";
import { configMapKind } from "../../core/kube/kinds/mod.ts";
import { subdomainNameErrors } from "../../core/kube/names.ts";
import { validateConfigMapCreate, validateConfigMapUpdate } from "../../core/kube/rules/secrets.ts";
import { ageColumn, nameColumn } from "./columns.ts";
import { createPlainStrategy, type Resource, STANDARD_VERBS } from "./resource.ts";

/** Plain data, such as `kube-public/cluster-info`. */
export const configMaps: Resource<ConfigMap> = {
  kind: configMapKind,
  verbs: STANDARD_VERBS,
  columns: [
    nameColumn,
    {
      name: "Data",
      type: "string",
      format: "",
      priority: 0,
      description: "How many entries it has.",
      cell: (map) => Object.keys(map.data ?? {}).length + Object.keys(map.binaryData ?? {}).length,
    },
    ageColumn,
  ],
  selectableFields: [],
  strategy: createPlainStrategy<ConfigMap>({
    checksGenerateName: true,
    validateName: subdomainNameErrors,
    validateCreate: validateConfigMapCreate,
    validateUpdate: validateConfigMapUpdate,
  }),
  subresources: [],
};
