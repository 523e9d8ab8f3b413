/** Creates a bootstrap token at the API server, or prints it as a manifest, or writes a join file for each machine. */
import { resolve } from "node:path";
import { createFilePort } from "../../../client/files.ts";
import { formatJoinCommands } from "../../../core/bootstrap/join_command.ts";
import { BOOTSTRAP_TOKEN_USAGES } from "../../../core/bootstrap/token_secret.ts";
import {
  type BootstrapToken,
  formatBootstrapToken,
  generateBootstrapToken,
  parseBootstrapToken,
} from "../../../core/bootstrap/token.ts";
import type { TokenCreateFlags } from "./flags.ts";
import { connect } from "../../api/connection.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Settings } from "../../framework/flags.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { formatSortedYaml } from "../../output/structured.ts";
import { warn } from "../../framework/report.ts";
import { readMachines, writeJoinFiles } from "./join_files.ts";
import {
  assertKnownNodes,
  buildTokenSecret,
  checkLists,
  postToken,
  readJoinTarget,
  readLimits,
  warnUnenforced,
} from "./new_token.ts";

/** The action of the command `tlsboot token create`. */
export async function run(input: Input<TokenCreateFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings } = input;
  const { ttl, usages, groups, node, print, printJoinCommand, forInventory } = settings;
  checkLists(usages, groups);
  if (printJoinCommand) checkJoinable(usages, print);
  if (forInventory !== undefined || settings.out !== undefined) return await createForInventory(input, io, signal);
  const files = createFilePort();
  const limits = await readLimits(settings, node, { files, cwd: io.cwd });
  const token = chooseToken(input.args[0], io);
  if (ttl === 0) warn("this token never expires: anyone who finds it can use it forever", io);
  const created = { token, limits, usages, settings };
  if (print) {
    io.stdout.write(formatSortedYaml(buildTokenSecret(created, io.clock.now())));
    return EXIT.done;
  }
  await using connection = await connect(settings, io);
  const { api } = connection;
  if (node !== undefined) await assertKnownNodes(api, [node], signal);
  const target = printJoinCommand ? await readJoinTarget(api, settings, signal, io) : undefined;
  await postToken(api, created, io, signal);
  await warnUnenforced(api, limits, io, signal);
  if (target === undefined) {
    io.stdout.write(`${formatBootstrapToken(token)}\n`);
    return EXIT.done;
  }
  const { tlsboot, kubeadm } = formatJoinCommands(target, token, node);
  io.stdout.write(`${tlsboot}\n${kubeadm}\n`);
  return EXIT.done;
}

/** Creates a token and a join file for each machine of an inventory. */
async function createForInventory(
  { settings, args }: Input<TokenCreateFlags>,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { forInventory, out, node, usages, publicKey } = settings;
  checkForInventory(settings, args);
  const files = createFilePort();
  const nodes = await readMachines(resolve(io.cwd, forInventory ?? ""), node, files);
  const folder = resolve(io.cwd, out ?? "");
  if (publicKey !== undefined && nodes.length > 1) {
    throw new UsageError("--public-key is the key of one machine: name it with --node");
  }
  await using connection = await connect(settings, io);
  const { api } = connection;
  await assertKnownNodes(api, nodes, signal);
  const target = await readJoinTarget(api, settings, signal, io);
  const machines = await Promise.all(nodes.map(async (name) => ({
    node: name,
    created: {
      token: generateBootstrapToken(io.random),
      limits: await readLimits(settings, name, { files, cwd: io.cwd }),
      usages,
      settings,
    },
  })));
  await writeJoinFiles(machines, { folder, target, api, files, io }, signal);
  const [first] = machines;
  if (first !== undefined) await warnUnenforced(api, first.created.limits, io, signal);
  return EXIT.done;
}

function checkForInventory(settings: Settings<TokenCreateFlags>, args: readonly string[]): void {
  const { forInventory, out, print, printJoinCommand, usages } = settings;
  if (forInventory === undefined) throw new UsageError("--out needs --for-inventory, the file with the machines");
  if (out === undefined) throw new UsageError("--for-inventory needs --out, the folder for the join files");
  if (args.length > 0) throw new UsageError("--for-inventory makes a new token for each machine: leave out TOKEN");
  if (print || printJoinCommand) {
    throw new UsageError("--for-inventory writes files: leave out --print and --print-join-command");
  }
  checkJoinable(usages, false);
}

function checkJoinable(usages: readonly string[], isManifest: boolean): void {
  if (isManifest) throw new UsageError("give --print or --print-join-command, not both");
  if (usages.length === BOOTSTRAP_TOKEN_USAGES.length) return;
  throw new UsageError("joining needs a token for both usages, signing and authentication");
}

function chooseToken(text: string | undefined, io: Io): BootstrapToken {
  if (text === undefined) return generateBootstrapToken(io.random);
  const token = parseBootstrapToken(text);
  if (token.ok) return token.value;
  throw new UsageError(`cannot read the token: ${token.error}`);
}
