/**
 * Samples of each resource for the matrix: an object that exists, one that could be created, and a change. The matrix
 * fails if a resource has no sample, so add one here for a new resource.
 */
import type { CaRotation } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { KubeObject } from "../../../core/kube/meta.ts";
import { SECOND_TRUST_ANCHOR, TRUST_ANCHOR } from "../trust_anchor.ts";

/** Creates objects of a resource in one namespace or for one signer. */
export interface Sample {
  /** The namespace or the signer, for the row's heading. */
  readonly label: string;
  readonly namespace?: string;
  object(name: string): KubeObject;
  /** Reports whether the server has made the writes that follow the creation. */
  isSettled?(object: KubeObject): boolean;
}

/** The parts of samples that are generated. */
export interface SampleParts {
  /** A certificate request of `system:node:<name>`, base64. */
  request(name: string): string;
  /** A request for a certificate of a pod, base64 of DER. */
  readonly stubRequest: string;
  /** Any certificate, base64 of PEM: the API does not check its content. */
  readonly certificate: string;
}

/** The name of the existing object, and of its node. */
export const EXISTING = "n1";
/** The name of the object that does not exist, and of its node. */
export const ABSENT = "n3";

type Fields = Readonly<Record<string, unknown>>;
type Content = Fields | ((name: string) => Fields);

/** Creates the samples by the key of their route. */
export function createSamples(parts: SampleParts): Readonly<Record<string, readonly Sample[]>> {
  const csr = (signerName: string) => (name: string) => ({
    spec: { request: parts.request(name), signerName, usages: ["digital signature", "client auth"] },
  });
  const rbac = "rbac.authorization.k8s.io/v1";
  const everything = [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }];
  const boundToAdmin = {
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "mallory" }],
  };
  const question = { spec: { user: "root", resourceAttributes: { verb: "get", resource: "secrets" } } };
  const about = (namespace: string) => ({ kind: "Pod", namespace, name: "x", apiVersion: "v1" });
  return {
    configmaps: namespaced("v1", "ConfigMap", { data: { a: "b" } }, "kube-public"),
    secrets: namespaced("v1", "Secret", { stringData: { a: "b" } }, "kube-system"),
    serviceaccounts: namespaced("v1", "ServiceAccount", {}, "kube-system"),
    events: ["team", "default"].map((namespace) => {
      const content = { involvedObject: about(namespace), reason: "R", message: "m", type: "Normal", source: {} };
      return sample(namespace, "v1", "Event", content, namespace);
    }),
    "events.events.k8s.io": ["team", "default"].map((namespace) =>
      sample(
        namespace,
        "events.k8s.io/v1",
        "Event",
        {
          regarding: about(namespace),
          reason: "R",
          action: "A",
          type: "Normal",
          eventTime: "2026-01-01T00:00:00.000000Z",
          reportingController: "example.com/c",
          reportingInstance: "i",
        },
        namespace,
        // Both versions share one store, so their names must differ.
        "new-",
      )
    ),
    namespaces: [sample("", "v1", "Namespace", {})],
    nodes: [sample("", "v1", "Node", {})],
    "leases.coordination.k8s.io": namespaced(
      "coordination.k8s.io/v1",
      "Lease",
      { spec: { holderIdentity: "h", leaseDurationSeconds: 40 } },
      "kube-node-lease",
    ),
    "csinodes.storage.k8s.io": [sample("", "storage.k8s.io/v1", "CSINode", { spec: { drivers: [] } })],
    "revocations.tlsboot": [
      sample(
        "",
        "tlsboot/v1alpha1",
        "Revocation",
        (name) => ({ spec: { user: name, reason: "unspecified" } }),
        undefined,
        "user:",
      ),
    ],
    "carotations.tlsboot": [rotation()],
    "trustreports.tlsboot": [
      sample("", "tlsboot/v1alpha1", "TrustReport", { spec: { trusted: ["ab".repeat(32)] } }, undefined, "user:"),
    ],
    "roles.rbac.authorization.k8s.io": namespaced(rbac, "Role", { rules: everything }, "kube-system"),
    "rolebindings.rbac.authorization.k8s.io": namespaced(rbac, "RoleBinding", boundToAdmin, "kube-system"),
    "clusterroles.rbac.authorization.k8s.io": [sample("", rbac, "ClusterRole", { rules: everything })],
    "clusterrolebindings.rbac.authorization.k8s.io": [sample("", rbac, "ClusterRoleBinding", boundToAdmin)],
    "certificatesigningrequests.certificates.k8s.io": ["example.com/a", "kubernetes.io/kube-apiserver-client-kubelet"]
      .map((signer) =>
        sample(
          signer,
          "certificates.k8s.io/v1",
          "CertificateSigningRequest",
          csr(signer),
          undefined,
          toNamePrefix(signer),
        )
      ),
    "clustertrustbundles.certificates.k8s.io": [
      trustBundle("no signer", "", {}),
      trustBundle("example.com/a", "example.com:a:", { signerName: "example.com/a" }),
    ],
    "podcertificaterequests.certificates.k8s.io": namespaced(
      "certificates.k8s.io/v1",
      "PodCertificateRequest",
      {
        spec: {
          signerName: "example.com/a",
          podName: "x",
          podUID: "u",
          serviceAccountName: "default",
          serviceAccountUID: "u",
          nodeName: EXISTING,
          nodeUID: "u",
          stubPKCS10Request: parts.stubRequest,
        },
      },
      "kube-system",
    ),
    "selfsubjectreviews.authentication.k8s.io": [review("authentication.k8s.io/v1", "SelfSubjectReview", {})],
    "tokenreviews.authentication.k8s.io": [
      review("authentication.k8s.io/v1", "TokenReview", { spec: { token: "nobody-knows-me" } }),
    ],
    "subjectaccessreviews.authorization.k8s.io": [
      review("authorization.k8s.io/v1", "SubjectAccessReview", question),
    ],
    "localsubjectaccessreviews.authorization.k8s.io": ["team", "kube-system"].map((namespace) =>
      review("authorization.k8s.io/v1", "LocalSubjectAccessReview", {
        spec: { user: "root", resourceAttributes: { verb: "get", resource: "secrets", namespace } },
      }, namespace)
    ),
    "selfsubjectaccessreviews.authorization.k8s.io": [
      review("authorization.k8s.io/v1", "SelfSubjectAccessReview", {
        spec: { resourceAttributes: { verb: "get", resource: "secrets" } },
      }),
    ],
    "selfsubjectrulesreviews.authorization.k8s.io": [
      review("authorization.k8s.io/v1", "SelfSubjectRulesReview", { spec: { namespace: "team" } }),
    ],
  };
}

