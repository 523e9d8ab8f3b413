/** The permissions that an attestor needs at an API server, and those of its tokens. */
import { clusterRoleBindingKind } from "../kube/kinds/mod.ts";
import { allow, bindRole, createManifest, type ManifestPart, manifestPart, toGroupSubject } from "../rbac/manifest.ts";
import { CLUSTER_INFO_NAME, CLUSTER_INFO_NAMESPACE } from "../token/cluster_info.ts";
import { BOOTSTRAP_TOKEN_NAMESPACE } from "../token/token_secret.ts";

/** The group of the tokens of attestors. It is no group of kubeadm, whose tokens may request any node's certificate. */
export const ATTESTED_GROUP = "system:bootstrappers:attested";

/** The name of the Secret with the keys that the replicas of an attestor share. */
export const ATTESTOR_SECRET = "tlsboot-attestor";

const ROLE = "tlsboot:attestor";

/** Creates the manifest of an attestor and of the group of its tokens. */
export function createAttestorManifest(): readonly ManifestPart[] {
  return [
    ...createManifest("What `tlsboot attestor` needs at a Kubernetes API server.", "tlsboot-attestor", [
      {
        comment: "It asks whether requests with its tokens would be approved for any node.",
        object: { metadata: { name: ROLE }, rules: [allow("create", "authorization.k8s.io", "subjectaccessreviews")] },
      },
      {
        comment: "It creates tokens and the Secret with its own keys. It cannot read any other Secret.",
        object: {
          metadata: { name: ROLE, namespace: BOOTSTRAP_TOKEN_NAMESPACE },
          // RBAC cannot restrict create by name, because the name is not known at authorization.
          rules: [allow("create", "core", "secrets"), allow("get", "core", "secrets", ATTESTOR_SECRET)],
        },
      },
      {
        comment: "It reads the address and the CA of the cluster.",
        object: {
          metadata: { name: `${ROLE}-cluster-info`, namespace: CLUSTER_INFO_NAMESPACE },
          rules: [allow("get", "core", "configmaps", CLUSTER_INFO_NAME)],
        },
      },
      {
        comment: "It records refused proofs as Events; those about nodes are in this namespace.",
        object: {
          metadata: { name: `${ROLE}-events`, namespace: "default" },
          rules: [allow("create", "core", "events")],
        },
      },
    ]),
    manifestPart(
      clusterRoleBindingKind,
      "What the machines need: to create certificate signing requests and to read them.",
      bindRole(
        { metadata: { name: "system:node-bootstrapper" } },
        toGroupSubject(ATTESTED_GROUP),
        "tlsboot:attested-bootstrapper",
      ),
    ),
  ];
}
