/** New bootstrap tokens: the limits in the flags, the Secret, and what a server of Kubernetes does not enforce. */
import { resolve } from "node:path";
import { findOwnUsername } from "../../../client/objects/access_reviews.ts";
import type { ApiClient } from "../../../client/objects/api.ts";
import { createFilePort, type FilePort } from "../../../client/files.ts";
import { readInterfaces } from "../../../client/host_facts.ts";
import {
  encodeTokenLimits,
  isLimitedToken,
  type TokenLimits,
  withCreator,
} from "../../../core/bootstrap/bound_token.ts";
import { CLUSTER_INFO_NAME, CLUSTER_INFO_NAMESPACE, isLoopbackServer } from "../../../core/bootstrap/cluster_info.ts";
import { isPlainWord, type JoinTarget, parseJoinTarget } from "../../../core/bootstrap/join_command.ts";
import { listReachableHosts } from "../../../core/bootstrap/node_addresses.ts";
import type { NodeName } from "../../../core/bootstrap/node_name.ts";
import {
  BOOTSTRAP_TOKEN_USAGES,
  createTokenSecret,
  isBootstrapGroup,
  toTokenSecretName,
} from "../../../core/bootstrap/token_secret.ts";
import type { BootstrapToken } from "../../../core/bootstrap/token.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import type { ConfigMap, SecretObject } from "../../../core/kube/kinds/core_v1.ts";
import { findNearest } from "../../../core/lib/nearest.ts";
import { readPublicKeyPin } from "../../../core/pki/public_key_file.ts";
import { readApproverSettings } from "../../api/published_settings.ts";
import type { Settings } from "../../framework/flags.ts";
import { warn } from "../../framework/report.ts";
import { describeServerUrl } from "../../flags/request.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import type { NEW_TOKEN_FLAGS } from "./flags.ts";
import { TOKEN_COLLECTION, tokenPath } from "../../api/tokens.ts";

/** The settings of a new token. */
export type NewTokenSettings = Settings<typeof NEW_TOKEN_FLAGS>;

/** A token that is to be created. */
export interface PlannedToken {
  readonly token: BootstrapToken;
  readonly limits: TokenLimits;
  readonly usages: readonly string[];
  readonly settings: Pick<NewTokenSettings, "ttl" | "description" | "groups">;
}

/** Reads the limits from the flags. UsageError for flags that contradict each other, AppError for the file of the key. */
export async function readLimits(
  settings: Pick<NewTokenSettings, "uses" | "cidr" | "publicKey" | "approve">,
  node: NodeName | undefined,
  { files, cwd }: { readonly files: Pick<FilePort, "readText">; readonly cwd: string },
): Promise<TokenLimits> {
  const { uses, cidr, publicKey: path, approve } = settings;
  if (approve && node === undefined) {
    throw new UsageError("--approve needs --node: a token approves the request of one machine", "name it with --node");
  }
  if (path !== undefined && uses !== undefined && uses > 1) {
    throw new UsageError("give --public-key or --uses, not both: a known key is one key");
  }
  const publicKey = path === undefined ? undefined : await readKey(resolve(cwd, path), files);
  const maxKeys = uses ?? (node === undefined && publicKey === undefined ? undefined : 1);
  return {
    ...(node === undefined ? {} : { node }),
    ...(maxKeys === undefined ? {} : { maxKeys }),
    networks: cidr,
    ...(publicKey === undefined ? {} : { publicKey }),
    isApproval: approve,
  };
}

async function readKey(path: string, files: Pick<FilePort, "readText">) {
  const text = await files.readText(path);
  const key = text === undefined ? undefined : readPublicKeyPin(text);
  if (key?.ok === true) return key.value;
  throw new AppError("key_invalid", `cannot use the public key in "${path}": ${key?.error ?? "file does not exist"}`, {
    hint: "print it on the machine with: tlsboot bootstrap --print-public-key; for any other key with: " +
      "openssl pkey -in KEY -pubout",
  });
}

/** Throws AppError `not_found` for a node that the inventory of the server's approver does not have. */
export async function assertKnownNodes(api: ApiClient, nodes: readonly NodeName[], signal: AbortSignal): Promise<void> {
  const { inventory } = await readApproverSettings(api, signal);
  const unknown = nodes.find((node) => inventory?.has(node) === false);
  if (unknown === undefined || inventory === undefined) return;
  throw createUnknownNodeError(unknown, "the inventory of the server's approver", [...inventory.keys()]);
}

/** Creates the error about a node that an inventory does not have. */
export function createUnknownNodeError(node: NodeName, where: string, names: readonly string[]): AppError {
  const nearest = findNearest(node, names);
  return new AppError("not_found", `cannot make a token for "${node}": ${where} does not have it`, {
    hint: nearest === undefined ? "add it to the inventory first" : `did you mean "${nearest}"? Else add it first`,
  });
}

/** Builds the Secret of a token that is created now. */
export function buildTokenSecret({ token, limits, usages, settings }: PlannedToken, now: Date): SecretObject {
  const { ttl, groups, description = "" } = settings;
  const expiration = findExpiration(settings, now);
  const secret = createTokenSecret({
    token,
    usages,
    groups,
    description,
    ...(ttl === 0 || expiration === undefined ? {} : { expiration }),
  });
  const annotations = encodeTokenLimits(limits);
  const metadata = Object.keys(annotations).length === 0 ? secret.metadata : { ...secret.metadata, annotations };
  return { apiVersion: "v1", kind: "Secret", ...secret, metadata };
}