/** Creates the changes that are written to subresources of existing objects. */
export function createChanges({ certificate }: SampleParts): Readonly<Record<string, Fields>> {
  return {
    "certificatesigningrequests.certificates.k8s.io/approval": {
      status: { conditions: [{ type: "Approved", status: "True", reason: "R", message: "m" }] },
    },
    "certificatesigningrequests.certificates.k8s.io/status": { status: { certificate } },
    "carotations.tlsboot/status": { status: { servers: [{ name: "s", step: "Trust" }] } },
    "serviceaccounts/token": { spec: { audiences: ["matrix"] } },
    "podcertificaterequests.certificates.k8s.io/status": {
      status: {
        conditions: [
          { type: "Denied", status: "True", reason: "R", message: "m", lastTransitionTime: "2026-01-01T00:00:00Z" },
        ],
      },
    },
    "nodes/status": { status: { addresses: [{ type: "Hostname", address: "changed" }] } },
    "namespaces/status": { status: { phase: "Active" } },
    "namespaces/finalize": { spec: { finalizers: ["kubernetes"] } },
  };
}

function namespaced(apiVersion: string, kind: string, content: Content, other: string): readonly Sample[] {
  return ["team", other].map((namespace) => sample(namespace, apiVersion, kind, content, namespace));
}

function sample(
  label: string,
  apiVersion: string,
  kind: string,
  content: Content,
  namespace?: string,
  prefix = "",
): Sample {
  return {
    label,
    ...(namespace === undefined ? {} : { namespace }),
    object: (name) => ({
      apiVersion,
      kind,
      metadata: { name: `${prefix}${name}`, ...(namespace === undefined ? {} : { namespace }) },
      ...(typeof content === "function" ? content(name) : content),
    }),
  };
}

function trustBundle(label: string, prefix: string, signer: Fields): Sample {
  const content = { spec: { ...signer, trustBundle: TRUST_ANCHOR } };
  return sample(label, "certificates.k8s.io/v1", "ClusterTrustBundle", content, undefined, prefix);
}

/** A rotation, which must have the name of a CA. */
function rotation(): Sample {
  const names = new Map([[EXISTING, "ca"], [ABSENT, "client-ca"]]);
  const spec = { step: "Trust", isLeaked: true, oldCA: TRUST_ANCHOR, newCA: SECOND_TRUST_ANCHOR };
  const { label, object } = sample("", "tlsboot/v1alpha1", "CARotation", { spec });
  return {
    label,
    object: (name) => object(names.get(name) ?? name),
    // The server reports that neither CA is its own.
    isSettled: ({ status }: Partial<CaRotation>) =>
      status?.servers?.some(({ message }) => message !== undefined) === true,
  };
}

/** Creates a review without a name, because some reviews must not have one. */
function review(apiVersion: string, kind: string, content: Fields, namespace?: string): Sample {
  const label = namespace ?? "";
  const metadata = namespace === undefined ? {} : { namespace };
  return { label, ...metadata, object: () => ({ apiVersion, kind, metadata, ...content }) };
}

/** Returns a prefix for the names of a signer's CSRs, because both signers share one collection. */
function toNamePrefix(signer: string): string {
  return signer.startsWith("kubernetes.io/") ? "kubelet-" : "";
}
