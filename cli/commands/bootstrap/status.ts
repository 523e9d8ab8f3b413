/** `tlsboot bootstrap --status`: the certificates of a machine, their validity, problems, and the next steps. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { CLIENT_STORE_PREFIX } from "../../../client/bootstrap.ts";
import { findWaitingRequest } from "../../../client/certificate/kept_key.ts";
import { createConnector } from "../../../client/transport/connect.ts";
import { type FoundPair, viewCredentialStore } from "../../../client/certificate/credential_store.ts";
import type { FilePort } from "../../../client/files.ts";
import { checkKubeconfig, connectAsNode, type KubeconfigValidity } from "../../../client/node_kubeconfig.ts";
import { askServer, findStrayTarget, listSecretFiles } from "../../../client/machine_evidence.ts";
import { SERVING_STORE_PREFIX } from "../../../client/serving.ts";
import type { Finding } from "../../../core/doctor/finding.ts";
import {
  checkMachine,
  type Problem,
  type ServerAnswer,
  type StoredPairState,
  toProblems,
} from "../../../core/doctor/machine.ts";
import {
  createServingTemplate,
  parseNodeCommonName,
  parseNodeName,
  toNodeSubject,
} from "../../../core/bootstrap/node_name.ts";
import {
  type CertificateTemplate,
  getPairStatus,
  satisfiesTemplate,
  toRenewableCertificate,
} from "../../../core/bootstrap/renewal.ts";
import { AppError } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { parseKubeconfig } from "../../../core/kube/kubeconfig.ts";
import { parseCertificate } from "../../../core/pki/certificate.ts";
import { formatName } from "../../../core/pki/names.ts";
import { parsePemBlocks } from "../../../core/pki/pem.ts";
import type { BootstrapFlags } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Io } from "../../io.ts";
import { displayPath } from "../../output/display_path.ts";
import { oneLine } from "../../output/escape.ts";
import { writeStructured } from "../../output/structured.ts";
import { alignTabs, DESCRIBE_TABS } from "../../output/tab_writer.ts";
import { USER_AGENT } from "../../version.ts";
import {
  commandLine,
  describeContinuation,
  describeKeeping,
  describeNextRequest,
  describeRemoval,
} from "./command_words.ts";
import type { Examined } from "../doctor/examine.ts";
import { inspectSecret, inspectSecretFolder, OLDER_PAIR } from "../doctor/files.ts";
import { examineDisk, examineName } from "../doctor/host.ts";
import { examineMachineFiles } from "../doctor/machine_files.ts";
import { examineTrust } from "../doctor/machine_trust.ts";
import type { Machine } from "./machine.ts";
import { readServingNames } from "./serving_names.ts";
import { formatStatus, type ReportedPair, type StatusReport } from "./status_report.ts";

/** The adapters for reading the status. */
export interface StatusTools {
  readonly io: Io;
  readonly files: FilePort;
}

/** Prints the status. The exit code is `no` when something is missing, broken, due or refused. */
export async function showStatus(
  settings: Settings<BootstrapFlags>,
  machine: Machine,
  tools: StatusTools,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { report, lines } = await examineMachine(settings, machine, tools, signal);
  if (settings.output !== undefined) writeStructured(report, settings.output, tools.io);
  else tools.io.stdout.write(`${alignTabs(lines.map(oneLine).join("\n"), DESCRIBE_TABS)}\n`);
  return report.isReady ? EXIT.done : EXIT.no;
}

/** Finds the problems of a machine with a valid kubeconfig, for a run that has nothing else to do. */
export async function findProblems(
  settings: Settings<BootstrapFlags>,
  machine: Machine,
  tools: StatusTools,
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  const { findings } = await examineMachine({ ...settings, serving: false }, machine, tools, signal);
  return toProblems(findings.filter(({ check }) => !DONE_BY_THE_RUN.includes(check)));
}

