/** Creates bootstrap tokens and hands out what machines need to join with them. */
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
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Command, CommandTable, Input } from "../../framework/command.ts";
import { warn } from "../../framework/report.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io, Tools } from "../../io.ts";
import { formatSortedYaml } from "../../output/structured.ts";
import { formatSystemdUnit, INSTALLED_PROGRAM } from "../../systemd/unit.ts";
import type { tokenCreateCommand } from "./flags.ts";
import { connect } from "../../connection.ts";
import type { ApiConnection } from "../../../client/admin/connection.ts";
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
import { assertNoFiles, handOut } from "../../output/new_file.ts";
import { readLimits, warnUnenforced } from "./limits.ts";
import { formatCommand } from "../../framework/command_line.ts";

type CreateInput = Input<typeof tokenCreateCommand.flags>;
/** The form of what is handed out; undefined for the token alone. */
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
 * Reads the cluster that a machine joins, with the address of `--server` if it is given. AppError `invalid` for an address
 * that no other machine reaches.
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

/** The value of `--out` that prints what is handed out. */
const STDOUT = "-";

/** Returns the form. UsageError for usages with which no machine could join, and for a folder instead of a file. */
function chooseFormat({ settings }: CreateInput): Format {
  const { output, printJoinCommand, forInventory, out, usages } = settings;
  if (usages.length === 0) throw new UsageError("a token needs a usage: signing, authentication or both");
  if (forInventory === undefined && out?.endsWith("/") === true) {
    throw new UsageError(`--out names the folder "${out}", and not a file in it`);
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
  // Every file of a pack is text, so a pack is text too.
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
