/** Creates bootstrap tokens with their limits, and writes what machines need to join with them. */
import { Buffer } from "node:buffer";
import { basename, dirname, join, resolve } from "node:path";
import {
  createPackFiles,
  formatBootstrapKubeconfig,
  formatJoinCommands,
  type JoinTarget,
  KUBELET_PATHS,
} from "../../../core/token/join_material.ts";
import { listReachableHosts, type NodeName } from "../../../core/machine/node_name.ts";
import {
  BOOTSTRAP_TOKEN_USAGES,
  type BootstrapToken,
  formatBootstrapToken,
  generateBootstrapToken,
  parseBootstrapToken,
} from "../../../core/token/token_secret.ts";
import { encodeTarFiles } from "../../../core/lib/tar.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import { type Command, type CommandTable, formatCommand, type Input } from "../../framework/command.ts";
import { warn } from "../../framework/report.ts";
import type { Io, Tools } from "../../io.ts";
import { formatSortedYaml } from "../../output/structured.ts";
import { formatSystemdUnit, INSTALLED_PROGRAM } from "../../systemd/unit.ts";
import type { tokenCreateCommand } from "./flags.ts";
import { connect } from "../../connection.ts";
import { readInterfaces } from "../../../client/host_facts.ts";
import { isLoopbackServer } from "../../../core/token/cluster_info.ts";
import { AppError } from "../../../core/errors.ts";
import {
  assertKnownNodes,
  buildTokenSecret,
  createTokens,
  describeLoopback,
  findExpiration,
  type PlannedToken,
  readJoinTarget,
  readMachines,
} from "../../../client/admin/new_tokens.ts";
import type { FilePort } from "../../../client/files.ts";
import type { ApiClient, ApiConnection } from "../../../client/objects/api.ts";
import { encodeTokenLimits, type TokenLimits } from "../../../core/token/bound_token.ts";
import { err, ok, type Result } from "../../../core/lib/result.ts";
import { toResult } from "../../../core/pki/asn1/der.ts";
import { findPemBlock } from "../../../core/pki/asn1/pem.ts";
import { parsePublicKey } from "../../../core/pki/keys/public_key.ts";
import { type PublicKeyPin, publicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { parseCertificate } from "../../../core/pki/x509/certificate.ts";
import { parseCertificationRequest } from "../../../core/pki/x509/pkcs10.ts";
import { assertNoFiles, handOut } from "../../output/files.ts";

type CreateInput = Input<typeof tokenCreateCommand.flags>;
/** The format of the output; undefined for the token alone. */
type Format = CreateInput["settings"]["output"];

export async function run(input: CreateInput, tools: Tools): Promise<ExitCode> {
  const { files, signal } = tools;
  const { settings } = input;
  const format = chooseFormat(input);
  const planned = await planTokens(input, format, tools);
  if (settings.ttl === 0) warn("this token never expires: anyone who finds it can use it forever", tools);
  const [first] = planned;
  if (format === "yaml" && first !== undefined) {
    await handOut(formatSortedYaml(buildTokenSecret(first, tools.clock.now())), first.path, files, tools);
    return EXIT.done;
  }
  await using connection = await connect(settings, tools);
  const { api } = connection;
  await assertKnownNodes(api, planned.flatMap(({ node }) => node ?? []), signal);
  const target = format === undefined
    ? undefined
    : await readReachableTarget(connection, settings.server, format !== "command", tools);
  await assertNoFiles(planned.flatMap(({ path }) => path ?? []), files);
  const give = (one: PlannedToken) => {
    const text = render(one, format, target, { now: tools.clock.now(), table: input.table });
    return handOut(text, one.path, files, tools);
  };
  await createTokens(planned, give, api, tools.clock, signal);
  if (first !== undefined) await warnUnenforced(api, first.limits, tools, signal);
  return EXIT.done;
}

/**
 * Reads the cluster that a machine joins, with the address of `--server` if it is given. Throws AppError `invalid` for an
 * address that other machines cannot reach.
 */
async function readReachableTarget(
  connection: ApiConnection,
  given: string | undefined,
  mayBeUnpublished: boolean,
  { files, signal }: Tools,
): Promise<JoinTarget> {
  const target = await readJoinTarget(connection, signal, mayBeUnpublished);
  if (given !== undefined) return { ...target, server: given };
  const { server } = target;
  if (!isLoopbackServer(server)) return target;
  const [host = "NAME", ...others] = listReachableHosts(await readInterfaces(files));
  const more = others.length === 0 ? "" : ` (or ${others.join(", ")}, or a name)`;
  throw new AppError("invalid", `cannot let a machine join: ${describeLoopback(server)}`, {
    hint:
      `open the server to the network with: tlsboot up --bind-address 0.0.0.0 --advertise-address ${host}${more}; ` +
      `for a machine on this host, or behind a load balancer, give its address with --server, such as --server ${server}`,
  });
}

/** The value of `--out` for stdout. */
const STDOUT = "-";

/** Returns the format. Throws UsageError for usages with which no machine can join, and for a folder instead of a file. */
function chooseFormat({ settings }: CreateInput): Format {
  const { output, printJoinCommand, forInventory, out, usages } = settings;
  if (usages.length === 0) throw new UsageError("a token needs a usage: signing, authentication or both");
  if (forInventory === undefined && out?.endsWith("/") === true) {
    throw new UsageError(`--out: "${out}" is a folder; give a file`);
  }
  const format = output ?? (printJoinCommand ? "command" : forInventory === undefined ? undefined : "kubeconfig");
  if (format !== undefined && format !== "yaml" && usages.length < BOOTSTRAP_TOKEN_USAGES.length) {
    throw new UsageError("joining needs a token for both usages, signing and authentication");
  }
  return format;
}

/** Plans one token, or one for each machine of an inventory. */
async function planTokens(
  { settings, args }: CreateInput,
  format: Format,
  tools: Tools,
): Promise<readonly PlannedToken[]> {
  const { node, forInventory } = settings;
  const out = settings.out === undefined || settings.out === STDOUT ? undefined : resolve(tools.cwd, settings.out);
  const plan = async (name: NodeName | undefined, path: string | undefined): Promise<PlannedToken> => ({
    ...settings,
    token: chooseToken(args[0], tools),
    node: name,
    limits: await readLimits(settings, name, tools),
    path,
  });
  if (forInventory === undefined || out === undefined) return [await plan(node, out)];
  const machines = await readMachines(resolve(tools.cwd, forInventory), node, tools.files);
  return await Promise.all(machines.map((name) => plan(name, join(out, `${name}.${format}`))));
}

function chooseToken(text: string | undefined, io: Io): BootstrapToken {
  if (text === undefined) return generateBootstrapToken(io.random);
  const token = parseBootstrapToken(text);
  if (token.ok) return token.value;
  throw new UsageError(`cannot read the token: ${token.error}`);
}

function render(
  planned: PlannedToken,
  format: Format,
  target: JoinTarget | undefined,
  { now, table }: { readonly now: Date; readonly table: CommandTable },
): string {
  const { token, node, path } = planned;
  if (target === undefined) return `${formatBootstrapToken(token)}\n`;
  const material = { ...target, token, node, expiration: findExpiration(planned, now) };
  if (format === "command") {
    const { tlsboot, kubeadm } = formatJoinCommands(material);
    return `${tlsboot}\n${kubeadm}\n`;
  }
  if (format !== "pack" || node === undefined) {
    return formatBootstrapKubeconfig(material, path === undefined ? "FILE" : basename(path));
  }
  const packed = createPackFiles({ ...material, node }, formatUnit(node, table));
  // A pack consists of text files, so it is text.
  return Buffer.from(encodeTarFiles(packed, Math.floor(now.getTime() / 1000))).toString("utf8");
}

function formatUnit(node: NodeName, { commands }: CommandTable): string {
  const command = commands.find(({ path: [word] }) => word === "bootstrap") as Command; // the table has this command
  const settings = { ...KUBELET_PATHS, hostnameOverride: node, rotateCertificates: true };
  return formatSystemdUnit({
    writtenBy: "tlsboot token create -o pack",
    description: `Certificates of Kubernetes node ${node}`,
    words: formatCommand(command, { settings }, String),
    folders: [KUBELET_PATHS.certDir, dirname(KUBELET_PATHS.kubeconfig)],
  }, { execPath: INSTALLED_PROGRAM });
}

interface LimitSettings {
  readonly uses: number | undefined;
  readonly cidr: TokenLimits["networks"];
  /** The path of a file with a public key. */
  readonly publicKey: string | undefined;
  readonly approve: boolean;
}

/** Reads the limits from the flags. Throws AppError `key_invalid` for the key file. */
async function readLimits(
  settings: LimitSettings,
  node: NodeName | undefined,
  { files, cwd }: { readonly files: Pick<FilePort, "readText">; readonly cwd: string },
): Promise<TokenLimits> {
  const { uses, cidr, publicKey: path, approve } = settings;
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
    hint: "print it on the machine with: tlsboot bootstrap --print-public-key; or, for any other key, with: " +
      "openssl pkey -in KEY -pubout",
  });
}

