/**
 * The signatures in `cluster-info`, one for each token with the usage `signing`. The holder of a token verifies the CA with
 * them (`pkg/controller/bootstrap/bootstrapsigner.go`). They are detached JSON web signatures with the token as the key
 * (RFC 7515 appendix F; cluster-bootstrap `token/jws`). A client verifies them with its token and the hash of the CA's key
 * (`cmd/kubeadm/app/discovery/token/token.go`).
 */
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import type { ConfigMap, SecretObject as KubeSecret } from "../kube/kinds/core_v1.ts";
import { Secret } from "../lib/brand.ts";
import { equalsInConstantTime } from "../lib/constant_time.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { encodePem } from "../pki/asn1/pem.ts";
import { type PublicKeyPin, publicKeyPin } from "../pki/keys/public_key_pin.ts";
import { CLUSTER_INFO_KUBECONFIG_KEY, parseClusterInfo, type PublishedCluster } from "./cluster_info.ts";
import type { BootstrapToken } from "./bootstrap_token.ts";
import { decodeSecretValue, listTokenFacts } from "./token_secret.ts";

/** The prefix of the keys of signatures, which the token's id follows. */
const SIGNATURE_PREFIX = "jws-kubeconfig-";
const TOKEN_ID = /^[a-z0-9]{6}$/;

/** Adds the signatures of these tokens and removes all others; undefined when nothing changes. */
export function signClusterInfo(map: ConfigMap, secrets: readonly KubeSecret[], now: Date): ConfigMap | undefined {
  const { data = {} } = map;
  const content = data[CLUSTER_INFO_KUBECONFIG_KEY];
  if (content === undefined) return undefined;
  const entries = Object.entries(data);
  const old = entries.filter(([key]) => key.startsWith(SIGNATURE_PREFIX));
  const signed = secrets.flatMap((secret) => {
    const id = signingTokenId(secret, now);
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
function signingTokenId(secret: KubeSecret, now: Date): string | undefined {
  const facts = listTokenFacts(secret);
  if (facts === undefined || !TOKEN_ID.test(facts.id) || !facts.usages.includes("signing")) return undefined;
  if (decodeSecretValue(secret, "token-secret") === "" || facts.expiration.kind === "unreadable") return undefined;
  const isOver = facts.expiration.kind === "at" && facts.expiration.at.getTime() <= now.getTime();
  return isOver ? undefined : facts.id;
}

/** Signs a text: the result is header and MAC with nothing between the dots. The key id is public. */
export function signDetached(content: string, keyId: string, key: Secret<string>): string {
  const header = encodeText(JSON.stringify({ alg: "HS256", kid: keyId }));
  const mac = createHmac("sha256", key.reveal()).update(`${header}.${encodeText(content)}`).digest("base64url");
  return `${header}..${mac}`;
}

/** Reports whether this key made the signature, header and key id included (`DetachedTokenIsValid`). */
function isSignedDetached(signature: string, content: string, keyId: string, key: Secret<string>): boolean {
  return equalsInConstantTime(signature, signDetached(content, keyId, key));
}

function encodeText(text: string): string {
  return Buffer.from(text, "utf8").toString("base64url");
}

/** The outcome of checking the signature of a token in `cluster-info`. */
export type SignatureVerdict =
  /** The kubeconfig in `cluster-info` was signed with the token's secret. */
  | { readonly kind: "signed"; readonly kubeconfig: string }
  /** There is no signature for this token: it is unknown, expired, or so new that the controller has not signed yet. */
  | { readonly kind: "unsigned" }
  /** There is nothing to sign, or the signature was made with another secret. */
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
   * The pinned certificates of the bundle alone. Every holder of a token can sign a bundle that also contains a CA of
   * their own, so the other certificates count only after they were read over a connection that a pinned CA vouches for.
   */
  readonly pinnedPem: string;
}

/** Parses the signed kubeconfig and requires a pinned key among its CAs. The error describes what was found instead. */
export function checkPins(kubeconfig: string, pins: readonly PublicKeyPin[]): Result<PinnedCluster, string> {
  const cluster = parseClusterInfo(kubeconfig);
  if (!cluster.ok) return cluster;
  const { server, caPem, authorities } = cluster.value;
  const pinned = authorities.filter((certificate) => pins.includes(publicKeyPin(certificate)));
  if (pinned.length === 0) {
    return err(`its CA has the hash ${authorities.map(publicKeyPin).join(", ")}, which was not given`);
  }
  return ok({ server, caPem, pinnedPem: pinned.map(({ der }) => encodePem("CERTIFICATE", der)).join("") });
}