/** Returns when a token that is created now expires; undefined for one that never does. */
export function findExpiration({ ttl }: Pick<NewTokenSettings, "ttl">, now: Date): Date | undefined {
  return ttl === 0 ? undefined : new Date(now.getTime() + ttl);
}

/**
 * Creates a token at an API server. A limited one records who creates it and when; a server of tlsboot puts in what it
 * knows itself.
 */
export async function postToken(
  api: ApiClient,
  created: PlannedToken,
  io: Pick<Io, "clock">,
  signal: AbortSignal,
): Promise<void> {
  const { id } = created.token;
  const now = io.clock.now();
  const secret = buildTokenSecret(created, now);
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

/** Deletes a token that turned out to be of no use. A failure is ignored, because the token also expires. */
export async function withdrawToken(api: ApiClient, { id }: BootstrapToken, signal: AbortSignal): Promise<void> {
  await api.requestJson({ method: "DELETE", path: tokenPath(id) }, signal).catch(() => undefined);
}

/** Warns about the limits that the server does not enforce, because it is no server of tlsboot. */
export async function warnUnenforced(api: ApiClient, limits: TokenLimits, io: Io, signal: AbortSignal): Promise<void> {
  if (Object.keys(encodeTokenLimits(limits)).length === 0) return;
  const { gitVersion = "" } = await api.requestJson({ method: "GET", path: "/version" }, signal) as {
    readonly gitVersion?: string;
  };
  if (gitVersion.includes("+tlsboot.")) return;
  const { node, maxKeys, networks, isApproval } = limits;
  if (networks.length > 0) {
    warn(`${gitVersion} does not enforce --cidr: it accepts the token from any address`, io);
  }
  if (maxKeys === undefined) return;
  const what = node === undefined ? "the number of keys" : "the node and the number of keys";
  warn(
    `${gitVersion} does not enforce ${what}, nor that a used token ends: run tlsboot approver --token-limits` +
      `${
        isApproval ? ", which also approves by this token" : ""
      }, and see that no other approver approves requests of ` +
      "the token's groups, as kube-controller-manager does for groups bound to nodeclient",
    io,
  );
}

/** The address that a machine gets: that of a flag, else that of `cluster-info`. */
export interface JoinAddress {
  readonly server: string | undefined;
  /** Whether an address of this machine alone only causes a warning. */
  readonly mayBeLoopback?: boolean;
}

/**
 * Reads the address and the CA of the cluster. Called before a token is created, which would be useless without them.
 * AppError `invalid` when `cluster-info` names an address that no other machine reaches and no flag names another one.
 */
export async function readJoinTarget(
  api: ApiClient,
  { server: given, mayBeLoopback = false }: JoinAddress,
  signal: AbortSignal,
  io: Io,
): Promise<JoinTarget> {
  if (given !== undefined) checkJoinServer(given);
  const path = `/api/v1/namespaces/${CLUSTER_INFO_NAMESPACE}/configmaps/${CLUSTER_INFO_NAME}`;
  const clusterInfo = await api.requestObject<ConfigMap>({ method: "GET", path }, signal).catch((error: unknown) => {
    if (!isAppError(error, "not_found")) throw error;
    throw unjoinable(`the cluster publishes no ${CLUSTER_INFO_NAME}`, error);
  });
  const target = parseJoinTarget(clusterInfo);
  if (!target.ok) throw unjoinable(target.error);
  if (given !== undefined) return { ...target.value, server: given };
  const { server } = target.value;
  if (!isLoopbackServer(server)) return target.value;
  const fault = `${server} is an address of this machine alone: no other machine can join with it`;
  if (mayBeLoopback) {
    warn(fault, io);
    return target.value;
  }
  const [host = "NAME", ...others] = listReachableHosts(await readInterfaces(createFilePort()));
  throw new AppError("invalid", `cannot let a machine join: ${fault}`, {
    hint: `open the server to the network with: tlsboot up --bind-address 0.0.0.0 --advertise-address ${host}` +
      `${
        others.length === 0 ? "" : ` (or ${others.join(", ")}, or a name)`
      }; for a machine on this host, or behind a ` +
      `load balancer, give its address with --server, such as --server ${server}`,
  });
}

/** Throws UsageError for a server that cannot be a word of a join command. */
function checkJoinServer(server: string): void {
  if (URL.parse(server)?.protocol === "https:" && isPlainWord(server)) return;
  throw new UsageError(`cannot use "${server}" as --server: ${describeServerUrl(server)}`);
}

function unjoinable(why: string, cause?: unknown): AppError {
  return new AppError("not_found", `cannot print a join command: ${why}`, {
    cause,
    hint: "publish it with: kubeadm init phase bootstrap-token, or write a file with: tlsboot kubeconfig bootstrap",
  });
}

/** Throws UsageError for usages and groups that no token may have. */
export function checkLists(usages: readonly string[], groups: readonly string[]): void {
  const usage = usages.find((item) => !BOOTSTRAP_TOKEN_USAGES.includes(item));
  if (usage !== undefined) {
    throw new UsageError(`cannot use "${usage}" as a usage: want ${BOOTSTRAP_TOKEN_USAGES.join(" or ")}`);
  }
  if (usages.length === 0) throw new UsageError("a token needs a usage: signing, authentication or both");
  const group = groups.find((item) => !isBootstrapGroup(item));
  if (group !== undefined) {
    throw new UsageError(`cannot use "${group}" as a group: want system:bootstrappers:<name>, of a-z, 0-9, : and -`);
  }
}
