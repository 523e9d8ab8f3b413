/** Replaces a CA whose key has leaked: its certificates are refused at once, and machines get new tokens. */
import { join, resolve } from "node:path";
import { createFilePort, type FilePort } from "../../../client/files.ts";
import { generateBootstrapToken } from "../../../core/bootstrap/token.ts";
import { BOOTSTRAP_TOKEN_USAGES, UP_TOKEN_GROUP } from "../../../core/bootstrap/token_secret.ts";
import { formatBootstrapKubeconfig, type JoinTarget } from "../../../core/bootstrap/join_material.ts";
import type { NodeName } from "../../../core/bootstrap/node_name.ts";
import { AppError } from "../../../core/errors.ts";
import { formatTime, getName } from "../../../core/kube/meta.ts";
import type { CaRotation } from "../../../core/kube/tlsboot_v1alpha1.ts";
import { encodeTrust, parseAuthorityChain } from "../../../core/pki/authority_chain.ts";
import { parseCaBundle } from "../../../core/pki/ca_bundle.ts";
import type { ApiClient } from "../../../client/objects/api.ts";
import {
  attemptUntil,
  changeRotation,
  deleteIfPresent,
  findRotation,
  readCensus,
  type RotationWait,
  sortServers,
  waitForServers,
  wrappedKeyPath,
} from "../../api/ca_rotations.ts";
import { connect } from "../../api/connection.ts";
import {
  assertNoFiles,
  createTokens,
  findExpiration,
  type PlannedToken,
  readJoinTarget,
  readMachines,
} from "../../api/new_tokens.ts";
import { readChain } from "../../authority/files.ts";
import { canAsk, confirm } from "../../confirm.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Settings } from "../../framework/flags.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { line } from "../../output/escape.ts";
import { describeCa, describeServers, describeStep, formatRotation } from "../../api/ca_rotation_text.ts";
import {
  checkNextCaFlags,
  findContinued,
  findReplacedCa,
  type ReplacedCa,
  startCaRotation,
  type StartOptions,
} from "./next_ca.ts";
import type { CaRotateNowFlags } from "./rotate_flags.ts";

/** The time after a replacement in which the command repeats it, instead of replacing the new CA as well. */
const REPEATED_WITHIN_MS = 3_600_000;

/** The action of the command `tlsboot ca rotate now`. */
export async function run(input: Input<CaRotateNowFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings, args: [name = "ca"] } = input;
  if ((settings.inventory === undefined) !== (settings.out === undefined)) {
    throw new UsageError("--inventory and --out go together", "give both, or neither");
  }
  checkNextCaFlags(settings);
  const files = createFilePort();
  const ca = await findReplacedCa(name, settings.dataDir, io);
  const machines = settings.inventory === undefined
    ? []
    : await readMachines(resolve(io.cwd, settings.inventory), undefined, files);
  {
    await using connection = await connect(settings, io);
    const options = { ca, settings, api: connection.api, io, isLeaked: true };
    const existing = await findContinued(options, signal) ?? await findRecent(options, signal);
    if (existing?.spec.isLeaked === true) {
      io.stderr.write(line`nothing to do: the rotation of ${name} ${describeStep(existing)}\n`);
    } else {
      // A join file of an earlier time would be of no use.
      const folder = resolve(io.cwd, settings.out ?? "");
      await assertNoFiles(machines.map((node) => joinFilePath(folder, node)), files);
      if (existing !== undefined) reportTakenOver(existing, io);
      if (!await mayReplace(options, machines.length, signal)) return EXIT.no;
      if (existing === undefined) await startCaRotation(options, signal);
      else await makeLeaked(existing, connection.api, signal);
    }
  }
  // The server replaces the administrator's kubeconfig; any other credential of the old CA is refused by now.
  const wait = { settings: { ...settings, kubeconfig: undefined }, io, timeoutMs: settings.timeout };
  const switched = await waitForServers(name, wait, signal);
  const { rotation, isFinished } = await finishIfFollowed(switched, wait, signal);
  await writeFiles(name === "ca" ? switched : undefined, machines, wait, files, signal);
  io.stdout.write(formatRotation(rotation, [], io.clock.now()));
  reportNext(name, machines.length, isFinished, io);
  return isFinished ? EXIT.done : EXIT.no;
}

