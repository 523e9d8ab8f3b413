/**
 * `kube-public/cluster-info` publishes the address and the CA of a cluster for clients that have only a bootstrap
 * token, as kubeadm does (`cmd/kubeadm/app/phases/bootstraptoken/clusterinfo`). For each token with the usage
 * `signing`, it contains a detached JSON Web Signature with the token as the key (RFC 7515 appendix F;
 * `pkg/controller/bootstrap/bootstrapsigner.go`, cluster-bootstrap `token/jws`). A client verifies the signature with
 * its token, and the CA with the hash of its key (`cmd/kubeadm/app/discovery/token/token.go`).
 */
import { createHmac } from "node:crypto";
import type { ConfigMap, SecretObject as KubeSecret } from "../kube/kinds/core_v1.ts";
import { encodeKubeconfig, type KubeconfigCluster, parseKubeconfig } from "../kube/kubeconfig/kubeconfig.ts";
import { encodeBase64, encodeBase64Url } from "../lib/encodings.ts";
import { equalsInConstantTime, Secret } from "../lib/brand.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { encodeCertificates, parseCaBundle } from "../pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../pki/x509/certificate.ts";
import { parsePemBlocks } from "../pki/asn1/pem.ts";
import { type PublicKeyPin, publicKeyPin } from "../pki/keys/key_names.ts";
import type { Role, RoleBinding } from "../kube/kinds/rbac_v1.ts";
import { ANONYMOUS_USER } from "../kube/user.ts";
import { allow, bindRole, toUserSubject } from "../rbac/manifest.ts";
import { isLocalAddress, parseIpAddress, withoutBrackets } from "../lib/ip_address.ts";
import { type BootstrapToken, decodeSecretValue, listTokenFacts, TOKEN_ID } from "./token_secret.ts";

/** The name of the config map. */
export const CLUSTER_INFO_NAME = "cluster-info";
/** The namespace of the config map, which unauthenticated clients may read. */
export const CLUSTER_INFO_NAMESPACE = "kube-public";
/** The path of the config map at an API server. */
export const CLUSTER_INFO_PATH = `/api/v1/namespaces/${CLUSTER_INFO_NAMESPACE}/configmaps/${CLUSTER_INFO_NAME}`;
export const CLUSTER_INFO_KUBECONFIG_KEY = "kubeconfig";

/** kubeadm's name for the role and its binding. */
const READER_NAME = "kubeadm:bootstrap-signer-clusterinfo";

/** The address and the CA that clients get. */
export interface PublishedCluster {
  /** The address of the server, `https://host:port`. */
  readonly server: string;
  readonly caPem: string;
}

/** The action of the publisher on the config map. */
type ClusterInfoPlan =
  | { readonly kind: "create" | "update"; readonly configMap: ConfigMap }
  | { readonly kind: "none" }
  /** The config map contains a different server, which a user may have set on purpose. */
  | { readonly kind: "foreign"; readonly server: string }
  /** The config map contains a different CA, although servers that share a store must share the CA. */
  | { readonly kind: "otherCa" };

/**
 * Plans the config map: it is created when missing, and updated when its CAs differ or its server is a loopback address.
 * An address that a user has set, such as a load balancer's, is kept. When several servers share one store, the first one
 * publishes; bundles that have a CA in common belong to one installation, whose CA is being replaced.
 */
export function planClusterInfo(
  existing: ConfigMap | undefined,
  cluster: PublishedCluster,
  { isShared = false }: { readonly isShared?: boolean } = {},
): ClusterInfoPlan {
  if (existing === undefined) {
    const metadata = { name: CLUSTER_INFO_NAME, namespace: CLUSTER_INFO_NAMESPACE };
    return { kind: "create", configMap: { metadata, data: encodeData(cluster) } };
  }
  const published = parsePublishedCluster(existing);
  const hasOtherCa = holdsOtherCa(existing, cluster.caPem);
  if (isShared && hasOtherCa) return { kind: "otherCa" };
  const isKept = published?.certificateAuthorityData !== undefined && !hasOtherCa &&
    (isShared || !isLoopbackServer(published.server ?? ""));
  const server = isKept ? published.server ?? cluster.server : cluster.server;
  if (published?.server === server && published.certificateAuthorityData === cluster.caPem) {
    return server === cluster.server ? { kind: "none" } : { kind: "foreign", server };
  }
  const data = { ...existing.data, ...encodeData({ ...cluster, server }) };
  return { kind: "update", configMap: { ...existing, data } };
}

