/** `tlsboot bootstrap --status`: the certificates of a machine, their validity, problems, and the next steps. */
import { CLIENT_STORE_PREFIX } from "../../../client/bootstrap.ts";
import { findWaitingRequest } from "../../../client/certificate/kept_key.ts";
import { createConnector } from "../../../client/transport/connect.ts";
import { type FoundPair, viewCredentialStore } from "../../../client/certificate/credential_store.ts";
import type { FilePort } from "../../../client/files.ts";
import { checkKubeconfig, connectAsNode, type KubeconfigValidity } from "../../../client/node_kubeconfig.ts";
import { askServer, findStrayTarget, inspectFolder, inspectSecrets } from "../../../client/machine_evidence.ts";
import { SERVING_STORE_PREFIX } from "../../../client/serving.ts";
import {
  assessMachine,
  parseNodeCommonName,
  type Problem,
  type ServerAnswer,
  type StoredPairState,
} from "../../../core/bootstrap/machine_assessment.ts";
import { createServingTemplate, parseNodeName, toNodeSubject } from "../../../core/bootstrap/node_name.ts";
import {
  type CertificateTemplate,
  getPairStatus,
  satisfiesTemplate,
  toRotationCertificate,
} from "../../../core/bootstrap/rotation.ts";
import { AppError } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { formatName } from "../../../core/pki/names.ts";
import { formatValidity } from "../../output/certificate_text.ts";
import type { BootstrapFlags } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Io } from "../../io.ts";
import { displayPath } from "../../output/display_path.ts";
import { oneLine } from "../../output/escape.ts";
import { writeStructured } from "../../output/structured.ts";
import { alignTabs, DESCRIBE_TABS } from "../../output/tab_writer.ts";
import { USER_AGENT } from "../../user_agent.ts";
import { commandLine, describeContinuation, describeNextRequest, describeRemoval } from "./command_words.ts";
import type { Machine } from "./machine.ts";
import { readServingNames } from "./serving_names.ts";

/** The adapters for reading the status. */
export interface StatusTools {
  readonly io: Io;
  readonly files: FilePort;
}

/** One pair in the output. Keys of the JSON may be added, but never removed. */
interface PairReport {
  readonly path: string;
  readonly state: StoredPairState;
  /** The reason why the pair cannot be used. */
  readonly reason?: string;
  /** True while a first request is pending. */
  readonly isRequested: boolean;
  readonly next: string;
  readonly subject?: string;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly serialNumber?: string;
  readonly sha256Fingerprint?: string;
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly renewalFrom?: string;
  readonly renewalBy?: string;
}

/** The status of a machine, as printed with `--output`. */
export interface StatusReport {
  readonly nodeName: string;
  readonly isReady: boolean;
  readonly kubeconfig: {
    readonly path: string;
    readonly state: KubeconfigValidity["kind"];
    readonly reason?: string;
  };
  readonly client: PairReport;
  /** Absent when there is no serving certificate and none is requested. */
  readonly serving?: PairReport;
  readonly server: {
    readonly state: ServerAnswer["kind"];
    readonly url?: string;
    readonly reason?: string;
    readonly username?: string;
    /** How far this machine's clock is ahead of the server's; negative when it is behind. */
    readonly clockSkewSeconds?: number;
  };
  readonly problems: readonly Problem[];
}

/** Prints the status. The exit code is `no` when something is missing, broken, due or refused. */
export async function showStatus(
  settings: Settings<BootstrapFlags>,
  machine: Machine,
  tools: StatusTools,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { report, lines } = await readStatus(settings, machine, tools, signal);
  if (settings.output !== undefined) await writeStructured(report, settings.output, tools.io);
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
  const { report: { client, problems } } = await readStatus({ ...settings, serving: false }, machine, tools, signal);
  if (client.state === "valid") return problems;
  const message = `the client certificate ${displayPath(client.path, tools.io.cwd)} is ${STATE_TEXT[client.state]}`;
  return [{ subject: "certificate", severity: "fault", message, fix: client.next }, ...problems];
}

