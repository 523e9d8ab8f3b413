/**
 * The limits of a bootstrap token and the record of its use. They are annotations of the Secret, which kubeadm and
 * Kubernetes keep but ignore. Uses are counted by key: the first request with a token binds it to the key of the
 * request, and the token is spent once the certificate for that key has been used.
 */
import type { SecretObject } from "../kube/kinds/core_v1.ts";
import { formatTime } from "../kube/meta.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../kube/kinds/constants.ts";
import { sortMembers } from "../lib/go_text.ts";
import { isSameSet, omitEmpty, omitUndefined } from "../lib/record.ts";
import { isInNetwork, parseCidr } from "../lib/ip_address.ts";
import { escapeControls } from "../lib/printable.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { parsePublicKeyPin, type PublicKeyPin } from "../pki/keys/key_names.ts";
import { type NodeName, parseNodeName, toNodeSubject } from "../machine/node_name.ts";
import { BOOTSTRAP_TOKEN_TYPE, parseRfc3339 } from "./token_secret.ts";
import { parseTokenUses } from "./token_options.ts";

/** The annotations for limits, which the creator of a token sets. */
const LIMITS = {
  node: "tlsboot/node",
  uses: "tlsboot/uses",
  networks: "tlsboot/cidr",
  publicKey: "tlsboot/public-key",
  approve: "tlsboot/approve",
} as const;
const LIMIT_NAMES = Object.values(LIMITS);

/** The annotation with the proof for which the server gave the token (`core/attestation/proof.ts`). */
export const PROOF_ANNOTATION = "tlsboot/attested";

/** The annotations that the server writes. */
const RECORDS = {
  createdBy: "tlsboot/created-by",
  createdAt: "tlsboot/created-at",
  boundKeys: "tlsboot/bound-keys",
  usedKeys: "tlsboot/used-keys",
  lastUse: "tlsboot/last-use",
  lastRefusal: "tlsboot/last-refusal",
  attested: PROOF_ANNOTATION,
} as const;

/** What a token may be used for. A token without limits has none of the fields. */
export interface TokenLimits {
  /** The only node whose certificate the token may request. */
  readonly node?: NodeName;
  /** The number of keys for which the token may request certificates. */
  readonly maxKeys?: number;
  /** The networks from which the token may be used, in canonical form; empty for any. */
  readonly networks: readonly string[];
  /** The only key for which the token may request a certificate. */
  readonly publicKey?: PublicKeyPin;
  /** Whether the creation of the token approves the request of its node. */
  readonly isApproval: boolean;
}

/** When a token was used or refused, and the address of the client. */
export interface TokenAttempt {
  readonly at: Date;
  /** Empty when the address is unknown. */
  readonly address: string;
}

/** The record of a token's use. */
interface TokenUse {
  /** The user who created the token; undefined when no server of tlsboot recorded it. */
  readonly createdBy?: string;
  /** The time of the creation, in milliseconds where a server of tlsboot recorded it. */
  readonly createdAt?: Date;
  /** The keys for which certificates have been requested with the token. */
  readonly boundKeys: readonly PublicKeyPin[];
  /** The bound keys whose certificate has been used. */
  readonly usedKeys: readonly PublicKeyPin[];
  readonly lastUse?: TokenAttempt;
  readonly lastRefusal?: TokenAttempt & { readonly reason: string };
  /** The proof for which the server gave the token. */
  readonly attested?: string;
}

/** Why a token, or a request made with it, is refused. The kind is a metrics label. */
export interface TokenRefusal {
  readonly kind: "malformed" | "spent" | "network" | "node" | "key";
  readonly message: string;
}

/** The parts of a certificate signing request on which the limits of a token depend. */
interface RequestWithToken {
  readonly signerName: string;
  readonly subject: { readonly commonName: string; readonly organizations: readonly string[] };
  readonly key: PublicKeyPin;
}

/** The decision about a request that was made with a token. */
type TokenRequestDecision =
  /** The token does not limit keys, or is already bound to this key. */
  | { readonly kind: "allowed" }
  /** The token has to be bound to the key of this request, atomically with its creation. */
  | { readonly kind: "bind" }
  | { readonly kind: "refused"; readonly refusal: TokenRefusal };