/** The checks of what the run itself does: it takes over new CAs, and gets the serving certificate. */
const DONE_BY_THE_RUN: readonly string[] = ["trusted-cas", "serving-certificate"];

/** What the checks of `doctor` found on a machine, and the status that `bootstrap --status` prints. */
export interface MachineExamination extends Examined {
  readonly report: StatusReport;
  readonly lines: readonly string[];
}

/** Everything that is known about a machine before it is checked. */
export interface StatusEvidence {
  readonly machine: Machine;
  readonly kubeconfig: KubeconfigValidity;
  readonly client: ReportedPair;
  /** Undefined when there is no serving certificate and none is requested. */
  readonly serving: ReportedPair | undefined;
  readonly server: ServerAnswer;
  /** The link to the client certificate in use. */
  readonly currentPath: string;
}

/** The checks whose results are the states in the status, and so no problems in it. */
const STATED_CHECKS: readonly string[] = ["kubeconfig", "client-certificate", "serving-certificate"];

const NO_CREDENTIALS = { server: undefined, token: undefined, tokenFile: undefined, caCertHash: [] };

/** Examines a machine with every check of `doctor`. */
export async function examineMachine(
  settings: Settings<BootstrapFlags>,
  given: Machine,
  tools: StatusTools,
  signal: AbortSignal,
): Promise<MachineExamination> {
  const { io, files } = tools;
  const evidence = await readEvidence(settings, given, tools, signal);
  const { machine, kubeconfig, client, serving, server, currentPath } = evidence;
  const deps = { io, files, connect: createConnector({ files, clock: io.clock, env: io.env, userAgent: USER_AGENT }) };
  const show = (path: string): string => displayPath(path, io.cwd);
  const secrets = listSecretFiles(
    [client.found, serving?.found],
    { path: machine.kubeconfigPath, cluster: kubeconfig.kind === "valid" ? kubeconfig.cluster : undefined },
  );
  const target = show(machine.certDir);
  const hasLink = await files.lstat(currentPath) !== undefined;
  const inUse = [machine.kubeconfigPath, ...(hasLink ? [currentPath] : [])];
  const checked = checkMachine(
    {
      nodeName: machine.nodeName,
      certDir: target,
      kubeconfig: {
        path: show(machine.kubeconfigPath),
        state: kubeconfig.kind,
        reason: kubeconfig.kind === "invalid" ? kubeconfig.reason : undefined,
        isOfPair: kubeconfig.kind === "invalid" && kubeconfig.isOfPair,
      },
      client: { ...client.report, path: show(client.report.path) },
      serving: serving === undefined ? undefined : { ...serving.report, path: show(serving.report.path) },
      secrets: await Promise.all(secrets.map((path) => inspectSecret(path, deps))),
      folders: await inspectSecretFolder(machine.certDir, deps),
      strayTarget: await findStrayTarget(currentPath, files),
      server,
      isUnverified: kubeconfig.kind === "valid" && kubeconfig.cluster.insecureSkipTlsVerify,
    },
    {
      again: describeRemoval(settings, machine, currentPath, io),
      keep: describeKeeping(settings, machine, kubeconfig.kind === "valid" ? inUse : [], io),
      serving: { fix: commandLine({ ...settings, serving: true }, machine, io.cwd) },
    },
    target,
  );
  const stored = await examineMachineFiles({ machine, target }, deps);
  const findings: readonly Finding[] = [
    ...checked,
    ...stored.findings,
    ...(kubeconfig.kind === "valid" ? await examineName(kubeconfig.cluster.server, { target }) : []),
    ...await examineDisk(machine.certDir, target, deps),
    ...(server.kind === "accepted"
      ? await examineTrust(
        {
          ...machine,
          leaf: client.found?.pair.leaf,
          fix: commandLine({ ...settings, ...NO_CREDENTIALS, serving: false }, machine, io.cwd),
        },
        target,
        deps,
        signal,
      )
      : []),
  ];
  const problems = toProblems(findings.filter(({ check }) => !STATED_CHECKS.includes(check)));
  const report: StatusReport = {
    nodeName: machine.nodeName,
    isReady: !findings.some(({ severity }) => severity === "error"),
    problems,
    kubeconfig: {
      path: machine.kubeconfigPath,
      state: kubeconfig.kind,
      ...(kubeconfig.kind === "invalid" ? { reason: kubeconfig.reason } : {}),
    },
    client: client.report,
    ...(serving === undefined ? {} : { serving: serving.report }),
    server: createServerReport(server, kubeconfig),
  };
  return { ...stored, findings, report, lines: formatStatus(report, { client, serving }, io) };
}

