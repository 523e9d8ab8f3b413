/** New bootstrap tokens: their limits, their Secrets, the files that their machines get, and the cluster that these join. */
import { dirname, resolve } from "node:path";
import { createFilePort, type FilePort } from "../client/files.ts";
import { readInterfaces } from "../client/host_facts.ts";
import { findOwnUsername } from "../client/objects/access_reviews.ts";
import type { ApiClient } from "../client/objects/api.ts";
import { readCa } from "../client/transport/connect.ts";
import { encodeTokenLimits, isLimitedToken, type TokenLimits, withCreator } from "../core/token/bound_token.ts";
import { CLUSTER_INFO_NAME, CLUSTER_INFO_PATH, isLoopbackServer } from "../core/token/cluster_info.ts";
import { type JoinTarget, parseJoinTarget } from "../core/token/join_material.ts";
import { isPlainWord } from "../core/lib/shell_word.ts";
import { listReachableHosts } from "../core/machine/node_addresses.ts";
import { type NodeName, parseNodeName } from "../core/machine/node_name.ts";
import { createTokenSecret, toTokenSecretName } from "../core/token/token_secret.ts";
import { AppError, isAppError } from "../core/errors.ts";
import type { ConfigMap, SecretObject } from "../core/kube/kinds/core_v1.ts";
import { findNearest } from "../core/lib/nearest.ts";
import { warn } from "./framework/report.ts";
import { UsageError } from "./framework/usage_error.ts";
import { FOLDER_MODE, SECRET_MODE } from "../instance/data_dir.ts";
import type { Io } from "./io.ts";
import { displayPath } from "./output/display_path.ts";
import { line } from "./output/escape.ts";
import type { ApiConnection } from "../client/admin/connection.ts";
import { readApproverSettings } from "../client/admin/published_settings.ts";
import { TOKEN_COLLECTION, tokenPath } from "../client/admin/tokens.ts";
import { parseInventory } from "../core/approval/evidence/inventory.ts";
import { publicKeyPin } from "../core/pki/keys/public_key_pin.ts";
import { parseCaBundle } from "../core/pki/x509/ca_bundle.ts";
import type { BootstrapToken } from "../core/token/bootstrap_token.ts";
import { readPublicKeyPin } from "../client/admin/public_key_file.ts";

/** A token that is to be created. */
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
  /** The absolute path of the file for the machine; undefined for stdout. */
  readonly path: string | undefined;
}

/** The settings of the limits of a token. */
export interface LimitSettings {
  readonly uses: number | undefined;
  readonly cidr: TokenLimits["networks"];
  /** The path of a file with a public key. */
  readonly publicKey: string | undefined;
  readonly approve: boolean;
}