/** Encodes limits as annotations of the Secret. */
export function encodeTokenLimits(limits: TokenLimits): Readonly<Record<string, string>> {
  const { node, maxKeys, networks, publicKey, isApproval } = limits;
  return {
    ...(isApproval ? { [LIMITS.approve]: "true" } : {}),
    ...omitEmpty({
      [LIMITS.networks]: networks.join(","),
      [LIMITS.node]: node,
      [LIMITS.publicKey]: publicKey,
      [LIMITS.uses]: maxKeys?.toString(),
    }),
  };
}

/** Reports whether a Secret is a bootstrap token with at least one limit. */
export function isLimitedToken({ type, metadata: { annotations = {} } }: SecretObject): boolean {
  return type === BOOTSTRAP_TOKEN_TYPE && LIMIT_NAMES.some((name) => annotations[name] !== undefined);
}

const NO_ANNOTATIONS: Readonly<Record<string, string>> = {};
const knownLimits = new WeakMap<Readonly<Record<string, string>>, Result<TokenLimits, string>>();

/** Reads the limits of a token. A malformed limit is an error, because ignoring it would lift the limit. */
export function readTokenLimits(
  { metadata: { annotations = NO_ANNOTATIONS } }: SecretObject,
): Result<TokenLimits, string> {
  let limits = knownLimits.get(annotations);
  if (limits === undefined) knownLimits.set(annotations, limits = parseLimits(annotations));
  return limits;
}

function parseLimits(annotations: Readonly<Record<string, string>>): Result<TokenLimits, string> {
  const malformed = (name: string, fault: string) => err(`annotation ${name} is malformed: ${fault}`);
  const nodeText = annotations[LIMITS.node];
  const node = nodeText === undefined ? undefined : parseNodeName(nodeText);
  if (node?.ok === false || (node !== undefined && node.value !== nodeText)) {
    return malformed(LIMITS.node, "want the name of a node");
  }
  const usesText = annotations[LIMITS.uses];
  const uses = usesText === undefined ? undefined : parseTokenUses(usesText);
  if (uses?.ok === false) return malformed(LIMITS.uses, uses.error);
  const networks = (annotations[LIMITS.networks] ?? "").split(",").filter((text) => text !== "");
  if (annotations[LIMITS.networks] !== undefined && networks.length === 0) {
    return malformed(LIMITS.networks, "want networks");
  }
  if (networks.some((text) => parseCidr(text) === undefined)) {
    return malformed(LIMITS.networks, "want networks such as 10.0.0.0/24");
  }
  const keyText = annotations[LIMITS.publicKey];
  const publicKey = keyText === undefined ? undefined : parsePublicKeyPin(keyText);
  if (publicKey?.ok === false) return malformed(LIMITS.publicKey, "want sha256: and 64 hexadecimal digits");
  const approve = annotations[LIMITS.approve];
  if (approve !== undefined && approve !== "true") return malformed(LIMITS.approve, "want true");
  if (approve !== undefined && node === undefined) return err(`annotation ${LIMITS.approve} needs ${LIMITS.node}`);
  const maxKeys = uses?.value ?? (node === undefined && publicKey === undefined ? undefined : 1);
  return ok({
    networks,
    isApproval: approve !== undefined,
    ...omitUndefined({ node: node?.value, maxKeys, publicKey: publicKey?.value }),
  });
}

/** Reads the record of a token's use. A malformed entry counts as absent. */
export function readTokenUse({ metadata }: SecretObject): TokenUse {
  const { annotations = {} } = metadata;
  const createdBy = annotations[RECORDS.createdBy];
  const createdAt = parseRfc3339(annotations[RECORDS.createdAt] ?? metadata.creationTimestamp ?? "");
  const lastUse = parseAttempt(annotations[RECORDS.lastUse]);
  const lastRefusal = parseAttempt(annotations[RECORDS.lastRefusal]);
  return {
    boundKeys: parseKeys(annotations[RECORDS.boundKeys]),
    usedKeys: parseKeys(annotations[RECORDS.usedKeys]),
    ...omitUndefined({
      createdBy,
      createdAt,
      lastUse: lastUse && { at: lastUse.at, address: lastUse.address },
      lastRefusal,
      attested: annotations[RECORDS.attested],
    }),
  };
}

/**
 * Decides whether the bearer of a valid token is accepted: the address must be allowed, and the token not spent.
 *
 * @param address the address of the client without its port; undefined when the server does not know it, as in a
 * TokenReview
 */