/**
 * Finds the rotation that an earlier run has just finished, perhaps without writing all join files: the same command again
 * must not replace the new CA too.
 */
async function findRecent({ ca, api, io }: StartOptions, signal: AbortSignal): Promise<CaRotation | undefined> {
  const last = await findRotation(api, ca.name, signal);
  const age = io.clock.now().getTime() - Date.parse(last?.status.finishedAt ?? "");
  return last?.spec.isLeaked === true && age < REPEATED_WITHIN_MS ? last : undefined;
}

/** Shows what will happen, and asks on a terminal. AppError `invalid` without a terminal and without `--yes`. */
async function mayReplace(
  { ca, settings, api, io }: StartOptions & { readonly settings: Settings<CaRotateNowFlags> },
  machines: number,
  signal: AbortSignal,
): Promise<boolean> {
  if (settings.yes) return true;
  const refusal = `certificates of the CA "${ca.name}" are refused from now on`;
  if (!canAsk(io)) {
    throw new AppError("invalid", `cannot replace the CA at once: ${refusal}, and --yes is missing`, {
      hint: "give --yes to confirm it without a terminal",
    });
  }
  const holders = await countHolders(ca, api, io, signal);
  io.stderr.write(
    line`All ${refusal}, those of ${holders} machines and users. Machines join again with a new token, and people get ` +
      "new kubeconfigs.\n" +
      (machines === 0 ? "" : line`${machines} machines of the inventory get a join file in ${settings.out ?? ""}.\n`),
  );
  const isConfirmed = await confirm("Replace the CA?", io, signal);
  if (!isConfirmed) io.stderr.write("nothing is changed\n");
  return isConfirmed;
}

/** Counts the machines and users with a certificate of the present CA. */
async function countHolders({ name, paths }: ReplacedCa, api: ApiClient, io: Io, signal: AbortSignal): Promise<number> {
  const chain = await readChain(paths, createFilePort());
  const spec = { step: "Switch", oldCA: encodeTrust(chain), newCA: "" } as const;
  const rows = await readCensus(api, { metadata: { name }, spec, status: { beganAt: null } }, io.clock, signal);
  return rows.filter(({ certificateUntil }) => certificateUntil !== undefined).length;
}

/** Names the CA that a rotation in progress, even one that is being taken back, has chosen already. */
function reportTakenOver(rotation: CaRotation, io: Io): void {
  io.stderr.write(line`the rotation of ${getName(rotation)} ${describeStep(rotation)}\n`);
  io.stderr.write(line`its new CA is the one that stays: ${describeCa(rotation.spec.newCA)}\n`);
}

/** Turns a rotation that was planned into one for a key that has leaked; its new CA is known to the servers already. */
async function makeLeaked(rotation: CaRotation, api: ApiClient, signal: AbortSignal): Promise<void> {
  await changeRotation(
    api,
    rotation,
    ({ spec }) => spec.step === "Finish" ? undefined : { ...spec, step: "Switch", isLeaked: true },
    signal,
  );
}