/** Warns about the limits that a server other than tlsboot's does not enforce. */
async function warnUnenforced(api: ApiClient, limits: TokenLimits, io: Io, signal: AbortSignal): Promise<void> {
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
  const approves = isApproval ? ", which also approves the requests of this token" : "";
  warn(
    `${gitVersion} does not enforce ${what}, and accepts a token that is used up: run tlsboot approver --token-limits${approves}`,
    io,
  );
  warn(
    "make sure that no other approver approves requests of the token's groups, as kube-controller-manager does for groups " +
      "that are bound to nodeclient",
    io,
  );
}

/** Reads the pin of the key in the first PEM block of a file: a public key, a request or a certificate. */
export function readPublicKeyPin(pem: string): Result<PublicKeyPin, string> {
  const block = findPemBlock(pem)?.block;
  switch (block?.label) {
    case "PUBLIC KEY": {
      const key = toResult(() => parsePublicKey(block.bytes));
      return key.ok ? ok(publicKeyPin({ publicKeyDer: block.bytes })) : key;
    }
    case "CERTIFICATE REQUEST": {
      const request = parseCertificationRequest(block.bytes);
      return request.ok ? ok(publicKeyPin(request.value)) : request;
    }
    case "CERTIFICATE": {
      const certificate = parseCertificate(block.bytes);
      return certificate.ok ? ok(publicKeyPin(certificate.value)) : certificate;
    }
  }
  return err("want a PEM block of type PUBLIC KEY, CERTIFICATE REQUEST or CERTIFICATE");
}
