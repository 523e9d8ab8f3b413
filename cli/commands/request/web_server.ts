/** `tlsboot request NAME`: the certificate of a web server, once or for as long as the command runs. */
import { join, resolve } from "node:path";
import { createKubeconfigFinder, type FindBootstrapCluster } from "../../../client/bootstrap.ts";
import { createFilePort, type FilePort } from "../../../client/files.ts";
import type { RequestProgress } from "../../../client/request.ts";
import { createConnector } from "../../../client/transport/connect.ts";
import { updateWebServer, type WebServerOutcome, webServerPaths } from "../../../client/web_server.ts";
import { WEB_SIGNER } from "../../../core/approval/web_certificates.ts";
import { parseWebName } from "../../../core/approval/web_names.ts";
import { AppError, getErrorMessage } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { formatSettingDuration } from "../../../core/lib/duration.ts";
import { shellWord } from "../../../core/lib/shell_word.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { reportError, warn } from "../../framework/report.ts";
import { listTypedFlags } from "../../framework/settings.ts";
import { UsageError } from "../../framework/usage_error.ts";
import { createHookError } from "../../hook_command.ts";
import type { Io } from "../../io.ts";
import { createLogger } from "../../logging.ts";
import { displayPath, pathWord } from "../../output/display_path.ts";
import { escapeText, line } from "../../output/escape.ts";
import { createSteps, type Steps } from "../../output/progress.ts";
import { writeStructured } from "../../output/structured.ts";
import { connectService } from "../../systemd/service.ts";
import { USER_AGENT } from "../../version.ts";
import { waitForPlausibleClock } from "../../plausible_clock.ts";
import { createClusterFinder } from "../bootstrap/credentials.ts";
import { allowsMlDsa } from "../../flags/feature_gates.ts";
import { formatSystemdUnit } from "../../systemd/unit.ts";
import { describeCertificate } from "../inspect/facts.ts";
import { followUp } from "./follow_up.ts";
import type { RequestFlags } from "./flags.ts";
import { describeIgnoredRenewal, describeRequestProgress } from "./progress.ts";

type WebInput = Input<RequestFlags>;

/** The flags that are for requests without NAME. */
const OTHER_FLAGS = [
  "signerName",
  "subject",
  "uri",
  "email",
  "usage",
  "name",
  "key",
  "offline",
  "kubeconfig",
  "context",
] as const;

/** The things that a run needs beside its flags. */
interface Run {
  readonly input: WebInput;
  readonly name: string;
  /** The absolute path of the folder. */
  readonly folder: string;
  readonly files: FilePort;
  readonly io: Io;
}

/** Gets the certificate of a web server, prints a unit that keeps it fresh, or keeps it fresh itself. */
export async function runForWebServer(input: WebInput, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings, args, origins } = input;
  const parsed = parseWebName(args[0] ?? "");
  if (!parsed.ok) throw new UsageError(`cannot use "${args[0]}" as the name of a web server: ${parsed.error}`);
  const name = parsed.value;
  const [other] = listTypedFlags(origins, OTHER_FLAGS);
  if (other !== undefined) {
    throw new UsageError(`${other} is for a request without NAME`, "see: tlsboot request --help");
  }
  checkModes(settings);
  const files = createFilePort();
  const run: Run = { input, name, folder: resolve(io.cwd, settings.out ?? name), files, io };
  // The unit is checked before anything is requested.
  const unit = settings.printSystemdUnit ? formatUnit(run) : undefined;
  await waitForPlausibleClock(io, settings.noWait ? 0 : settings.timeout, signal);
  if (settings.rotateCertificates) return await keepFresh(run, signal);
  const outcome = await updateOnce(run, signal);
  if (outcome.kind === "pending") {
    if (settings.output === undefined) io.stdout.write(escapeText(`request ${outcome.submitted.name} is pending\n`));
    else {writeStructured(
        { outcome: "pending", signerName: outcome.signerName, request: outcome.submitted },
        settings.output,
        io,
      );}
    io.stderr.write(line`approve it with: tlsboot approve ${shellWord(outcome.submitted.name)}\n`);
    io.stderr.write("then run the same command again to get the certificate\n");
    return EXIT.done;
  }
  report(run, outcome, unit !== undefined);
  const faults = await followUp({
    settings,
    name,
    folder: run.folder,
    paths: webServerPaths(run.folder, files),
    files,
    io,
  }, signal);
  if (unit !== undefined) {
    // The service repeats what has failed, such as the reload of a web server that does not run yet.
    for (const fault of faults) warn(fault, io);
    io.stdout.write(unit);
    return EXIT.done;
  }
  if (faults.length > 0) throw createHookError("the certificate", faults);
  return EXIT.done;
}

