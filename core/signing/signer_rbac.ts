/**
 * The permissions that a signer needs at an API server. They are the same for `--print-rbac`, `docs/rbac/signer.yaml`
 * and the custom signers of `tlsboot up`.
 */
import { SYSTEM_NAMESPACE } from "../kube/meta.ts";
import { hash } from "node:crypto";
import type { ClusterRole, Role } from "../kube/kinds/rbac_v1.ts";
import { allow, createManifest, leaseRole, type ManifestPart, notifierRole } from "../rbac/manifest.ts";
import { CERTIFICATES_GROUP } from "../kube/kinds/constants.ts";

/** The options of a signer that determine its permissions. */
interface SignerRbacOptions {
  readonly signerNames: readonly string[];
  /** Whether it signs for pods and publishes its CAs; by default, it signs CertificateSigningRequests. */
  readonly isForPods?: boolean;
  readonly names: SignerObjectNames;
  /** Whether the signer sends notifications. */
  readonly notifies?: boolean;
  /** The namespace of its Lease; undefined without leader election. */
  readonly leaseNamespace: string | undefined;
}

/** The names of a signer's objects at an API. */
interface SignerObjectNames {
  readonly serviceAccount: string;
  /** The name of its roles and bindings. */
  readonly role: string;
  readonly lease: string;
}

const MAX_NAME = 253;

/**
 * Creates the object names for the chosen signer names; the list is empty for Kubernetes' signers. Signers with
 * different names, or for pods and other requests, must not share a leader election or overwrite each other's
 * permissions.
 */
export function createSignerObjectNames(chosen: readonly string[], isForPods = false): SignerObjectNames {
  const command = isForPods ? "pod-signer" : "signer";
  const words = [...chosen].sort().map((name) => name.replace("/", ".")).join(".");
  const suffix = words.length <= MAX_NAME - `tlsboot-${command}.`.length ? words : hash("sha256", words).slice(0, 16);
  const account = suffix === "" ? `tlsboot-${command}` : `tlsboot-${command}.${suffix}`;
  return {
    serviceAccount: account,
    lease: account,
    role: suffix === "" ? `tlsboot:${command}` : `tlsboot:${command}:${suffix}`,
  };
}

/** Creates the manifest in the order in which it is applied. */
export function createSignerManifest(
  { signerNames, isForPods = false, names, notifies = false, leaseNamespace }: SignerRbacOptions,
): readonly ManifestPart[] {
  const { serviceAccount, role, lease } = names;
  return createManifest(
    `What \`tlsboot signer${isForPods ? " --pod-certificates" : ""}\` needs at a Kubernetes API server.`,
    serviceAccount,
    [
      isForPods
        ? {
          comment: "It reads requests of pods, writes their status, and publishes its CAs as ClusterTrustBundles.",
          object: podSignerClusterRole(role, signerNames),
        }
        : {
          comment: "It reads requests, and writes certificates and Failed conditions, which are both in the status.",
          object: signerClusterRole(role, signerNames),
        },
      clientCaRole(role),
      ...(notifies ? [notifierRole(role)] : []),
      ...(leaseNamespace === undefined ? [] : [leaseRole(role, leaseNamespace, lease)]),
    ],
  );
}

/** Creates the manifest of the permissions of `tlsboot offline export` and `offline import` for these signers. */
export function createImporterManifest(signerNames: readonly string[]): readonly ManifestPart[] {
  const role = "tlsboot:csr-import";
  return createManifest(
    "What `tlsboot offline export` and `tlsboot offline import` need at a Kubernetes API server.",
    "tlsboot-csr-import",
    [
      {
        comment: "They read requests, and write certificates and Failed conditions, which are both in the status.",
        object: signerClusterRole(role, signerNames, "get list"),
      },
      clientCaRole(role),
    ],
  );
}

function clientCaRole(role: string): ManifestPart<Role> {
  return {
    comment: "It reads which CAs the API trusts for clients.",
    object: {
      metadata: { name: `${role}-client-ca`, namespace: SYSTEM_NAMESPACE },
      rules: [allow("get", "core", "configmaps", "extension-apiserver-authentication")],
    },
  };
}

/** Creates the ClusterRole with access to requests and with the permission to sign for these signers. */
export function signerClusterRole(
  name: string,
  signerNames: readonly string[],
  verbs: string = "get list watch",
): ClusterRole {
  return {
    metadata: { name },
    rules: [
      allow(verbs, CERTIFICATES_GROUP, "certificatesigningrequests"),
      allow("update", CERTIFICATES_GROUP, "certificatesigningrequests/status"),
      { ...allow("sign", CERTIFICATES_GROUP, "signers"), resourceNames: [...signerNames].sort() },
    ],
  };
}

/**
 * Creates the ClusterRole of a signer of pod certificates. The verb `attest` permits writing the bundles of these
 * signers.
 */
function podSignerClusterRole(name: string, signerNames: readonly string[]): ClusterRole {
  return {
    metadata: { name },
    rules: [
      allow("list watch", CERTIFICATES_GROUP, "podcertificaterequests"),
      allow("update", CERTIFICATES_GROUP, "podcertificaterequests/status"),
      allow("list watch create update delete", CERTIFICATES_GROUP, "clustertrustbundles"),
      { ...allow("sign attest", CERTIFICATES_GROUP, "signers"), resourceNames: [...signerNames].sort() },
    ],
  };
}
