/** Gets a certificate for any program and writes it with its key. */
import { resolve } from "node:path";
import type { SubmittedRequest } from "../../../client/certificate/submit_request.ts";
import { createFilePort } from "../../../client/files.ts";
import { openPairFolder, type PairFolder } from "../../../client/certificate/pair_folder.ts";
import {
  getOutcomeLeaf,
  type OfflineRequestOptions,
  requestCertificate,
  type RequestCertificateOptions,
  requestOffline,
  type RequestOutcome,
  RequestRefusedError,
} from "../../../client/request.ts";
import { describeMissingSigner } from "../../../core/csr/missing_signer.ts";
import { AppError } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import type { CertificateFacts } from "../../../core/pki/certificate.ts";
import { formatName } from "../../../core/pki/names.ts";
import { publicKeyPin } from "../../../core/pki/public_key_pin.ts";
import { parsePrivateKey, type PrivateKey } from "../../../core/pki/keys.ts";
import { checkPrivateFile } from "../../../client/private_file.ts";
import { shellWord } from "../../../core/lib/shell_word.ts";
import type { RequestFlags } from "./flags.ts";
import { connect } from "../../api/connection.ts";
import { checkGivenKey, checkKeyAlgorithm } from "../../flags/feature_gates.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { listTypedFlags } from "../../framework/settings.ts";
import { UsageError } from "../../framework/usage_error.ts";
import { createHookError } from "../../hook_command.ts";
import type { Io } from "../../io.ts";
import { createLogger } from "../../logging.ts";
import { waitForPlausibleClock } from "../../plausible_clock.ts";
import { displayPath } from "../../output/display_path.ts";
import { escapeText, line } from "../../output/escape.ts";
import { createSteps, findDeadline } from "../../output/progress.ts";
import { writeStructured } from "../../output/structured.ts";
import { parseCsrNames } from "../../api/csrs.ts";
import { describeCertificate } from "../inspect/facts.ts";
import { reportFirstTrust, reportNextSteps } from "../bootstrap/offline.ts";
import { checkFollowUp, followUp } from "./follow_up.ts";
import { describeIgnoredRenewal, describeRequestProgress, describeShortenedLifetime } from "./progress.ts";

type RequestSettings = Input<RequestFlags>["settings"];

/** The action of the command `tlsboot request`. */
export async function run(input: Input<RequestFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings } = input;
  checkCertificateSettings(settings);
  if (input.args.length > 0) {
    const { runForWebServer } = await import("./web_server.ts");
    return await runForWebServer(input, io, signal);
  }
  checkSettings(input);
  const files = createFilePort();
  const folder = openPairFolder(resolve(io.cwd, settings.out ?? ""), files);
  const key = settings.key === undefined ? settings.keyAlgorithm : await readKey(resolve(io.cwd, settings.key), io);
  if (typeof key !== "string") checkGivenKey(key.algorithm, settings.featureGates, "key");
  await waitForPlausibleClock(io, settings.noWait ? 0 : settings.timeout, signal);
  if (settings.offline !== undefined) {
    const options = { ...toRequestOptions(settings), target: folder, key, files, clock: io.clock };
    return await runOffline({ settings, folder, options, stick: settings.offline, io }, signal);
  }
  await using connection = await connect(settings, io);
  const outcome = await requestWithSteps(
    {
      ...toRequestOptions(settings),
      target: folder,
      key,
      transport: connection.transport,
      files,
      clock: io.clock,
      random: io.random,
      logger: createLogger({ stderr: io.stderr, clock: io.clock, level: input.isDebug ? "debug" : "warn" }),
    },
    io,
    signal,
  );
  if (settings.output === undefined) io.stdout.write(escapeText(describeOutcome(outcome, folder, io)));
  else writeStructured(toFacts(outcome, folder, settings, io), settings.output, io);
  if (outcome.kind === "pending") {
    reportPending(outcome, settings.signerName ?? "", io);
    return EXIT.done;
  }
  await followUpOrThrow(settings, folder, io, signal);
  return EXIT.done;
}

/** Approves a request that was just submitted, and reports the result with `report`. */
export type ApproveSubmitted = (
  submitted: SubmittedRequest,
  report: (text: string) => void,
  signal: AbortSignal,
) => Promise<void>;