interface Status {
  readonly report: StatusReport;
  readonly lines: readonly string[];
}

async function readStatus(
  settings: Settings<BootstrapFlags>,
  given: Machine,
  tools: StatusTools,
  signal: AbortSignal,
): Promise<Status> {
  const { io, files } = tools;
  const { clock, cwd } = io;
  const connect = createConnector({ files, clock, userAgent: USER_AGENT });
  const validity = await checkKubeconfig(given.kubeconfigPath, { files, clock, connect });
  // A node's kubeconfig may contain its pair, which is in use until a renewal stores one in the folder.
  const held = validity.kind === "valid" ? { pair: validity.pair, keyPath: given.kubeconfigPath } : undefined;
  const clientStore = viewCredentialStore({ files, clock, certDir: given.certDir, prefix: CLIENT_STORE_PREFIX });
  const machine = settings.hostnameOverride === undefined
    ? withKnownName(given, [
      parseNodeCommonName((held?.pair ?? await clientStore.current().catch(() => undefined))?.leaf.subject.commonName),
      (await findWaitingRequest(clientStore.temporaryKeyPath, files))?.note?.nodeName,
    ])
    : given;
  const own = { ...toNodeSubject(machine.nodeName), dnsNames: [], ipAddresses: [] };
  const client = await readPair(CLIENT_STORE_PREFIX, machine, own, settings, tools, held);
  const wanted = settings.serving
    ? createServingTemplate(machine.nodeName, await readServingNames(settings, machine, files))
    : undefined;
  const serving = await readPair(SERVING_STORE_PREFIX, machine, wanted, { ...settings, serving: true }, tools);
  const isServing = settings.serving || serving.report.state !== "missing" || serving.report.isRequested;
  const server = validity.kind === "valid"
    ? await askServer(
      () => connectAsNode({ kubeconfigPath: machine.kubeconfigPath, store: clientStore, files, connect }),
      clock,
      signal,
    )
    : { kind: "notAsked", reason: "there is no valid kubeconfig" } as const;
  const show = (path: string): string => displayPath(path, cwd);
  const secrets = await inspectSecrets(
    [client.found, isServing ? serving.found : undefined],
    { path: machine.kubeconfigPath, cluster: validity.kind === "valid" ? validity.cluster : undefined },
    files,
  );
  const assessment = assessMachine(
    {
      nodeName: machine.nodeName,
      certDir: show(machine.certDir),
      kubeconfigState: validity.kind,
      clientState: client.report.state,
      servingState: isServing ? serving.report.state : undefined,
      secrets: secrets.map((secret) => ({ ...secret, path: show(secret.path) })),
      folderWriters: await inspectFolder(machine.certDir, files),
      strayTarget: await findStrayTarget(clientStore.currentPath, files),
      server,
    },
    describeRemoval(settings, machine, clientStore.currentPath, io),
  );
  const report: StatusReport = {
    nodeName: machine.nodeName,
    ...assessment,
    kubeconfig: {
      path: machine.kubeconfigPath,
      state: validity.kind,
      ...(validity.kind === "invalid" ? { reason: validity.reason } : {}),
    },
    client: client.report,
    ...(isServing ? { serving: serving.report } : {}),
    server: serverReport(server, validity),
  };
  return {
    report,
    lines: [
      ...headLines(report, machine, io),
      ...formatPairLines("Client certificate", client, io),
      ...(isServing ? formatPairLines("Serving certificate", serving, io) : []),
      ...serverLines(report),
      ...assessment.problems.flatMap(({ severity, message, fix }) => [
        `${severity === "fault" ? "Problem" : "Warning"}:\t${message}`,
        `  Fix:\t${fix}`,
      ]),
    ],
  };
}