function checkModes(
  { rotateCertificates, printSystemdUnit, noWait, force, output, token }: WebInput["settings"],
): void {
  if (rotateCertificates && (noWait || force)) {
    throw new UsageError("--rotate-certificates excludes --no-wait and --force");
  }
  if (printSystemdUnit && (rotateCertificates || noWait || output !== undefined)) {
    throw new UsageError("--print-systemd-unit excludes --rotate-certificates, --no-wait and --output");
  }
  if (rotateCertificates && token !== undefined) {
    throw new UsageError("give a token that is used again and again with --token-file or --join, not --token");
  }
}

/** Gets or renews what is due, and prints each step on stderr. */
async function updateOnce(run: Run, signal: AbortSignal): Promise<WebServerOutcome> {
  const { io } = run;
  using steps = createSteps(io);
  const outcome = await update(run, (event) => reportStep(event, steps, io), signal);
  const ignored = outcome.kind === "issued"
    ? describeIgnoredRenewal(outcome.leaf, run.input.settings.renewBefore)
    : undefined;
  if (ignored !== undefined) steps.step(ignored);
  return outcome;
}

function reportStep(event: RequestProgress, steps: Steps, { cwd }: Io): void {
  const text = describeRequestProgress(event, cwd);
  if (text !== undefined) steps.step(text);
}

async function update(
  { input, name, folder, files, io }: Run,
  onProgress: (event: RequestProgress) => void,
  signal: AbortSignal,
): Promise<WebServerOutcome> {
  const { settings } = input;
  const { duration } = settings;
  const connect = createConnector({ files, clock: io.clock, env: io.env, userAgent: USER_AGENT });
  const logger = createLogger({ stderr: io.stderr, clock: io.clock, level: input.isDebug ? "debug" : "warn" });
  return await updateWebServer({
    ...{ name, folder, files, connect, logger, onProgress, clock: io.clock, random: io.random },
    dnsNames: settings.dns,
    ipAddresses: settings.ip,
    key: settings.keyAlgorithm,
    ...(duration === undefined ? {} : { expirationSeconds: Math.floor(duration / 1000) }),
    renewBeforeMs: settings.renewBefore,
    isForced: settings.force,
    timeoutSeconds: settings.noWait ? 0 : settings.timeout / 1000,
    findCluster: createFinder(settings, name, { files, connect, io }),
  }, signal);
}

const JOIN_HINT =
  "copy web.kubeconfig to this machine: tlsboot up --web-domain writes it to the data directory of the server";

/** Finds the token: in a join file, by the flags, or in the data directory of a server on the same machine. */
function createFinder(
  settings: WebInput["settings"],
  name: string,
  { files, connect, io }: {
    readonly files: FilePort;
    readonly connect: ReturnType<typeof createConnector>;
    readonly io: Io;
  },
): FindBootstrapCluster {
  const { join: joinFile, server, token, tokenFile, caCertHash } = settings;
  const isByFlags = server !== undefined || token !== undefined || tokenFile !== undefined || caCertHash.length > 0;
  if (joinFile !== undefined) {
    if (isByFlags) throw new UsageError("--join has the credentials: leave out --server, --token and the like");
    return createKubeconfigFinder(resolve(io.cwd, joinFile), files, JOIN_HINT);
  }
  if (isByFlags) {
    const credentials = { ...settings, bootstrapKubeconfig: undefined, wait: settings.timeout };
    return createClusterFinder(credentials, name, { io, files, connect, onProgress: () => {} });
  }
  const local = resolve(io.cwd, join(settings.dataDir, "web.kubeconfig"));
  return async (signal) => {
    if (await files.stat(local) !== undefined) return await createKubeconfigFinder(local, files)(signal);
    throw new AppError("credentials_missing", `cannot get an identity for ${name}: there is no token`, {
      hint:
        "run the command that tlsboot up --web-domain prints, or copy web.kubeconfig from the server's data directory " +
        "and give it with --join",
    });
  };
}

/** Prints the result on stdout, or on stderr when stdout is for a unit. */
function report(run: Run, outcome: WebServerOutcome & { readonly kind: "kept" | "issued" }, isUnit: boolean): void {
  const { input: { settings }, name, folder, files, io } = run;
  const { leaf, kind } = outcome;
  const paths = webServerPaths(folder, files);
  if (settings.output !== undefined) {
    const certificate = describeCertificate(leaf, io.clock.now()).facts;
    writeStructured({ outcome: kind, signerName: WEB_SIGNER, files: paths, certificate }, settings.output, io);
    return;
  }
  const out = isUnit ? io.stderr : io.stdout;
  const until = `valid until ${formatTime(leaf.notAfter)}`;
  const shown = (path: string) => displayPath(path, io.cwd);
  const text = kind === "kept"
    ? `nothing to do: the certificate of ${name} is ${until}\n`
    : `certificate of ${name} issued, ${until}
certificate: ${shown(paths.certificate)}
key: ${shown(paths.key)}
both: ${shown(paths.combined)}
CA: ${shown(paths.ca)}
`;
  out.write(escapeText(text));
  if (isUnit || kind === "kept") return;
  const again = ["tlsboot", ...listWords(run, pathWord)].join(" ");
  io.stderr.write(escapeText(`to keep it fresh, print a service with: ${again} --print-systemd-unit\n`));
}