/** Reads the limits from the flags. UsageError for flags that contradict each other, AppError for the file of the key. */
export async function readLimits(
  settings: LimitSettings,
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

/**
 * Reads the machines of an inventory, or the one that is named. AppError `config_invalid` for a faulty file, `not_found`
 * for a machine that the file does not have.
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
  if (only !== undefined && !names.includes(only)) {
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

/** Creates the error about a node that an inventory does not have. */
function createUnknownNodeError(node: NodeName, where: string, names: readonly string[]): AppError {
  const nearest = findNearest(node, names);
  return new AppError("not_found", `cannot make a token for "${node}": ${where} does not have it`, {
    hint: nearest === undefined ? "add it to the inventory first" : `did you mean "${nearest}"? Else add it first`,
  });
}

/** Builds the Secret of a token that is created now. */
export function buildTokenSecret(planned: PlannedToken, now: Date): SecretObject {
  const { token, limits, usages, groups, description = "" } = planned;
  const expiration = findExpiration(planned, now);
  const secret = createTokenSecret({
    token,
    usages,
    groups,
    description,
    ...(expiration === undefined ? {} : { expiration }),
  });
  const annotations = encodeTokenLimits(limits);
  const metadata = Object.keys(annotations).length === 0 ? secret.metadata : { ...secret.metadata, annotations };
  return { apiVersion: "v1", kind: "Secret", ...secret, metadata };
}

/** Returns when a token that is created now expires; undefined for one that never does. */
export function findExpiration({ ttl }: Pick<PlannedToken, "ttl">, now: Date): Date | undefined {
  return ttl === 0 ? undefined : new Date(now.getTime() + ttl);
}

/** The parts that creating tokens uses. */
export interface CreateTokensDeps {
  readonly api: ApiClient;
  readonly files: Pick<FilePort, "lstat" | "makeDirectory" | "createExclusive">;
  readonly io: Io;
}

/**
 * Creates tokens at an API server and hands out what `render` makes of each. AppError `file_exists` before the first token
 * when one of the files exists. A token whose file cannot be written is deleted again.
 */
export async function createTokens(
  tokens: readonly PlannedToken[],
  render: (planned: PlannedToken) => string,
  { api, files, io }: CreateTokensDeps,
  signal: AbortSignal,
): Promise<void> {
  await assertNoFiles(tokens.flatMap(({ path }) => path ?? []), files);
  for (const planned of tokens) {
    await postToken(api, planned, io, signal);
    try {
      await handOut(render(planned), planned.path, { files, io });
    } catch (error) {
      // A failure is ignored, because the token also expires.
      await api.requestJson({ method: "DELETE", path: tokenPath(planned.token.id) }, signal).catch(() => undefined);
      throw error;
    }
  }
}

/** Throws AppError `file_exists` when one of the files exists, because none is ever replaced. */
export async function assertNoFiles(paths: readonly string[], files: Pick<FilePort, "lstat">): Promise<void> {
  for (const path of paths) {
    if (await files.lstat(path) === undefined) continue;
    throw new AppError("file_exists", `cannot write "${path}": it exists`, {
      hint: "remove it if its machine no longer needs it, or choose another path with --out",
    });
  }
}

/** Writes a text with a token to a new file and prints its path, or prints the text if there is no path. */
export async function handOut(
  text: string,
  path: string | undefined,
  { files, io }: Pick<CreateTokensDeps, "files" | "io">,
): Promise<void> {
  if (path === undefined) {
    io.stdout.write(text);
    return;
  }
  await files.makeDirectory(dirname(path), FOLDER_MODE);
  await files.createExclusive(path, text, SECRET_MODE);
  io.stdout.write(line`${displayPath(path, io.cwd)}\n`);
}

/**
 * Creates a token at an API server. A limited one records who creates it and when; a server of tlsboot puts in what it
 * knows itself.
 */
async function postToken(
  api: ApiClient,
  planned: PlannedToken,
  io: Pick<Io, "clock">,
  signal: AbortSignal,
): Promise<void> {
  const { id } = planned.token;
  const now = io.clock.now();
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

/** How the cluster that a machine joins is chosen. */
export interface JoinTargetOptions {
  /** The address for the machine; without it, that in `cluster-info`. */
  readonly server: string | undefined;
  /** Whether the connection's own server and CA may replace a `cluster-info` that the cluster does not publish. */
  readonly mayBeUnpublished?: boolean;
  /** Whether an address of this machine alone only causes a warning. */
  readonly mayBeLoopback?: boolean;
}

/**
 * Reads the address and the CA of the cluster. Called before a token is created, which would be useless without them.
 * AppError `invalid` for an address that no other machine reaches, unless it is given.
 */
export async function readJoinTarget(
  { api, cluster }: Pick<ApiConnection, "api" | "cluster">,
  { server: given, mayBeUnpublished = false, mayBeLoopback = false }: JoinTargetOptions,
  signal: AbortSignal,
  io: Io,
): Promise<JoinTarget> {
  const request = { method: "GET", path: CLUSTER_INFO_PATH } as const;
  const target = await api.requestObject<ConfigMap>(request, signal).then(readPublished, (error) => {
    if (!isAppError(error, "not_found")) throw error;
    if (mayBeUnpublished) return readOwnTarget(cluster);
    throw unjoinable(`the cluster publishes no ${CLUSTER_INFO_NAME}`, error);
  });
  if (given !== undefined) return { ...target, server: given };
  const { server } = target;
  if (!isLoopbackServer(server)) return target;
  const fault = `${server} is an address of this machine alone: no other machine can join with it`;
  if (mayBeLoopback) {
    warn(fault, io);
    return target;
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

function readPublished(clusterInfo: ConfigMap): JoinTarget {
  const target = parseJoinTarget(clusterInfo);
  if (target.ok) return target.value;
  throw unjoinable(target.error);
}

/** Reads the server and the CA of the connection's kubeconfig, which are those of the cluster for other clients too. */
async function readOwnTarget({ server, ca }: ApiConnection["cluster"]): Promise<JoinTarget> {
  const caPem = ca === undefined ? "" : await readCa(ca, createFilePort());
  const bundle = parseCaBundle(caPem);
  if (bundle.ok && isPlainWord(server)) {
    return { server, caPem, pins: bundle.value.map(publicKeyPin), isPublished: false };
  }
  throw unjoinable(`the cluster publishes no ${CLUSTER_INFO_NAME}, and the kubeconfig of this command names no CA`);
}

function unjoinable(why: string, cause?: unknown): AppError {
  return new AppError("not_found", `cannot let a machine join: ${why}`, {
    cause,
    hint:
      "publish it with: kubeadm init phase bootstrap-token, or write a file, by a kubeconfig that names the CA, with: " +
      "tlsboot token create -o kubeconfig",
  });
}