/** Requests a certificate and prints each step on stderr. A request that is sure to be refused throws UsageError. */
export async function requestWithSteps(
  options: RequestCertificateOptions,
  io: Io,
  signal: AbortSignal,
  approve?: ApproveSubmitted,
): Promise<RequestOutcome> {
  using steps = createSteps(io);
  const report = (text: string): void => steps.step(text);
  let until: Date | undefined;
  try {
    const outcome = await requestCertificate({
      ...options,
      onProgress: (event) => {
        const text = describeRequestProgress(event, io.cwd);
        if (text !== undefined) {
          steps.step(text, event.kind === "approved" ? { what: "the certificate", until } : undefined);
        }
      },
      async afterSubmit(submitted, inner) {
        until = findDeadline(options.timeoutSeconds * 1000, io.clock);
        if (approve !== undefined) await approve(submitted, report, inner);
        else if (options.timeoutSeconds > 0) {
          steps.step(`waiting for approval: tlsboot approve ${shellWord(submitted.name)}`, { what: "approval", until });
        }
      },
    }, signal);
    const cut = outcome.kind === "issued"
      ? describeShortenedLifetime(outcome.pair.leaf, options.expirationSeconds)
      : undefined;
    if (cut !== undefined) steps.step(cut);
    const ignored = outcome.kind === "pending"
      ? undefined
      : describeIgnoredRenewal(getOutcomeLeaf(outcome), options.renewal.renewBeforeMs);
    if (ignored !== undefined) steps.step(ignored);
    return outcome;
  } catch (error) {
    throw toUsage(error);
  }
}

function toUsage(error: unknown): unknown {
  return error instanceof RequestRefusedError ? new UsageError(error.message) : error;
}

/** Reports what a request without a certificate is waiting for. */
export function reportPending(
  { submitted, isApproved }: RequestOutcome & { readonly kind: "pending" },
  signerName: string,
  io: Pick<Io, "stderr">,
): void {
  const next = isApproved
    ? line`it is approved, but not signed yet: ${describeMissingSigner(signerName)}`
    : line`approve it with: tlsboot approve ${shellWord(submitted.name)}`;
  io.stderr.write(`${next}\nthen run the same command again to get the certificate\n`);
}

/** The flags that need the name of a web server. */
const NAMED_FLAGS = ["join", "server", "token", "tokenFile", "rotateCertificates", "printSystemdUnit"] as const;

/** Checks the settings of every request, with NAME and without. */
function checkCertificateSettings(settings: RequestSettings): void {
  const { keyAlgorithm, featureGates, force, duration, renewBefore } = settings;
  checkFollowUp(settings);
  checkKeyAlgorithm(keyAlgorithm, featureGates, "key-algorithm");
  if (force && renewBefore !== undefined) throw new UsageError("give --renew-before or --force, not both");
  if (duration !== undefined && renewBefore !== undefined && renewBefore >= duration) {
    throw new UsageError("--renew-before must be shorter than --duration: the certificate would be replaced each time");
  }
}

/** Checks the settings of a request without NAME. */
function checkSettings({ settings, origins }: Input<RequestFlags>): void {
  const missing = [
    ...(settings.signerName === undefined ? ["--signer-name is required"] : []),
    ...(settings.out === undefined ? ["--out is required"] : []),
  ];
  if (missing.length > 0) {
    throw new UsageError(
      missing.join("\n"),
      "name a web server for a certificate of --web-domain; see: tlsboot request --help",
    );
  }
  const [named] = listTypedFlags(origins, NAMED_FLAGS);
  if (named !== undefined) throw new UsageError(`${named} needs NAME, the name of a web server`);
  if (settings.key !== undefined && origins["keyAlgorithm"] !== "default") {
    throw new UsageError("give --key or --key-algorithm, not both");
  }
  if (settings.offline === undefined && listTypedFlags(origins, ["caCertHash"]).length > 0) {
    throw new UsageError("--ca-cert-hash needs --offline", "the CA of the API is in the kubeconfig");
  }
  if (settings.name !== undefined) parseCsrNames([settings.name]);
  const names = [settings.dns, settings.ip, settings.uri, settings.email];
  if (settings.subject === undefined && names.every((list) => list.length === 0)) {
    throw new UsageError(
      "the certificate needs a name",
      "give --subject CN=name, or --dns, --ip, --uri or --email",
    );
  }
}

/** Writes the PKCS#12 file and runs the command of the settings. AppError when the command fails. */
async function followUpOrThrow(
  settings: RequestSettings,
  { paths }: PairFolder,
  io: Io,
  signal: AbortSignal,
): Promise<void> {
  const name = settings.subject?.commonName ?? settings.dns[0] ?? "tlsboot";
  const folder = resolve(io.cwd, settings.out ?? "");
  const faults = await followUp({ settings, name, folder, paths, files: createFilePort(), io }, signal);
  if (faults.length > 0) throw createHookError("the certificate", faults);
}

/** The settings and the adapters of a run without a network. */
interface OfflineRun {
  readonly settings: RequestSettings;
  readonly folder: PairFolder;
  readonly options: Omit<OfflineRequestOptions, "folder" | "site">;
  readonly stick: string;
  readonly io: Io;
}

