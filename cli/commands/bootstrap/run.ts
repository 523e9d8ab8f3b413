/**
 * Runs the bootstrap client once, or with `--rotate-certificates` until it is stopped. With `--join`, the settings of the
 * machine come from its join file, or from a pack, whose join file is installed first.
 */
import { bootstrap, CLIENT_STORE_PREFIX, keepNextKey } from "../../../client/bootstrap.ts";
import { openCredentialStore } from "../../../client/certificate/credential_store.ts";
import { examineMachine, readMachine } from "../../../client/health/machine.ts";
import {
  keepMachineFresh,
  type MachineOptions,
  type PairChange,
  updateForNewCa,
} from "../../../client/keep_machine_fresh.ts";
import { checkKubeconfig, connectAsNode } from "../../../client/node_kubeconfig.ts";
import type { TrustChange } from "../../../client/node_trust.ts";
import { bootstrapServing } from "../../../client/serving.ts";
import { basename, dirname, join, resolve } from "node:path";
import { Buffer } from "node:buffer";
import { formatTime } from "../../../core/kube/meta.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import { encodePem } from "../../../core/pki/asn1/pem.ts";
import { runOffline } from "./offline.ts";
import {
  chooseCredentials,
  getServingTemplate,
  type Machine,
  type MachineProgress,
  readServingNames,
  resolveMachine,
} from "./machine.ts";
import { createAwaited, describeOutcome, describeProgress, describeServing } from "./progress_text.ts";
import { bootstrapCommand } from "./flags.ts";
import { FOLDER_MODE, SECRET_MODE } from "../../../client/files.ts";
import { toExpirationSeconds } from "../../flags/request.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Settings } from "../../framework/flags.ts";
import { reportError, warn } from "../../framework/report.ts";
import { listTypedFlags } from "../../framework/settings.ts";
import { findTpmGroup } from "../../attestation.ts";
import { createHookError, type HookRunner, runHooks } from "../../hooks.ts";
import type { Io, Tools } from "../../io.ts";
import { createLogger } from "../../logging.ts";
import { waitForPlausibleClock } from "../../plausible_clock.ts";
import { displayPath } from "../../output/files.ts";
import { escapeText } from "../../../core/lib/printable.ts";
import { readTarFiles, type TextFile } from "../../../core/lib/tar.ts";
import { KUBELET_PATHS, PACK_JOIN_FILE, PACK_UNIT, parseJoinFile } from "../../../core/token/join_material.ts";
import { createSteps, type Steps } from "../../output/progress.ts";
import { connectService, type SystemdService } from "../../systemd/service.ts";
import { preferFile } from "../../cluster_credentials.ts";
import { describeShortenedLifetime } from "../../output/request_certificate.ts";
import { addService, createBootstrapWords, formatResumeCommand, formatUnit, removeService } from "./service.ts";
import { checkHost } from "../../systemd/install.ts";

export async function run(
  { settings: given, origins }: Input<typeof bootstrapCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  const { files, signal } = tools;
  const state = given.installService || given.uninstallService
    ? await checkHost(PACK_UNIT, bootstrapCommand, { settings: given }, tools)
    : {};
  if (given.uninstallService) return await removeService(given, state, tools);
  const { settings, joinFile } = await applyJoinFile(given, origins, tools);
  checkSettings(settings);
  const machine = resolveMachine(settings, tools);
  if (settings.installService) return await addService(settings, machine, joinFile, state, tools);
  if (settings.printPublicKey) {
    const key = await keepNextKey({ ...tools, ...machine });
    tools.stdout.write(encodePem("PUBLIC KEY", key.publicKeyDer()));
    return EXIT.done;
  }
  if (settings.printSystemdUnit) {
    tools.stdout.write(formatUnit(settings, machine, tools, await findTpmGroup(tools.files)));
    return EXIT.done;
  }
  if (joinFile !== undefined && await files.readText(joinFile.path) !== joinFile.text) {
    await files.makeDirectory(dirname(joinFile.path), FOLDER_MODE);
    await files.writeAtomic(joinFile.path, joinFile.text, joinFile.mode);
  }
  const logger = createLogger({ ...tools, level: tools.isDebug ? "debug" : "warn" });
  using service = connectService(tools, { logger, signal });
  await waitForPlausibleClock(tools, settings.timeout, signal);
  const runHooksFor = createHookRunner(settings, machine, tools);
  if (settings.offline !== undefined) {
    return await runOffline({ ...tools, settings, machine, logger, folder: settings.offline, runHooksFor });
  }
  let steps: Pick<Steps, "step"> | undefined;
  const findAwaited = createAwaited(settings.timeout, tools.clock);
  const onProgress = (event: MachineProgress): void => {
    const text = describeProgress(event, tools.cwd);
    const awaited = findAwaited(event);
    if (text !== undefined) {
      steps?.step(text, awaited);
      service.describe(text);
    }
    if (event.kind === "issued") reportShortenedLifetime(event, settings, tools);
  };
  const credentials = await chooseCredentials(settings, machine, { ...tools, onProgress });
  const expirationSeconds = toExpirationSeconds(settings.duration);
  const options = { ...tools, ...machine, ...credentials, logger, expirationSeconds };
  const context = { settings, machine, options, onProgress, runHooksFor };
  let once: BootstrappedOnce;
  {
    using shown = createSteps(tools);
    steps = shown;
    once = await bootstrapOnce(context).catch((error: unknown) => continueWithoutServer(context, error));
  }
  if (!settings.rotateCertificates) {
    if (once.hookFaults.length > 0) throw createHookError("the certificate", once.hookFaults);
    return once.isReady ? EXIT.done : EXIT.no;
  }
  return await keepFresh(context, once, service);
}