function encodeData(cluster: PublishedCluster): Readonly<Record<string, string>> {
  return { [CLUSTER_INFO_KUBECONFIG_KEY]: encodeClusterInfo(cluster) };
}

/** Reports whether the config map has CAs and none of them is in this bundle; false when it has none. */
export function holdsOtherCa(clusterInfo: ConfigMap, caPem: string): boolean {
  const published = parsePublishedCluster(clusterInfo)?.certificateAuthorityData;
  if (published === undefined) return false;
  const own = new Set(listCertificates(caPem));
  return !listCertificates(published).some((certificate) => own.has(certificate));
}

function listCertificates(pem: string): readonly string[] {
  return parsePemBlocks(pem).map(({ bytes }) => encodeBase64(bytes));
}

/** Reads the cluster in `cluster-info`, even if machines cannot use it; undefined when there is none. */
export function parsePublishedCluster(clusterInfo: ConfigMap): KubeconfigCluster | undefined {
  const config = parseKubeconfig(clusterInfo.data?.[CLUSTER_INFO_KUBECONFIG_KEY] ?? "", CLUSTER_INFO_NAME);
  return config.ok ? config.value.clusters[0]?.cluster : undefined;
}

/** Parses a published kubeconfig, which must have one cluster, with its CAs. */
export function parseClusterInfo(
  kubeconfig: string,
): Result<PublishedCluster & { readonly authorities: readonly CertificateFacts[] }, string> {
  const config = parseKubeconfig(kubeconfig, CLUSTER_INFO_NAME);
  if (!config.ok) return config;
  const [entry, ...others] = config.value.clusters;
  if (entry === undefined || others.length > 0) {
    return err(`its kubeconfig has ${config.value.clusters.length} clusters, want one`);
  }
  const { server, certificateAuthorityData: caPem = "" } = entry.cluster;
  if (URL.parse(server)?.protocol !== "https:") return err(`its server "${server}" is not an https URL`);
  const bundle = parseCaBundle(caPem);
  if (!bundle.ok) return err(`its CA cannot be read: ${bundle.error}`);
  return ok({ server, caPem, authorities: bundle.value });
}

/** Encodes a kubeconfig with one unnamed cluster and without a user. */
export function encodeClusterInfo({ server, caPem }: PublishedCluster): string {
  return encodeKubeconfig({
    clusters: [{ name: "", cluster: { server, certificateAuthorityData: caPem } }],
    contexts: [],
    users: [],
    currentContext: "",
  });
}

/** The role and the binding that let unauthenticated clients read `cluster-info` and nothing else. */
export function createClusterInfoRbac(): { readonly role: Role; readonly roleBinding: RoleBinding } {
  const role: Role = {
    metadata: { name: READER_NAME, namespace: CLUSTER_INFO_NAMESPACE },
    rules: [allow("get", "core", "configmaps", CLUSTER_INFO_NAME)],
  };
  return { role, roleBinding: bindRole(role, toUserSubject(ANONYMOUS_USER)) };
}

/**
 * Reports whether a server's URL is useless on another machine: its host is `localhost`, or a loopback or unspecified
 * address.
 */
export function isLoopbackServer(server: string): boolean {
  const host = withoutBrackets(URL.parse(server)?.hostname.replace(/\.$/, "") ?? "");
  const address = parseIpAddress(host);
  return address === undefined ? /(?:^|\.)localhost$/.test(host) : isLocalAddress(address);
}

/** The prefix of the keys of signatures. The token's id follows it. */
const SIGNATURE_PREFIX = "jws-kubeconfig-";

