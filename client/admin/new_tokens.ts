/**
 * Creates bootstrap tokens, optionally one for each machine of an inventory, and finds the cluster to join.
 */
import type { FilePort } from "../files.ts";
import { findOwnUsername } from "../objects/access_reviews.ts";
import type { ApiClient, ApiConnection } from "../objects/api.ts";
import { readCa } from "../transport/connect.ts";
import { HASHED_NAMES_FAULT, parseInventory } from "../../core/approval/evidence/inventory.ts";
import { encodeTokenLimits, isLimitedToken, type TokenLimits, withCreator } from "../../core/token/bound_token.ts";
import { CLUSTER_INFO_NAME, CLUSTER_INFO_PATH } from "../../core/token/cluster_info.ts";
import { type JoinTarget, parseJoinTarget } from "../../core/token/join_material.ts";
import { isPlainWord } from "../../core/lib/printable.ts";
import { type NodeName, parseNodeName } from "../../core/machine/node_name.ts";
import { type BootstrapToken, createTokenSecret, toTokenSecretName } from "../../core/token/token_secret.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { ConfigMap, SecretObject } from "../../core/kube/kinds/core_v1.ts";
import { findNearest } from "../../core/lib/nearest.ts";
import { parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";
import { publicKeyPin } from "../../core/pki/keys/key_names.ts";
import type { Clock } from "../../core/ports.ts";
import { readApproverSettings } from "./published_settings.ts";
import { TOKEN_COLLECTION, tokenPath } from "./tokens.ts";

export interface PlannedToken {
  readonly token: BootstrapToken;
  /** The only node that the token is for; undefined for any node. */
  readonly node: NodeName | undefined;
  readonly limits: TokenLimits;
  readonly usages: readonly string[];
  /** The lifetime in milliseconds; 0 for a token that never expires. */
  readonly ttl: number;
  readonly description?: string | undefined;
  readonly groups: readonly string[];
  /** The absolute path of the output file for the machine; undefined for stdout. */
  readonly path: string | undefined;
}

/** Throws AppError `not_found` for a node that is missing from the inventory of the server's approver. */
export async function assertKnownNodes(api: ApiClient, nodes: readonly NodeName[], signal: AbortSignal): Promise<void> {
  const { inventory } = await readApproverSettings(api, signal);
  const unknown = nodes.find((node) => inventory?.has(node) === false);
  if (unknown === undefined || inventory === undefined) return;
  throw createUnknownNodeError(unknown, "the inventory of the server's approver", [...inventory.keys()]);
}

/**
 * Reads the machines of an inventory, or only the given one. AppError `config_invalid` for a faulty file, `not_found`
 * for a machine that is not in the file.
 */
export async function readMachines(
  path: string,
  only: NodeName | undefined,
  files: Pick<FilePort, "readText">,
): Promise<readonly NodeName[]> {
  const text = await files.readText(path);
  if (text === undefined) throw new AppError("not_found", `cannot read inventory "${path}": no such file`);
  const inventory = parseInventory(text);
  if (!inventory.ok) {
    throw new AppError("config_invalid", inventory.error.map((fault) => `${path}: ${fault}`).join("\n"), {
      hint: "correct the file; docs/reference/policies.md describes an inventory",
    });
  }
  const names = [...inventory.value.keys()];
  if (only === undefined && inventory.value.hashedHosts !== undefined) {
    throw new AppError("config_invalid", `${path}: ${HASHED_NAMES_FAULT}`);
  }
  if (only !== undefined && !inventory.value.has(only)) {
    throw createUnknownNodeError(only, `the inventory "${path}"`, names);
  }
  const nodes: NodeName[] = [];
  for (const name of only === undefined ? names : [only]) {
    const node = parseNodeName(name);
    if (!node.ok || node.value !== name) {
      throw new AppError("config_invalid", `${path}: "${name}" cannot be the name of a node`, {
        hint: node.ok ? `write it as "${node.value}"` : node.error,
      });
    }
    nodes.push(node.value);
  }
  return nodes;
}

/** Creates the error for a node that is missing from an inventory. */
function createUnknownNodeError(node: NodeName, where: string, names: readonly string[]): AppError {
  const nearest = findNearest(node, names);
  return new AppError("not_found", `cannot make a token for "${node}": ${where} does not have it`, {
    hint: nearest === undefined ? "add it to the inventory first" : `did you mean "${nearest}"? Otherwise add it first`,
  });
}

/** Builds the Secret of a token that is created now. */
export function buildTokenSecret(planned: PlannedToken, now: Date): SecretObject {
  const { token, limits, usages, groups, description = "" } = planned;
  const expiration = findExpiration(planned, now);
  const secret = createTokenSecret({ token, usages, groups, description, expiration });
  const annotations = encodeTokenLimits(limits);
  const metadata = Object.keys(annotations).length === 0 ? secret.metadata : { ...secret.metadata, annotations };
  return { apiVersion: "v1", kind: "Secret", ...secret, metadata };
}

/** Returns when a token that is created now expires; undefined for one that never does. */
export function findExpiration({ ttl }: Pick<PlannedToken, "ttl">, now: Date): Date | undefined {
  return ttl === 0 ? undefined : new Date(now.getTime() + ttl);
}

/** Creates tokens at an API server and hands out each one. A token that cannot be handed out is deleted. */
export async function createTokens(
  tokens: readonly PlannedToken[],
  handOut: (planned: PlannedToken) => Promise<void>,
  api: ApiClient,
  clock: Pick<Clock, "now">,
  signal: AbortSignal,
): Promise<void> {
  for (const planned of tokens) {
    await postToken(api, planned, clock.now(), signal);
    try {
      await handOut(planned);
    } catch (error) {
      // A failure is ignored, because the token also expires.
      await api.requestJson({ method: "DELETE", path: tokenPath(planned.token.id) }, signal).catch(() => undefined);
      throw error;
    }
  }
}

/**
 * Creates a token at an API server. A limited token records its creator and the time; a tlsboot server replaces both
 * with its own values.
 */
async function postToken(
  api: ApiClient,
  planned: PlannedToken,
  now: Date,
  signal: AbortSignal,
): Promise<void> {
  const { id } = planned.token;
  const secret = buildTokenSecret(planned, now);
  const username = isLimitedToken(secret) ? await findOwnUsername(api, signal) : undefined;
  const annotations = username === undefined ? undefined : withCreator(secret, username, now);
  const body = annotations === undefined ? secret : { ...secret, metadata: { ...secret.metadata, annotations } };
  try {
    await api.requestJson({ method: "POST", path: TOKEN_COLLECTION, body }, signal);
  } catch (error) {
    if (!isAppError(error, "already_exists")) throw error;
    throw new AppError("already_exists", `cannot create token "${id}": ${toTokenSecretName(id)} exists`, {
      cause: error,
      hint: `delete it first with: tlsboot token delete ${id}`,
    });
  }
}

/**
 * Reads the address and the CA of the cluster. Call it before a token is created, which would be useless without them.
 * With `mayBeUnpublished`, the connection's server and CA are used when the cluster publishes no `cluster-info`.
 */
export async function readJoinTarget(
  connection: Pick<ApiConnection, "api" | "cluster" | "files">,
  signal: AbortSignal,
  mayBeUnpublished: boolean = false,
): Promise<JoinTarget> {
  const request = { method: "GET", path: CLUSTER_INFO_PATH } as const;
  return await connection.api.requestObject<ConfigMap>(request, signal).then(readPublished, (error) => {
    if (!isAppError(error, "not_found")) throw error;
    if (mayBeUnpublished) return readOwnTarget(connection);
    throw createUnjoinableError(`the cluster publishes no ${CLUSTER_INFO_NAME}`, error);
  });
}

function readPublished(clusterInfo: ConfigMap): JoinTarget {
  const target = parseJoinTarget(clusterInfo);
  if (target.ok) return target.value;
  throw createUnjoinableError(target.error);
}

/** Reads the server and the CA from the connection's kubeconfig, which other clients of the cluster can use too. */
async function readOwnTarget(
  { cluster: { server, ca }, files }: Pick<ApiConnection, "cluster" | "files">,
): Promise<JoinTarget> {
  const caPem = ca === undefined ? "" : await readCa(ca, files);
  const bundle = parseCaBundle(caPem);
  if (bundle.ok && isPlainWord(server)) {
    return { server, caPem, pins: bundle.value.map(publicKeyPin), isPublished: false };
  }
  throw createUnjoinableError(
    `the cluster publishes no ${CLUSTER_INFO_NAME}, and the kubeconfig of this command names no CA`,
  );
}

function createUnjoinableError(why: string, cause?: unknown): AppError {
  return new AppError("not_found", `cannot let a machine join: ${why}`, {
    cause,
    hint:
      "publish it with: kubeadm init phase bootstrap-token, or, with a kubeconfig that names the CA, write a file with: " +
      "tlsboot token create -o kubeconfig",
  });
}

/** Describes the fault of a server that only the machine itself reaches. */
export function describeLoopback(server: string): string {
  return `${server} is an address of this machine alone: no other machine can join with it`;
}
