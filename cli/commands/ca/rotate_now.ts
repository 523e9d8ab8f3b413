/** Replaces a CA whose key has leaked: its certificates are refused at once, and machines get new tokens. */
import { join, resolve } from "node:path";
import { formatBootstrapKubeconfig, type JoinTarget } from "../../../core/token/join_material.ts";
import type { NodeName } from "../../../core/machine/node_name.ts";
import { BOOTSTRAP_TOKEN_USAGES, generateBootstrapToken, UP_TOKEN_GROUP } from "../../../core/token/token_secret.ts";
import { AppError } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import type { CaRotation } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { encodeTrust, listBundled } from "../../../core/pki/x509/ca_bundle.ts";
import type { ReplaceableCa } from "../../../core/ca_rotation/steps.ts";
import { readChain } from "../../../instance/authority/files.ts";
import { canAsk, confirm } from "../../terminal.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Io, Tools } from "../../io.ts";
import { line } from "../../../core/lib/printable.ts";
import { beginRotation, findContinued } from "../../../instance/authority/next_ca.ts";
import { openReplaceableCa, takeStep } from "./rotate.ts";
import type { caRotateNowCommand } from "./rotate_flags.ts";
import { describeCa, describeStep } from "../../../core/report/ca_rotation.ts";
import { connect, formatConnection } from "../../connection.ts";
import { retryUntil } from "../../../instance/ca_rotation/server_ca.ts";
import {
  createTokens,
  describeLoopback,
  findExpiration,
  type PlannedToken,
  readJoinTarget,
  readMachines,
} from "../../../client/admin/new_tokens.ts";
import { isLoopbackServer } from "../../../core/token/cluster_info.ts";
import { warn } from "../../framework/report.ts";
import { createCaKeys } from "../../passphrases/passphrase.ts";
import { assertNoFiles, handOut } from "../../output/files.ts";
import { DAY_MS } from "../../../core/lib/duration.ts";

/** Within this time after a replacement, the command completes it instead of replacing the new CA as well. */
const REPEATED_WITHIN_MS = 3_600_000;

export async function run(input: Input<typeof caRotateNowCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { files } = tools;
  const { settings, args } = input;
  const ofServers = { ...settings, caCert: undefined, caKey: undefined, issuedLog: undefined };
  const ca = openReplaceableCa({ settings: ofServers, args }, settings.timeout, tools);
  const machines = settings.inventory === undefined
    ? []
    : await readMachines(resolve(tools.cwd, settings.inventory), undefined, files);
  const options = { ...tools, ca, settings, keys: createCaKeys(settings, tools), isLeaked: true };
  const existing = await findContinued(options) ?? await findRecent(ca, tools);
  let rotation: CaRotation;
  if (existing?.spec.isLeaked === true) {
    rotation = existing.spec.step === "Finish" ? existing : await ca.advance(existing);
  } else {
    // A join file from before the replacement would not work.
    const folder = resolve(tools.cwd, settings.out ?? "");
    await assertNoFiles(machines.map((node) => joinFilePath(folder, node)), files);
    if (existing !== undefined) reportTakenOver(ca, existing, tools);
    if (!await confirmReplacement(ca, settings, machines.length, tools)) return EXIT.no;
    rotation = existing === undefined
      ? await beginRotation(options)
      : await ca.advance(existing, { step: "Switch", isLeaked: true });
  }
  // While a server is down, the rotation is not finished, because that server still needs the new key.
  const code = await takeStep({ verb: "finish" }, ca, rotation, tools);
  await writeFiles(ca.name === "ca" ? rotation : undefined, machines, settings, tools);
  reportNext(machines.length, formatConnection(settings), tools);
  return code;
}

/**
 * Finds the rotation that an earlier run has just finished, perhaps without writing all join files. Repeating the command
 * must not replace the new CA as well.
 */
async function findRecent(ca: ReplaceableCa, io: Io): Promise<CaRotation | undefined> {
  const last = await ca.read();
  const age = io.clock.now().getTime() - Date.parse(last?.status.finishedAt ?? "");
  return last?.spec.isLeaked === true && age < REPEATED_WITHIN_MS ? last : undefined;
}