/** Keeps the certificates fresh until the run is stopped. A hook that fails does not stop it. */
async function keepFresh(
  { settings, machine, options, runHooksFor }: Context,
  { hookFaults }: BootstrappedOnce,
  service: SystemdService,
): Promise<never> {
  const { files, logger, cwd, stdout, stderr, signal } = options;
  const report = (failed: readonly string[]): void => {
    if (failed.length > 0) logger.error("the certificate is stored, but a hook failed", { faults: failed });
  };
  report(hookFaults);
  service.ready(`keeping the certificates of ${machine.nodeName} fresh`);
  const onChange = async (change: PairChange, isFirst: boolean): Promise<void> => {
    const text = describeChange(change, isFirst, cwd);
    stdout.write(escapeText(text));
    service.describe(text.split("\n", 1).join());
    reportShortenedLifetime(change.pair.leaf, settings, options);
    report(await runHooksFor(change));
  };
  return await keepMachineFresh({
    ...options,
    readServingNames: settings.serving ? () => readServingNames(settings, machine, files) : undefined,
    onServingProgress(event) {
      if (event.kind === "submitted") stderr.write(escapeText(`${describeProgress(event, cwd)}\n`));
    },
    onChange,
    onTrust: (change) => void stdout.write(escapeText(describeTrustChange(change, cwd))),
  }, signal);
}

/** Creates a function that runs the hooks of each change in turn, even when two certificates change at once. */
function createHookRunner(
  settings: Settings<typeof bootstrapCommand.flags>,
  { nodeName }: Machine,
  tools: Tools,
): HookRunner {
  const signals = settings.signal.map((hook) => ({ ...hook, pidFile: resolve(tools.cwd, hook.pidFile) }));
  const hooks = { exec: settings.exec, signals };
  let turn: Promise<readonly string[]> = Promise.resolve([]);
  return (change) => turn = turn.then(() => runHooks(hooks, change, { ...tools, nodeName }));
}

interface Context {
  readonly settings: Settings<typeof bootstrapCommand.flags>;
  readonly machine: Machine;
  readonly options: MachineOptions & Tools;
  readonly onProgress: (event: MachineProgress) => void;
  readonly runHooksFor: HookRunner;
}

function checkSettings(settings: Settings<typeof bootstrapCommand.flags>): void {
  const { printPublicKey } = settings;
  const missing = [
    ...(settings.kubeconfig === undefined && !printPublicKey ? ["--kubeconfig is required"] : []),
    ...(settings.certDir === undefined ? ["--cert-dir is required"] : []),
  ];
  if (missing.length > 0) throw new UsageError(missing.join("\n"), "see: tlsboot bootstrap --help");
}

interface BootstrappedOnce {
  /** Failures of hooks after the certificates were stored. */
  readonly hookFaults: readonly string[];
  /** False when the certificate exists already but cannot be used. */
  readonly isReady: boolean;
}