export function decideTokenBearer(
  secret: SecretObject | undefined,
  address: string | undefined,
): TokenRefusal | undefined {
  if (secret === undefined || !isLimitedToken(secret)) return undefined;
  const limits = readTokenLimits(secret);
  if (!limits.ok) return { kind: "malformed", message: limits.error };
  if (isTokenSpent(secret)) {
    return { kind: "spent", message: "the token is used up: each certificate requested with it has been used" };
  }
  const { networks } = limits.value;
  if (networks.length === 0 || networks.some((network) => isInNetwork(address ?? "", network))) return undefined;
  const from = address ?? "an unknown address";
  return { kind: "network", message: `the token is for clients in ${networks.join(", ")}, not from ${from}` };
}

/** Reports whether the token can no longer be used, because certificates of all its keys have been used. */
export function isTokenSpent(secret: SecretObject): boolean {
  const limits = readTokenLimits(secret);
  return limits.ok && limits.value.maxKeys !== undefined &&
    readTokenUse(secret).usedKeys.length >= limits.value.maxKeys;
}

/** Decides a request that was made with a token: it checks the node, then the key. */
export function decideTokenRequest(secret: SecretObject, request: RequestWithToken): TokenRequestDecision {
  if (!isLimitedToken(secret)) return { kind: "allowed" };
  const refuse = (kind: TokenRefusal["kind"], message: string): TokenRequestDecision => ({
    kind: "refused",
    refusal: { kind, message },
  });
  const limits = readTokenLimits(secret);
  if (!limits.ok) return refuse("malformed", limits.error);
  const { node, maxKeys, publicKey } = limits.value;
  if (node !== undefined && !isRequestOfNode(request, node)) {
    return refuse(
      "node",
      `the token is only for the client certificate of node "${node}", but this request is for ${describe(request)}`,
    );
  }
  if (publicKey !== undefined && publicKey !== request.key) {
    return refuse("key", `the token is only for the key ${publicKey}, but this request has the key ${request.key}`);
  }
  if (maxKeys === undefined) return { kind: "allowed" };
  const { boundKeys } = readTokenUse(secret);
  if (boundKeys.includes(request.key)) return { kind: "allowed" };
  if (boundKeys.length < maxKeys) return { kind: "bind" };
  const bound = boundKeys.length === 1 ? "another key has" : `${boundKeys.length} other keys have`;
  return refuse("key", `${bound} used the token, which is for ${maxKeys}; this request has the key ${request.key}`);
}

function isRequestOfNode({ signerName, subject }: RequestWithToken, node: NodeName): boolean {
  const { commonName, organizations } = toNodeSubject(node);
  return signerName === KUBE_APISERVER_CLIENT_KUBELET_SIGNER && subject.commonName === commonName &&
    isSameSet(subject.organizations, organizations);
}

function describe({ signerName, subject }: RequestWithToken): string {
  return `"${escapeControls(subject.commonName)}" of signer ${escapeControls(signerName)}`;
}

/** Returns the annotations of a Secret with a key added to those that the token is bound to. */
export function withBoundKey(secret: SecretObject, key: PublicKeyPin): Readonly<Record<string, string>> {
  return withKey(secret, RECORDS.boundKeys, key);
}

/** Returns the annotations of a Secret with a key added to those whose certificate has been used. */
export function withUsedKey(secret: SecretObject, key: PublicKeyPin): Readonly<Record<string, string>> {
  return withKey(secret, RECORDS.usedKeys, key);
}

function withKey(secret: SecretObject, name: string, key: PublicKeyPin): Readonly<Record<string, string>> {
  const { annotations = {} } = secret.metadata;
  return sortMembers({ ...annotations, [name]: [...new Set([...parseKeys(annotations[name]), key])].join(",") });
}

export function withLastUse(secret: SecretObject, { at, address }: TokenAttempt): Readonly<Record<string, string>> {
  return sortMembers({ ...secret.metadata.annotations, [RECORDS.lastUse]: `${formatTime(at)} ${address}`.trim() });
}

/** Returns the annotations of a Secret with the last attempt that was refused. */
export function withLastRefusal(
  secret: SecretObject,
  { at, address }: TokenAttempt,
  { message }: TokenRefusal,
): Readonly<Record<string, string>> {
  const text = `${formatTime(at)} ${address === "" ? "-" : address} ${message}`;
  return sortMembers({ ...secret.metadata.annotations, [RECORDS.lastRefusal]: text });
}