/** Reads the files of a machine, and asks the server whether it accepts the machine. */
async function readEvidence(
  settings: Settings<BootstrapFlags>,
  given: Machine,
  tools: StatusTools,
  signal: AbortSignal,
): Promise<StatusEvidence> {
  const { io: { clock, env }, files } = tools;
  const connect = createConnector({ files, clock, env, userAgent: USER_AGENT });
  const kubeconfig = await checkKubeconfig(given.kubeconfigPath, { files, clock, connect });
  // A node's kubeconfig may contain its pair, which is in use until a renewal stores one in the folder.
  const held = kubeconfig.kind === "valid" ? { pair: kubeconfig.pair, keyPath: given.kubeconfigPath } : undefined;
  const store = viewCredentialStore({ files, clock, certDir: given.certDir, prefix: CLIENT_STORE_PREFIX });
  const machine = settings.hostnameOverride === undefined
    ? withKnownName(given, [
      parseNodeCommonName((held?.pair ?? await store.current().catch(() => undefined))?.leaf.subject.commonName),
      (await findWaitingRequest(store.temporaryKeyPath, files))?.note?.nodeName,
      ...await findOtherNames(given, files),
    ])
    : given;
  const own = { ...toNodeSubject(machine.nodeName), dnsNames: [], ipAddresses: [] };
  const client = await readPair(CLIENT_STORE_PREFIX, machine, own, settings, tools, held);
  const wanted = settings.serving
    ? createServingTemplate(machine.nodeName, await readServingNames(settings, machine, files))
    : undefined;
  const serving = await readPair(SERVING_STORE_PREFIX, machine, wanted, { ...settings, serving: true }, tools);
  const isServing = settings.serving || serving.report.state !== "missing" || serving.report.isRequested;
  const connectNode = () => connectAsNode({ kubeconfigPath: machine.kubeconfigPath, store, files, connect });
  const server: ServerAnswer = kubeconfig.kind === "valid"
    ? await askServer(connectNode, clock, signal)
    : { kind: "notAsked", reason: "there is no valid kubeconfig" };
  return {
    machine,
    kubeconfig,
    client,
    serving: isServing ? serving : undefined,
    server,
    currentPath: store.currentPath,
  };
}

/** Without --hostname-override, a stored node name takes precedence over the host name, which may differ. */
function withKnownName(machine: Machine, names: readonly (string | undefined)[]): Machine {
  const name = parseNodeName(names.find((known) => known !== undefined) ?? machine.nodeName);
  return name.ok ? { ...machine, nodeName: name.value } : machine;
}

/** Finds the name of a machine without a current pair: in its kubeconfig, as kubeadm writes it, and in its older pairs. */
async function findOtherNames(
  { kubeconfigPath, certDir }: Machine,
  files: FilePort,
): Promise<readonly (string | undefined)[]> {
  const kubeconfig = parseKubeconfig(await files.readText(kubeconfigPath).catch(() => undefined) ?? "", kubeconfigPath);
  const users = kubeconfig.ok ? kubeconfig.value.users.map(({ name }) => name) : [];
  const older = (await readdir(certDir).catch(() => [])).filter((name) => OLDER_PAIR.test(name)).sort().at(-1);
  const text = older === undefined ? undefined : await files.readText(join(certDir, older)).catch(() => undefined);
  const certificate = parseCertificate(
    parsePemBlocks(text ?? "").find(({ label }) => label === "CERTIFICATE")?.bytes ?? new Uint8Array(),
  );
  return [...users, certificate.ok ? certificate.value.subject.commonName : undefined].map(parseNodeCommonName);
}