/** Adds the signatures of these tokens and removes all others; undefined when nothing changes. */
export function signClusterInfo(map: ConfigMap, secrets: readonly KubeSecret[], now: Date): ConfigMap | undefined {
  const { data = {} } = map;
  const content = data[CLUSTER_INFO_KUBECONFIG_KEY];
  if (content === undefined) return undefined;
  const entries = Object.entries(data);
  const old = entries.filter(([key]) => key.startsWith(SIGNATURE_PREFIX));
  const signed = secrets.flatMap((secret) => {
    const id = findSigningTokenId(secret, now);
    if (id === undefined) return [];
    const key = new Secret(decodeSecretValue(secret, "token-secret"));
    return [[`${SIGNATURE_PREFIX}${id}`, signDetached(content, id, key)] as const];
  });
  const isSigned = old.length === signed.length && signed.every(([key, signature]) => data[key] === signature);
  if (isSigned) return undefined;
  const others = entries.filter(([key]) => !key.startsWith(SIGNATURE_PREFIX));
  return { ...map, data: Object.fromEntries([...others, ...signed]) };
}

/** The id of a token that may sign now, or undefined. */
function findSigningTokenId(secret: KubeSecret, now: Date): string | undefined {
  const facts = listTokenFacts(secret);
  if (facts === undefined || !TOKEN_ID.test(facts.id) || !facts.usages.includes("signing")) return undefined;
  if (decodeSecretValue(secret, "token-secret") === "" || facts.expiration.kind === "unreadable") return undefined;
  const isExpired = facts.expiration.kind === "at" && facts.expiration.at.getTime() <= now.getTime();
  return isExpired ? undefined : facts.id;
}

/** Signs a text. The result has the header and the MAC, and nothing between the dots. The key id is public. */
export function signDetached(content: string, keyId: string, key: Secret<string>): string {
  const header = encodeBase64Url(JSON.stringify({ alg: "HS256", kid: keyId }));
  const mac = createHmac("sha256", key.reveal()).update(`${header}.${encodeBase64Url(content)}`).digest("base64url");
  return `${header}..${mac}`;
}

/** Reports whether this key made the signature, header and key id included (`DetachedTokenIsValid`). */
function isSignedDetached(signature: string, content: string, keyId: string, key: Secret<string>): boolean {
  return equalsInConstantTime(signature, signDetached(content, keyId, key));
}

/** The outcome of checking the signature of a token in `cluster-info`. */
type SignatureVerdict =
  /** The kubeconfig in `cluster-info` was signed with the token's secret. */
  | { readonly kind: "signed"; readonly kubeconfig: string }
  /** There is no signature for this token: it is unknown, expired, or so new that the controller has not signed yet. */
  | { readonly kind: "unsigned" }
  /** There is no kubeconfig, or the signature was made with another secret. */
  | { readonly kind: "refused"; readonly why: string };

export function checkClusterInfoSignature(map: ConfigMap, token: BootstrapToken): SignatureVerdict {
  const kubeconfig = map.data?.[CLUSTER_INFO_KUBECONFIG_KEY] ?? "";
  if (kubeconfig === "") return { kind: "refused", why: `it has no ${CLUSTER_INFO_KUBECONFIG_KEY}` };
  const signature = map.data?.[`${SIGNATURE_PREFIX}${token.id}`] ?? "";
  if (signature === "") return { kind: "unsigned" };
  if (isSignedDetached(signature, kubeconfig, token.id, token.secret)) return { kind: "signed", kubeconfig };
  return { kind: "refused", why: `its signature for "${token.id}" was not made with the token's secret` };
}

/** A cluster with at least one CA whose public key is pinned. */
export interface PinnedCluster extends PublishedCluster {
  /**
   * Only the pinned certificates of the bundle. Any holder of a token can add a CA to the bundle and sign it, so the
   * other certificates are not trusted until they have been read over a connection that a pinned CA authenticates.
   */
  readonly pinnedPem: string;
}

/** Parses the signed kubeconfig and requires a pinned key among its CAs. */
export function checkPins(kubeconfig: string, pins: readonly PublicKeyPin[]): Result<PinnedCluster, string> {
  const cluster = parseClusterInfo(kubeconfig);
  if (!cluster.ok) return cluster;
  const { server, caPem, authorities } = cluster.value;
  const pinned = authorities.filter((certificate) => pins.includes(publicKeyPin(certificate)));
  if (pinned.length === 0) {
    return err(`its CA has the hash ${authorities.map(publicKeyPin).join(", ")}, which was not given`);
  }
  return ok({ server, caPem, pinnedPem: encodeCertificates(pinned) });
}