/** Gets the first certificates. With --rotate-certificates, `keepMachineFresh` gets the serving certificate later. */
async function bootstrapOnce(context: Context): Promise<BootstrappedOnce> {
  const { settings, machine, options, onProgress, runHooksFor } = context;
  const { stdout, cwd, signal } = options;
  const resumeCommand = formatResumeCommand(settings, machine, cwd);
  const first = { ...options, onProgress, waitSeconds: settings.timeout / 1000, resumeCommand };
  const outcome = await bootstrap(first, signal);
  const isReady = outcome.kind === "issued" || await checkReadiness(context);
  if (!isReady && !settings.rotateCertificates) return { hookFaults: [], isReady };
  // With --rotate-certificates, `keepMachineFresh` makes this update.
  const update = isReady && outcome.kind === "alreadyValid" && !settings.rotateCertificates
    ? await updateForNewCa(options, signal)
    : undefined;
  if (update?.trust !== undefined) stdout.write(escapeText(describeTrustChange(update.trust, cwd)));
  const renewed = update?.renewed;
  if (renewed !== undefined) stdout.write(escapeText(describeChange(renewed, false, cwd)));
  else if (isReady) stdout.write(escapeText(describeOutcome(outcome, machine, cwd)));
  const change: PairChange | undefined = outcome.kind === "issued" ? { purpose: "client", ...outcome } : renewed;
  const hookFaults = change === undefined ? [] : await runHooksFor(change);
  if (!settings.serving || settings.rotateCertificates) return { hookFaults, isReady };
  const store = await openCredentialStore({ ...options, prefix: CLIENT_STORE_PREFIX });
  const template = await getServingTemplate(settings, machine, options.files);
  const connect = () => connectAsNode({ ...options, store });
  const served = await bootstrapServing({ ...first, template, retirement: update?.retirement, connect }, signal);
  stdout.write(escapeText(describeServing(served, cwd)));
  const servingFaults = served.kind === "issued" ? await runHooksFor({ purpose: "serving", ...served }) : [];
  return { hookFaults: [...hookFaults, ...servingFaults], isReady };
}

/**
 * Lets a machine that starts while the server is down keep its valid certificate, and prove again at the next renewal.
 * Rethrows any other error, such as a refused proof.
 */
async function continueWithoutServer(
  { settings, machine, options }: Context,
  error: unknown,
): Promise<BootstrappedOnce> {
  const canWait = settings.attest !== undefined && settings.rotateCertificates;
  if (!canWait || !isAppError(error) || !error.retryable) throw error;
  if ((await checkKubeconfig(machine.kubeconfigPath, options)).kind !== "valid") throw error;
  options.logger.warn("the server does not answer, proving at the next renewal", { error: error.message });
  return { hookFaults: [], isReady: true };
}

/**
 * Checks that the existing certificate can be used, and reports problems on stderr. A run that renews certificates
 * continues in any case, as kubelet does, because a renewal may fix the problem.
 */
async function checkReadiness({ settings, machine, options }: Context): Promise<boolean> {
  const { cwd, signal } = options;
  const deps = { ...options, show: (path: string) => displayPath(path, cwd) };
  const isNameGiven = settings.hostnameOverride !== undefined;
  const reading = await readMachine({ ...machine, isNameGiven }, deps, signal);
  const { findings } = await examineMachine(reading, createBootstrapWords(settings, machine, cwd), deps, signal);
  const problems = findings.filter(({ check }) => !FIXED_BY_RUN.includes(check));
  const errors = problems.filter(({ severity }) => severity === "error");
  const warnings = problems.filter(({ severity }) => severity === "warning");
  for (const { severity, message, fix, advice } of [...errors, ...warnings]) {
    const next = fix ?? advice ?? "see: tlsboot guide broken_machine";
    if (settings.rotateCertificates) options.logger.warn("this machine may not work", { problem: message, fix: next });
    else if (severity === "warning") warn(`${message}; ${next}`, options);
    else reportError(new AppError("invalid", message, { hint: next }), options, false);
  }
  return errors.length === 0;
}

/** The checks whose faults the run itself fixes: it takes over new CAs, and gets the serving certificate. */
const FIXED_BY_RUN: readonly string[] = ["trusted-cas", "serving-certificate"];

/** Warns when the signer grants a shorter lifetime than `--duration`. */
function reportShortenedLifetime(
  life: { readonly notBefore: Date; readonly notAfter: Date },
  { duration }: Settings<typeof bootstrapCommand.flags>,
  io: Io,
): void {
  const cut = describeShortenedLifetime(life, toExpirationSeconds(duration));
  if (cut !== undefined) warn(cut, io);
}