async function readPair(
  prefix: string,
  machine: Machine,
  wanted: CertificateTemplate | undefined,
  settings: Settings<BootstrapFlags>,
  { io, files }: StatusTools,
  held?: FoundPair,
): Promise<ReportedPair> {
  const store = viewCredentialStore({ files, clock: io.clock, certDir: machine.certDir, prefix });
  const waiting = await findWaitingRequest(store.temporaryKeyPath, files);
  const base = { path: store.currentPath, isRequested: waiting !== undefined };
  const renewal = waiting === undefined
    ? describeNextRequest(settings, machine, io, prefix === SERVING_STORE_PREFIX)
    : `its request is waiting; ${
      describeContinuation(waiting.note?.command, settings, machine, io, prefix === SERVING_STORE_PREFIX)
    }`;
  let found: FoundPair | undefined;
  try {
    found = await store.find() ?? held;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { report: { ...base, state: "broken", reason: error.message, next: renewal }, found };
  }
  if (found === undefined) return { report: { ...base, state: "missing", next: renewal }, found };
  const { leaf } = found.pair;
  const { state: age, renewalFrom, renewalBy } = getPairStatus(leaf, io.clock.now());
  const fits = wanted === undefined || satisfiesTemplate(toRenewableCertificate(found.pair.leaf), wanted);
  const state: StoredPairState = age === "valid" && !fits ? "mismatched" : age;
  // Only a renewal by a stick has a request of its own while the certificate is valid.
  const isRenewing = waiting !== undefined && (state === "valid" || state === "renewalDue");
  const next = isRenewing
    ? renewal
    : state === "valid"
    ? `renewed between ${formatTime(renewalFrom)} and ${formatTime(renewalBy)} by --rotate-certificates`
    : state === "notYetValid"
    ? "set this machine's clock"
    : state === "renewalDue"
    ? `run: ${commandLine({ ...settings, rotateCertificates: settings.offline === undefined }, machine, io.cwd)}`
    : renewal;
  return {
    found,
    report: {
      ...base,
      state,
      ...(state === "mismatched" && wanted !== undefined ? { reason: `it is not for ${formatNames(wanted)}` } : {}),
      next,
      subject: formatName(leaf.subject),
      dnsNames: leaf.dnsNames,
      ipAddresses: leaf.ipAddresses,
      serialNumber: leaf.serialNumber,
      sha256Fingerprint: leaf.sha256Fingerprint,
      notBefore: formatTime(leaf.notBefore),
      notAfter: formatTime(leaf.notAfter),
      renewalFrom: formatTime(renewalFrom),
      renewalBy: formatTime(renewalBy),
    },
  };
}

function formatNames({ commonName, dnsNames, ipAddresses }: CertificateTemplate): string {
  return [commonName, ...dnsNames, ...ipAddresses].join(", ");
}

function createServerReport(server: ServerAnswer, validity: KubeconfigValidity): StatusReport["server"] {
  const skewMs = "clock" in server && server.clock !== undefined
    ? server.clock.ourTime.getTime() - server.clock.serverTime.getTime()
    : undefined;
  return {
    state: server.kind,
    ...(validity.kind === "valid" ? { url: validity.cluster.server } : {}),
    ...("reason" in server ? { reason: server.reason } : {}),
    ...("username" in server && server.username !== undefined ? { username: server.username } : {}),
    ...(skewMs === undefined ? {} : { clockSkewSeconds: Math.round(skewMs / 1000) }),
  };
}