/** Without --hostname-override, a stored node name takes precedence over the host name, which may differ. */
function withKnownName(machine: Machine, names: readonly (string | undefined)[]): Machine {
  const name = parseNodeName(names.find((known) => known !== undefined) ?? machine.nodeName);
  return name.ok ? { ...machine, nodeName: name.value } : machine;
}

interface ReadPair {
  readonly report: PairReport;
  readonly found: FoundPair | undefined;
}

async function readPair(
  prefix: string,
  machine: Machine,
  wanted: CertificateTemplate | undefined,
  settings: Settings<BootstrapFlags>,
  { io, files }: StatusTools,
  held?: FoundPair,
): Promise<ReadPair> {
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
  const fits = wanted === undefined || satisfiesTemplate(toRotationCertificate(found.pair.leaf), wanted);
  const state: StoredPairState = age === "valid" && !fits ? "mismatched" : age;
  const next = state === "valid"
    ? `renewed between ${formatTime(renewalFrom)} and ${formatTime(renewalBy)} by --rotate-certificates`
    : state === "notYetValid"
    ? "set this machine's clock"
    : state === "renewalDue"
    ? `run: ${commandLine({ ...settings, rotateCertificates: true }, machine, io.cwd)}`
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
      notBefore: leaf.notBefore.toISOString(),
      notAfter: leaf.notAfter.toISOString(),
      renewalFrom: renewalFrom.toISOString(),
      renewalBy: renewalBy.toISOString(),
    },
  };
}

function formatNames({ commonName, dnsNames, ipAddresses }: CertificateTemplate): string {
  return [commonName, ...dnsNames, ...ipAddresses].join(", ");
}

function serverReport(server: ServerAnswer, validity: KubeconfigValidity): StatusReport["server"] {
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

const STATE_TEXT: Readonly<Record<StoredPairState, string>> = {
  valid: "valid",
  renewalDue: "valid, but its renewal is overdue",
  expired: "expired",
  notYetValid: "not valid yet",
  missing: "missing",
  broken: "broken",
  mismatched: "for other names",
};

function headLines({ nodeName, isReady, kubeconfig }: StatusReport, machine: Machine, io: Io): readonly string[] {
  return [
    `Node:\t${nodeName}`,
    `Ready:\t${isReady ? "yes" : "no"}`,
    `Kubeconfig:\t${displayPath(machine.kubeconfigPath, io.cwd)}`,
    `  State:\t${kubeconfig.reason === undefined ? kubeconfig.state : `invalid, ${kubeconfig.reason}`}`,
  ];
}

const SERVER_TEXT: Readonly<Record<ServerAnswer["kind"], string>> = {
  accepted: "accepts this machine",
  refused: "does not accept this machine",
  untrusted: "not trusted",
  unreachable: "could not be reached",
  notAsked: "not contacted",
};

function serverLines({ server: { url, state, reason, username } }: StatusReport): readonly string[] {
  const what = username === undefined ? SERVER_TEXT[state] : `${SERVER_TEXT[state]} as ${username}`;
  return [
    ...(url === undefined ? [`Server:\t${what}`] : [`Server:\t${url}`, `  State:\t${what}`]),
    ...(state === "notAsked" && reason !== undefined ? [`  Reason:\t${reason}`] : []),
  ];
}

function formatPairLines(title: string, { report, found }: ReadPair, io: Io): readonly string[] {
  const { state, reason, next } = report;
  const leaf = found?.pair.leaf;
  const names = leaf === undefined ? [] : [...leaf.dnsNames, ...leaf.ipAddresses];
  return [
    `${title}:\t${displayPath(report.path, io.cwd)}`,
    `  State:\t${STATE_TEXT[state]}${reason === undefined ? "" : `: ${reason}`}`,
    ...(leaf === undefined ? [] : [`  Subject:\t${formatName(leaf.subject)}`]),
    ...(names.length === 0 ? [] : [`  Names:\t${names.join(", ")}`]),
    ...(leaf === undefined ? [] : [`  Validity:\t${formatValidity(leaf, io.clock.now())}`]),
    `  Next:\t${next}`,
  ];
}