/** Finishes the rotation when every known server has followed; one that is down still needs the key. */
async function finishIfFollowed(
  switched: CaRotation,
  wait: RotationWait,
  signal: AbortSignal,
): Promise<{ readonly rotation: CaRotation; readonly isFinished: boolean }> {
  const { io } = wait;
  const name = switched.metadata.name ?? "";
  if (sortServers(switched, io.clock.now()).down.length > 0) {
    io.stderr.write(line`servers: ${describeServers(switched, io.clock.now())}\n`);
    return { rotation: switched, isFinished: false };
  }
  await attemptUntil(
    wait,
    async ({ api }) => {
      const current = await findRotation(api, name, signal) ?? switched;
      return await changeRotation(
        api,
        current,
        ({ spec }) => spec.step === "Finish" ? undefined : { ...spec, step: "Finish" },
        signal,
      );
    },
    () => "the rotation cannot be finished",
    signal,
  );
  const rotation = await waitForServers(name, wait, signal);
  await attemptUntil(
    wait,
    async ({ api }) => {
      await deleteIfPresent(api, wrappedKeyPath(name), signal);
      return true;
    },
    () => "the Secret with the new key cannot be deleted",
    signal,
  );
  return { rotation, isFinished: true };
}

/** Writes the join files that are missing. Machines must not get the old CA, so cluster-info is awaited without it. */
async function writeFiles(
  rotation: CaRotation | undefined,
  machines: readonly NodeName[],
  wait: RotationWait & { readonly settings: Settings<CaRotateNowFlags> },
  files: FilePort,
  signal: AbortSignal,
): Promise<void> {
  const { settings, io } = wait;
  if (machines.length === 0) return;
  const folder = resolve(io.cwd, settings.out ?? "");
  const missing: NodeName[] = [];
  for (const node of machines) {
    if (await files.lstat(joinFilePath(folder, node)) === undefined) missing.push(node);
    else io.stderr.write(line`${node}: kept the join file of an earlier run\n`);
  }
  if (missing.length === 0) return;
  await attemptUntil(
    wait,
    async (connection) => {
      const target = await readJoinTarget(connection, { server: undefined, mayBeLoopback: true }, signal, io);
      if (rotation !== undefined && trustsOld(target, rotation)) return undefined;
      const now = io.clock.now();
      const planned = missing.map((node) => ({
        token: generateBootstrapToken(io.random),
        node,
        limits: { node, maxKeys: 1, networks: [], isApproval: true },
        usages: BOOTSTRAP_TOKEN_USAGES,
        ttl: settings.ttl,
        groups: [UP_TOKEN_GROUP],
        description: `join again after the CA was replaced at ${formatTime(now)}`,
        path: joinFilePath(folder, node),
      }));
      const render = (one: PlannedToken) =>
        formatBootstrapKubeconfig(
          { ...target, ...one, expiration: findExpiration(one, now) },
          `${one.node}.kubeconfig`,
        );
      await createTokens(planned, render, { api: connection.api, files, io }, signal);
      return true;
    },
    () => "cluster-info still has the old CA",
    signal,
  );
}

function joinFilePath(folder: string, node: NodeName): string {
  return join(folder, `${node}.kubeconfig`);
}

function trustsOld({ caPem }: JoinTarget, { spec }: CaRotation): boolean {
  const [bundle, old] = [parseCaBundle(caPem), parseAuthorityChain(spec.oldCA)];
  if (!bundle.ok || !old.ok) return false;
  return bundle.value.some(({ sha256Fingerprint }) => sha256Fingerprint === old.value.certificate.sha256Fingerprint);
}

function reportNext(name: string, machines: number, isFinished: boolean, io: Io): void {
  const lines = [
    ...(isFinished ? [] : [`start the servers that are down, and then: tlsboot ca rotate finish ${name}`]),
    machines > 0
      ? "take each join file to its machine: tlsboot bootstrap --join NODE.kubeconfig"
      : "give each machine a token: tlsboot token create --node NODE --approve -o command",
    "give each person a kubeconfig: tlsboot kubeconfig user NAME --force",
    "programs that trust the old CA for other certificates, such as web servers, need the new one and new certificates",
    `destroy the old key on every server, in its data directory: shred -u pki/retired-${name}-*.key`,
  ];
  for (const text of lines) io.stderr.write(line`next: ${text}\n`);
}