/** The longest and the shortest time between two runs, the shortest after a renewal, and the longest after failures. */
const LONGEST_PAUSE_MS = 3_600_000;
const SHORTEST_PAUSE_MS = 10_000;
const PAUSE_AFTER_RENEWAL_MS = 60_000;
const LONGEST_RETRY_MS = 600_000;

/** Keeps the certificate fresh until the signal fires. A failure is reported, and tried again after a pause. */
async function keepFresh(run: Run, signal: AbortSignal): Promise<never> {
  const { input: { settings, isDebug }, name, folder, files, io } = run;
  const logger = createLogger({ stderr: io.stderr, clock: io.clock, level: "warn" });
  using service = connectService(io, { logger, signal });
  let failures = 0;
  while (true) {
    let pause = LONGEST_PAUSE_MS;
    let shortest = SHORTEST_PAUSE_MS;
    try {
      const outcome = await updateOnce(run, signal);
      if (outcome.kind === "pending") {
        throw new AppError("internal", "a pending request was returned without --no-wait");
      }
      if (outcome.kind === "issued") {
        shortest = PAUSE_AFTER_RENEWAL_MS;
        report(run, outcome, true);
      }
      const follow = { settings, name, folder, paths: webServerPaths(folder, files), files, io };
      const faults = await followUp(follow, signal);
      if (faults.length > 0) throw createHookError("the certificate", faults);
      pause = Math.min(pause, outcome.nextAt.getTime() - io.clock.now().getTime());
      failures = 0;
      service.ready(`certificate of ${name} valid until ${formatTime(outcome.leaf.notAfter)}`);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Error)) throw error;
      // Units that start after this one must not wait for a server that cannot be reached now.
      service.ready(getErrorMessage(error));
      reportError(
        error instanceof AppError ? error : new AppError("internal", getErrorMessage(error), { cause: error }),
        io,
        isDebug,
      );
      pause = Math.min(SHORTEST_PAUSE_MS * 2 ** failures, LONGEST_RETRY_MS);
      failures++;
    }
    await io.clock.sleep(Math.max(shortest, pause), signal);
  }
}

/** Formats the unit. It has no token on its command line, because the identity of the first run renews itself. */
function formatUnit(run: Run): string {
  const { input: { settings }, name, folder, io } = run;
  const given = (path: string | undefined) => path === undefined ? [] : [resolve(io.cwd, path)];
  const pkcs12 = given(settings.pkcs12).map((path) => resolve(path, ".."));
  return formatSystemdUnit({
    writtenBy: "tlsboot request --print-systemd-unit",
    description: `Certificate of ${name}`,
    words: [...listWords(run, (path) => path), "--rotate-certificates"],
    folders: [folder, ...pkcs12],
  }, io);
}

/** Lists the words that repeat the command, with absolute paths and without a token. */
function listWords(
  { input: { settings }, name, folder, io }: Run,
  toPathWord: (path: string, cwd: string) => string,
): readonly string[] {
  const isForShell = toPathWord === pathWord;
  const word = (text: string) => isForShell ? shellWord(text) : text;
  const path = (flag: string, value: string | undefined) =>
    value === undefined ? [] : [flag, toPathWord(resolve(io.cwd, value), io.cwd)];
  const each = (flag: string, values: readonly string[]) => values.flatMap((value) => [flag, word(value)]);
  const { server, token, caCertHash, duration, renewBefore, exec } = settings;
  // Without its token the address of the server is of no use.
  const byFlags = token === undefined && server !== undefined
    ? ["--server", word(server), ...each("--ca-cert-hash", caCertHash)]
    : [];
  return [
    ...["request", word(name)],
    ...(isForShell && settings.out === undefined ? [] : ["--out", toPathWord(folder, io.cwd)]),
    ...path("--join", settings.join),
    ...byFlags,
    ...path("--token-file", settings.tokenFile),
    ...each("--dns", settings.dns),
    ...each("--ip", settings.ip),
    ...(settings.keyAlgorithm === "ecdsa-p256" ? [] : ["--key-algorithm", settings.keyAlgorithm]),
    ...(allowsMlDsa(settings.featureGates) ? ["--feature-gates", "MLDSA=true"] : []),
    ...(duration === undefined ? [] : ["--duration", formatSettingDuration(duration)]),
    ...(renewBefore === undefined ? [] : ["--renew-before", formatSettingDuration(renewBefore)]),
    ...(exec === undefined ? [] : ["--exec", word(exec)]),
    ...path("--pkcs12", settings.pkcs12),
    ...path("--pkcs12-password-file", settings.pkcs12PasswordFile),
  ];
}