/** Shows what will happen and asks, unless `--yes` is given. Throws AppError `invalid` if there is no terminal to ask on. */
async function confirmReplacement(
  ca: ReplaceableCa,
  { yes, out = "" }: Settings<typeof caRotateNowCommand.flags>,
  machines: number,
  tools: Tools,
): Promise<boolean> {
  if (yes) return true;
  const refusal = `certificates of the CA "${ca.name}" are refused from now on`;
  if (!canAsk(tools)) {
    throw new AppError("invalid", `cannot replace the CA at once: ${refusal}, and --yes is missing`, {
      hint: "give --yes to confirm it without a terminal",
    });
  }
  const holders = await countHolders(ca, tools);
  tools.stderr.write(
    line`All ${refusal}, including those of ${holders} machines and users. Machines join again with a new token, ` +
      "and people get new kubeconfigs.\n" +
      (machines === 0 ? "" : line`${machines} machines of the inventory get a join file in ${out}.\n`),
  );
  const isConfirmed = await confirm("Replace the CA?", tools);
  if (!isConfirmed) tools.stderr.write("nothing is changed\n");
  return isConfirmed;
}

/** Counts the machines and users with a certificate of the present CA. */
async function countHolders({ name, paths, census }: ReplaceableCa, { files }: Tools): Promise<number> {
  const oldCA = encodeTrust(await readChain(paths, files));
  const rows = await census({
    metadata: { name },
    spec: { step: "Switch", oldCA, newCA: "" },
    status: { beganAt: null },
  });
  return rows.filter(({ certificateUntil }) => certificateUntil !== undefined).length;
}

/** Reports the new CA of a rotation in progress, which is kept even if the rotation is being aborted. */
function reportTakenOver({ name }: ReplaceableCa, rotation: CaRotation, io: Io): void {
  io.stderr.write(line`the rotation of ${name} ${describeStep(rotation)}\n`);
  io.stderr.write(line`its new CA is kept: ${describeCa(rotation.spec.newCA)}\n`);
}

/** Writes the missing join files, once cluster-info no longer has the old CA, which machines must not trust. */
async function writeFiles(
  rotation: CaRotation | undefined,
  machines: readonly NodeName[],
  { dataDir, out = "", timeout }: Settings<typeof caRotateNowCommand.flags>,
  tools: Tools,
): Promise<void> {
  const { files, signal } = tools;
  const folder = resolve(tools.cwd, out);
  let missing: readonly NodeName[] = [];
  for (const node of machines) {
    if (await files.lstat(joinFilePath(folder, node)) === undefined) missing = [...missing, node];
    else tools.stderr.write(line`${node}: kept the join file of an earlier run\n`);
  }
  if (missing.length === 0) return;
  const description = `join again after the CA was replaced at ${formatTime(tools.clock.now())}`;
  const attempt = async (): Promise<true | undefined> => {
    // The server has replaced the administrator's kubeconfig; any other credential of the old CA is refused.
    await using connection = await connect({ dataDir, kubeconfig: undefined }, tools);
    const target = await readJoinTarget(connection, signal);
    if (rotation !== undefined && trustsOld(target, rotation)) return undefined;
    if (isLoopbackServer(target.server)) warn(describeLoopback(target.server), tools);
    const planned = missing.map((node) => ({
      token: generateBootstrapToken(tools.random),
      node,
      limits: { node, maxKeys: 1, networks: [], isApproval: true },
      usages: BOOTSTRAP_TOKEN_USAGES,
      ttl: DAY_MS,
      groups: [UP_TOKEN_GROUP],
      description,
      path: joinFilePath(folder, node),
    }));
    const give = async (one: PlannedToken) => {
      const expiration = findExpiration(one, tools.clock.now());
      const text = formatBootstrapKubeconfig({ ...target, ...one, expiration }, `${one.node}.kubeconfig`);
      await handOut(text, one.path, files, tools);
      // The next attempt must not make another token for this machine.
      missing = missing.filter((node) => node !== one.node);
    };
    await createTokens(planned, give, connection.api, tools.clock, signal);
    return true;
  };
  await retryUntil(attempt, { describe: () => "cluster-info still has the old CA", timeoutMs: timeout }, tools);
}

function joinFilePath(folder: string, node: NodeName): string {
  return join(folder, `${node}.kubeconfig`);
}

function trustsOld({ caPem }: JoinTarget, { spec }: CaRotation): boolean {
  const [old] = listBundled(spec.oldCA);
  return listBundled(caPem).some(({ sha256Fingerprint }) => sha256Fingerprint === old?.sha256Fingerprint);
}

function reportNext(machines: number, flags: string, io: Io): void {
  const lines = [
    machines > 0
      ? "take each join file to its machine: tlsboot bootstrap --join NODE.kubeconfig"
      : `give each machine a token: tlsboot token create --node NODE --approve -o command${flags}`,
    `give each person a kubeconfig: tlsboot kubeconfig user NAME --force${flags}`,
    "programs that trust the old CA for other certificates, such as web servers, need the new one and new certificates",
  ];
  for (const text of lines) io.stderr.write(line`next: ${text}\n`);
}
