/** The resource `certificates.k8s.io/v1` clustertrustbundles: root certificates that every client may read. */
import type { ClusterTrustBundle } from "../../core/kube/kinds/certificates_v1.ts";
import { clusterTrustBundleKind } from "../../core/kube/kinds/mod.ts";
import {
  trustBundleNameErrors,
  validateTrustBundleCreate,
  validateTrustBundleUpdate,
} from "../../core/signing/cluster_trust_bundle.ts";
import { nameColumn, textColumn } from "./columns.ts";
import { type Resource, STANDARD_VERBS } from "./resource.ts";

/** The trust bundles of signers, and those without a signer. */
export const clusterTrustBundles: Resource<ClusterTrustBundle> = {
  kind: clusterTrustBundleKind,
  // `pkg/kubeapiserver/default_storage_factory_builder.go`: so that a kube-apiserver 1.36 can read them.
  storedVersion: "v1beta1",
  verbs: STANDARD_VERBS,
  columns: [
    nameColumn,
    textColumn("SignerName", "The signer of the certificates.", ({ spec }) => spec.signerName ?? "<none>"),
  ],
  selectableFields: ["spec.signerName"],
  selectField: ({ spec }) => spec.signerName ?? "",
  strategy: {
    checksGenerateName: true,
    validateName: trustBundleNameErrors,
    validateCreate: validateTrustBundleCreate,
    validateUpdate: validateTrustBundleUpdate,
    needsResourceVersion: true,
  },
};