function describeTrustChange({ path, fingerprints, added, removed }: TrustChange, cwd: string): string {
  const count = fingerprints.length === 1 ? "1 CA is" : `${fingerprints.length} CAs are`;
  return `${displayPath(path, cwd)}: ${count} trusted now (${added} new, ${removed} removed)\n`;
}

function describeChange({ purpose, pair, certificatePath }: PairChange, isFirst: boolean, cwd: string): string {
  if (purpose === "serving" && isFirst) return describeServing({ kind: "issued", pair, certificatePath }, cwd);
  const what = purpose === "client" ? "certificate" : "serving certificate";
  return `${what} renewed, valid until ${formatTime(pair.leaf.notAfter)}\n`;
}

const MAKE_JOIN_FILE = "make one with: tlsboot token create --node NODE -o pack --out FILE";

/** The name of the installed join file, as in kubeadm. */
const INSTALLED_NAME = basename(KUBELET_PATHS.bootstrapKubeconfig);

/**
 * Completes the settings with those of the join file, or for a proof with kubelet's paths. Flags take precedence, except for
 * credentials. Returns the join file of a pack too, to be installed next to the kubeconfig. Throws UsageError for other
 * credentials that were typed, and AppError `config_invalid` for a file that is neither a join file nor a pack.
 */
async function applyJoinFile(
  given: Settings<typeof bootstrapCommand.flags>,
  origins: Readonly<Record<string, string>>,
  { cwd, files }: Tools,
): Promise<{ readonly settings: Settings<typeof bootstrapCommand.flags>; readonly joinFile?: TextFile }> {
  if (given.attest !== undefined) {
    return {
      settings: {
        ...given,
        kubeconfig: given.kubeconfig ?? KUBELET_PATHS.kubeconfig,
        certDir: given.certDir ?? KUBELET_PATHS.certDir,
        join: undefined,
        bootstrapKubeconfig: undefined,
        token: undefined,
        tokenFile: undefined,
      },
    };
  }
  if (given.join === undefined) {
    if (given.bootstrapKubeconfig === undefined || given.offline !== undefined) return { settings: given };
    const typed = listTypedFlags(origins, ["server", "token", "tokenFile", "caCertHash"]);
    if (typed.length === 0) return { settings: preferFile(given) };
    throw new UsageError(`--bootstrap-kubeconfig has the credentials: leave out ${typed.join(", ")}`);
  }
  const settings = preferFile(given);
  const joinPath = resolve(cwd, given.join);
  const isFolder = (await files.stat(joinPath))?.kind === "directory";
  const path = isFolder ? join(joinPath, PACK_JOIN_FILE) : joinPath;
  const content = await files.readText(path);
  if (content === undefined) {
    throw new AppError("not_found", `cannot read the join file "${path}": no such file`, { hint: MAKE_JOIN_FILE });
  }
  const packed = isTar(content) ? readPack(content, path) : undefined;
  const machine = parseJoinFile(packed ?? content, path);
  if (!machine.ok) throw new AppError("config_invalid", machine.error, { hint: MAKE_JOIN_FILE });
  const { node, kubeconfig, certDir } = machine.value;
  const completed = {
    ...settings,
    join: undefined,
    hostnameOverride: settings.hostnameOverride ?? node,
    kubeconfig: settings.kubeconfig ?? kubeconfig,
    certDir: settings.certDir ?? certDir,
  };
  if (packed === undefined) return { settings: { ...completed, bootstrapKubeconfig: path } };
  const installed = join(dirname(resolve(cwd, completed.kubeconfig)), INSTALLED_NAME);
  return {
    settings: { ...completed, bootstrapKubeconfig: installed },
    joinFile: { path: installed, text: packed, mode: SECRET_MODE },
  };
}

/** Recognizes a tar by the magic of its first header (POSIX.1-1988). */
function isTar(content: string): boolean {
  return content.slice(257, 262) === "ustar";
}

/** Reads the join file in a pack. All files of a pack are text, so it can be read as text. */
function readPack(content: string, path: string): string {
  const files = readTarFiles(Buffer.from(content));
  const found = files.ok ? files.value.get(PACK_JOIN_FILE) : undefined;
  if (found !== undefined) return Buffer.from(found).toString("utf8");
  const why = files.ok ? `it has no ${PACK_JOIN_FILE}` : files.error;
  throw new AppError("config_invalid", `cannot use the pack "${path}": ${why}`, { hint: MAKE_JOIN_FILE });
}