/**
 * Returns the annotations of a token that is being created. Those of a limited token record its creator, the time, and
 * the proof for which the server gives it, and a client cannot forge them. An unlimited token keeps its other
 * annotations.
 */
export function withCreator(
  secret: SecretObject,
  username: string,
  now: Date,
  attested?: string,
): SecretObject["metadata"]["annotations"] {
  const { annotations } = secret.metadata;
  if (!isLimitedToken(secret)) return withoutProof(secret);
  const { [RECORDS.usedKeys]: _used, [RECORDS.lastUse]: _use, [RECORDS.lastRefusal]: _refusal, ...rest } =
    annotations ?? {};
  return sortMembers({
    ...rest,
    [RECORDS.createdBy]: username,
    [RECORDS.createdAt]: now.toISOString(),
    [RECORDS.attested]: attested,
  });
}

function withoutProof({ type, metadata: { annotations } }: SecretObject): SecretObject["metadata"]["annotations"] {
  if (type !== BOOTSTRAP_TOKEN_TYPE || annotations?.[RECORDS.attested] === undefined) return annotations;
  const { [RECORDS.attested]: _proof, ...rest } = annotations;
  return rest;
}

/**
 * Returns the annotations of a token that a client updates. The creator is kept and keys are only added, so no update
 * makes a spent token usable again by mistake. The proof is kept if the token is still for the same node and key.
 */
export function withKeptRecords(secret: SecretObject, stored: SecretObject): SecretObject["metadata"]["annotations"] {
  if (stored.type !== BOOTSTRAP_TOKEN_TYPE) return secret.metadata.annotations;
  const before = stored.metadata.annotations ?? {};
  const isSameMachine = [LIMITS.node, LIMITS.publicKey]
    .every((name) => secret.metadata.annotations?.[name] === before[name]);
  const kept = Object.fromEntries(
    [
      RECORDS.createdBy,
      RECORDS.createdAt,
      RECORDS.lastUse,
      RECORDS.lastRefusal,
      ...(isSameMachine ? [RECORDS.attested] : []),
    ].flatMap((name) => before[name] === undefined ? [] : [[name, before[name]]]),
  );
  const { [RECORDS.createdBy]: _by, [RECORDS.createdAt]: _at, [RECORDS.attested]: _proof, ...sent } =
    secret.metadata.annotations ?? {};
  let annotations: Readonly<Record<string, string>> = { ...sent, ...kept };
  for (const name of [RECORDS.boundKeys, RECORDS.usedKeys]) {
    const keys = [...new Set([...parseKeys(before[name]), ...parseKeys(annotations[name])])];
    if (keys.length > 0) annotations = { ...annotations, [name]: keys.join(",") };
  }
  return Object.keys(annotations).length === 0 ? secret.metadata.annotations : sortMembers(annotations);
}

/** Reports whether a Secret approves requests, so creating or changing it requires the permission to approve. */
export function isApprovingToken(secret: SecretObject): boolean {
  return secret.type === BOOTSTRAP_TOKEN_TYPE && secret.metadata.annotations?.[LIMITS.approve] !== undefined;
}

/**
 * Reports whether a user created a token to replace a node: it is bound to the node (`--node`), and was created at or
 * after the time at which the node was revoked. A token for a proof is no replacement, because a stolen machine can
 * still prove its identity.
 */
export function isReplacementToken(secret: SecretObject, node: string, revokedAt: Date): boolean {
  if (!isLimitedToken(secret)) return false;
  const limits = readTokenLimits(secret);
  const { createdAt, attested } = readTokenUse(secret);
  if (!limits.ok || limits.value.node !== node || attested !== undefined) return false;
  return createdAt !== undefined && createdAt >= revokedAt;
}

function parseKeys(text: string | undefined): readonly PublicKeyPin[] {
  return (text ?? "").split(",").flatMap((item) => {
    const pin = parsePublicKeyPin(item);
    return pin.ok ? [pin.value] : [];
  });
}

const ATTEMPT = /^(\S+)(?: (\S+))?(?: (.+))?$/;

function parseAttempt(text: string | undefined): (TokenAttempt & { readonly reason: string }) | undefined {
  const [, time = "", address = "", reason = ""] = ATTEMPT.exec(text ?? "") ?? [];
  const at = parseRfc3339(time);
  return at === undefined ? undefined : { at, address: address === "-" ? "" : address, reason };
}
