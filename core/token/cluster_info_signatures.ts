/**
 * The signatures in `cluster-info`, one for each token with the usage `signing`. The holder of a token verifies the CA with
 * them (`pkg/controller/bootstrap/bootstrapsigner.go`). They are detached JSON web signatures with the token as the key
 * (RFC 7515 appendix F; cluster-bootstrap `token/jws`).
 */
import { Secret } from "../lib/brand.ts";
import type { ConfigMap, SecretObject as KubeSecret } from "../kube/kinds/core_v1.ts";
import { CLUSTER_INFO_KUBECONFIG_KEY } from "./cluster_info.ts";
import { createHmac } from "node:crypto";
import { decodeSecretValue, listTokenFacts } from "./token_secret.ts";
import { equalsInConstantTime } from "../lib/constant_time.ts";
import { Buffer } from "node:buffer";

/** The prefix of the keys of signatures, which the token's id follows. */
export const SIGNATURE_PREFIX = "jws-kubeconfig-";
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
export function isSignedDetached(signature: string, content: string, keyId: string, key: Secret<string>): boolean {
  return equalsInConstantTime(signature, signDetached(content, keyId, key));
}

function encodeText(text: string): string {
  return Buffer.from(text, "utf8").toString("base64url");
}