/** Writes the request into the folder, or takes up its answer. */
async function runOffline(
  { settings, folder, options, stick, io }: OfflineRun,
  signal: AbortSignal,
): Promise<ExitCode> {
  const site = settings.caCertHash;
  const outcome = await requestOffline({ ...options, folder: resolve(io.cwd, stick), site }).catch((error: unknown) => {
    throw toUsage(error);
  });
  if (outcome.kind === "pending") {
    const path = displayPath(outcome.requestPath, io.cwd);
    if (settings.output !== undefined) {
      writeStructured(
        {
          outcome: "pending",
          signerName: settings.signerName,
          requestFile: outcome.requestPath,
          pendingKey: folder.pendingKeyPath,
        },
        settings.output,
        io,
      );
    } else {io.stdout.write(
        escapeText(outcome.isNew ? `request written: ${path}\n` : `no answer yet to the request ${path}\n`),
      );}
    reportNextSteps(stick, "the same command again", io);
    return outcome.isNew ? EXIT.done : EXIT.no;
  }
  const leaf = getOutcomeLeaf(outcome);
  if (settings.output === undefined) io.stdout.write(escapeText(describeLeaf(outcome.kind, leaf, folder, io)));
  else {
    writeStructured(
      {
        outcome: outcome.kind,
        signerName: settings.signerName,
        files: folder.paths,
        certificate: describeCertificate(leaf, io.clock.now()).facts,
      },
      settings.output,
      io,
    );
  }
  const [ca] = outcome.kind === "issued" ? outcome.answer.issuer : [];
  if (settings.caCertHash.length === 0 && ca !== undefined) reportFirstTrust(publicKeyPin(ca), io);
  await followUpOrThrow(settings, folder, io, signal);
  return EXIT.done;
}

function toRequestOptions(
  settings: RequestSettings,
): Pick<
  RequestCertificateOptions,
  "signerName" | "subject" | "names" | "usages" | "expirationSeconds" | "csrName" | "renewal" | "timeoutSeconds"
> {
  const { duration, renewBefore, usage, name } = settings;
  return {
    signerName: settings.signerName ?? "",
    subject: settings.subject ?? {},
    names: {
      dnsNames: settings.dns,
      ipAddresses: settings.ip,
      uris: settings.uri,
      emailAddresses: settings.email,
    },
    ...(usage.length === 0 ? {} : { usages: usage }),
    ...(duration === undefined ? {} : { expirationSeconds: Math.floor(duration / 1000) }),
    ...(name === undefined ? {} : { csrName: name }),
    renewal: { isForced: settings.force, ...(renewBefore === undefined ? {} : { renewBeforeMs: renewBefore }) },
    timeoutSeconds: settings.noWait ? 0 : settings.timeout / 1000,
  };
}

async function readKey(path: string, io: Io): Promise<PrivateKey> {
  const files = createFilePort();
  const text = await files.readText(path);
  if (text === undefined) throw new AppError("not_found", `cannot read key "${path}": file does not exist`);
  await checkPrivateFile(path, files);
  const key = parsePrivateKey(text);
  if (key.ok) return key.value;
  throw new AppError("key_invalid", `cannot use key "${displayPath(path, io.cwd)}": ${key.error}`);
}

function describeOutcome(outcome: RequestOutcome, folder: PairFolder, io: Io): string {
  if (outcome.kind === "pending") return `request ${outcome.submitted.name} is pending\n`;
  return describeLeaf(outcome.kind, getOutcomeLeaf(outcome), folder, io);
}

function describeLeaf(kind: "kept" | "issued", leaf: CertificateFacts, folder: PairFolder, io: Io): string {
  const subject = formatName(leaf.subject) ||
    [...leaf.dnsNames, ...leaf.ipAddresses, ...leaf.uris, ...leaf.emailAddresses].join(",");
  const until = `valid until ${formatTime(leaf.notAfter)}`;
  if (kind === "kept") return `nothing to do: the certificate of ${subject} is ${until}\n`;
  const { certificate, key, combined } = folder.paths;
  return `certificate of ${subject} issued, ${until}
certificate: ${displayPath(certificate, io.cwd)}
key: ${displayPath(key, io.cwd)}
both: ${displayPath(combined, io.cwd)}
`;
}

/** Returns the answer for programs. Keys may be added, but never removed or changed. */
function toFacts(outcome: RequestOutcome, folder: PairFolder, settings: RequestSettings, io: Io): unknown {
  const leaf = outcome.kind === "kept" ? outcome.leaf : outcome.kind === "issued" ? outcome.pair.leaf : undefined;
  return {
    outcome: outcome.kind,
    signerName: settings.signerName,
    ...(outcome.kind === "kept" ? {} : {
      request: { name: outcome.submitted.name, uid: outcome.submitted.uid, adopted: outcome.submitted.adopted },
    }),
    ...(leaf === undefined ? { pendingKey: folder.pendingKeyPath } : {
      files: folder.paths,
      certificate: describeCertificate(leaf, io.clock.now()).facts,
    }),
  };
}
