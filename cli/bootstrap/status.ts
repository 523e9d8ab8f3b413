/** `tlsboot bootstrap --status`: what a machine has, until when, and what comes next. Reads files and changes none. */
import { CLIENT_STORE_PREFIX } from "../../client/bootstrap.ts";
import { createConnector } from "../../client/connect.ts";
import { viewCredentialStore } from "../../client/credential_store.ts";
import type { FilePort } from "../../client/files.ts";
import { checkKubeconfig } from "../../client/kubeconfig_validity.ts";
import { rotationCertificateOf } from "../../client/rotation_certificate.ts";
import { SERVING_STORE_PREFIX } from "../../client/serving_bootstrap.ts";
import type { CredentialPair } from "../../core/bootstrap/credential_pair.ts";
import { nodeSubject } from "../../core/bootstrap/node_name.ts";
import { judgePair } from "../../core/bootstrap/pair_status.ts";
import { type CertificateTemplate, satisfiesTemplate } from "../../core/bootstrap/rotation.ts";
import { servingTemplate } from "../../core/bootstrap/serving.ts";
import { AppError } from "../../core/errors.ts";
import { formatTime } from "../../core/kube/meta.ts";
import { formatName } from "../../core/pki/names.ts";
import { shellWord } from "../../core/shell_word.ts";
import { validityText } from "../actions/certificate_text.ts";
import type { BootstrapFlags } from "../commands/bootstrap.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Settings } from "../framework/flags.ts";
import type { Io } from "../io.ts";
import { displayPath } from "../output/display_path.ts";
import { oneLine } from "../output/escape.ts";
import { writeStructured } from "../output/structured.ts";
import { alignTabs, DESCRIBE_TABS } from "../output/tab_writer.ts";
import { USER_AGENT } from "../user_agent.ts";
import type { Machine } from "./machine.ts";
import { readServingNames } from "./serving_names.ts";

interface StatusTools {
  readonly io: Io;
  readonly files: FilePort;
}

/** How a pair stands; `mismatched` is one for other names than are wanted. */
type State = "valid" | "renewalDue" | "expired" | "notYetValid" | "missing" | "broken" | "mismatched";

/** One pair, as it is printed. Keys of the JSON are only ever added. */
interface PairReport {
  readonly path: string;
  readonly state: State;
  /** Why it cannot be used. */
  readonly reason?: string;
  /** True while the key of a first request waits for its certificate. */
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

interface Report {
  readonly nodeName: string;
  readonly isReady: boolean;
  readonly kubeconfig: {
    readonly path: string;
    readonly state: "valid" | "invalid" | "missing";
    readonly reason?: string;
  };
  readonly client: PairReport;
  /** Absent where there is none and none is asked for. */
  readonly serving?: PairReport;
}

/** Prints the status; `no` when something is missing, broken or due. */
export async function showStatus(
  settings: Settings<BootstrapFlags>,
  machine: Machine,
  tools: StatusTools,
): Promise<ExitCode> {
  const report = await readReport(settings, machine, tools);
  if (settings.output !== undefined) await writeStructured(report.facts, settings.output, tools.io);
  else tools.io.stdout.write(`${alignTabs(report.lines.map(oneLine).join("\n"), DESCRIBE_TABS)}\n`);
  return report.facts.isReady ? EXIT.done : EXIT.no;
}

async function readReport(
  settings: Settings<BootstrapFlags>,
  machine: Machine,
  tools: StatusTools,
): Promise<{ readonly facts: Report; readonly lines: readonly string[] }> {
  const { io, files } = tools;
  const connect = createConnector({ files, clock: io.clock, userAgent: USER_AGENT });
  const validity = await checkKubeconfig(machine.kubeconfigPath, { files, clock: io.clock, connect });
  const own = { ...nodeSubject(machine.nodeName), dnsNames: [], ipAddresses: [] };
  // A node's kubeconfig may hold its pair, which then counts until a renewal puts one into the folder.
  const held = validity.kind === "valid" ? validity.pair : undefined;
  const client = await readPair(CLIENT_STORE_PREFIX, machine, own, tools, renewal(settings, false), held);
  const wanted = settings.serving
    ? servingTemplate(machine.nodeName, await readServingNames(settings, machine, files))
    : undefined;
  const serving = await readPair(SERVING_STORE_PREFIX, machine, wanted, tools, renewal(settings, true));
  const isServing = settings.serving || serving.report.state !== "missing";
  const isReady = validity.kind === "valid" && client.report.state === "valid" &&
    (!isServing || serving.report.state === "valid");
  const facts: Report = {
    nodeName: machine.nodeName,
    isReady,
    kubeconfig: {
      path: machine.kubeconfigPath,
      state: validity.kind,
      ...(validity.kind === "invalid" ? { reason: validity.reason } : {}),
    },
    client: client.report,
    ...(isServing ? { serving: serving.report } : {}),
  };
  const kubeconfigState = validity.kind === "invalid" ? `invalid, ${validity.reason}` : validity.kind;
  const lines = [
    `Node:\t${machine.nodeName}`,
    `Ready:\t${isReady ? "yes" : "no"}`,
    `Kubeconfig:\t${displayPath(machine.kubeconfigPath, io.cwd)}`,
    `  State:\t${kubeconfigState}`,
    ...linesOf("Client certificate", client, io),
    ...(isServing ? linesOf("Serving certificate", serving, io) : []),
  ];
  return { facts, lines };
}

interface FoundPair {
  readonly report: PairReport;
  readonly pair: CredentialPair | undefined;
}

async function readPair(
  prefix: string,
  { certDir }: Machine,
  wanted: CertificateTemplate | undefined,
  { io, files }: StatusTools,
  command: string,
  held?: CredentialPair,
): Promise<FoundPair> {
  const store = viewCredentialStore({ files, clock: io.clock, certDir, prefix });
  const isRequested = await files.stat(store.temporaryKeyPath) !== undefined;
  const base = { path: store.currentPath, isRequested };
  const again = isRequested
    ? `its request is waiting; go on with: ${command}`
    : prefix === CLIENT_STORE_PREFIX && !command.includes(" --bootstrap-kubeconfig ")
    ? "make a token with: tlsboot token create --print-join-command, and run the command it prints"
    : `run: ${command}`;
  let pair: CredentialPair | undefined;
  try {
    pair = await store.current() ?? held;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { report: { ...base, state: "broken", reason: error.message, next: again }, pair };
  }
  if (pair === undefined) return { report: { ...base, state: "missing", next: again }, pair };
  const { state: age, renewalFrom, renewalBy } = judgePair(pair.leaf, io.clock.now());
  const fits = wanted === undefined || satisfiesTemplate(rotationCertificateOf(pair), wanted);
  const state: State = age === "valid" && !fits ? "mismatched" : age;
  const { leaf } = pair;
  const next = state === "valid"
    ? `renewed between ${formatTime(renewalFrom)} and ${formatTime(renewalBy)} by --rotate-certificates`
    : state === "notYetValid"
    ? "set this machine's clock"
    : state === "renewalDue"
    ? `run: ${command} --rotate-certificates`
    : again;
  return {
    pair,
    report: {
      ...base,
      state,
      ...(state === "mismatched" && wanted !== undefined ? { reason: `it is not for ${namesOf(wanted)}` } : {}),
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

/** What mends it. Without credentials that were named, they are the first thing to find. */
function renewal(settings: Settings<BootstrapFlags>, isServing: boolean): string {
  const { bootstrapKubeconfig, hostnameOverride, kubeconfig = "", certDir = "" } = settings;
  const credentials = bootstrapKubeconfig === undefined
    ? ""
    : ` --bootstrap-kubeconfig ${shellWord(bootstrapKubeconfig)}`;
  const name = hostnameOverride === undefined ? "" : ` --hostname-override ${shellWord(hostnameOverride)}`;
  const serving = isServing ? " --serving" : "";
  return `tlsboot bootstrap${credentials} --kubeconfig ${shellWord(kubeconfig)} --cert-dir ${
    shellWord(certDir)
  }${name}${serving}`;
}

function namesOf({ commonName, dnsNames, ipAddresses }: CertificateTemplate): string {
  return [commonName, ...dnsNames, ...ipAddresses].join(", ");
}

const STATE_TEXT: Readonly<Record<State, string>> = {
  valid: "valid",
  renewalDue: "valid, but its renewal is overdue",
  expired: "expired",
  notYetValid: "not valid yet",
  missing: "missing",
  broken: "broken",
  mismatched: "for other names",
};

function linesOf(title: string, { report, pair }: FoundPair, io: Io): readonly string[] {
  const { state, reason, next } = report;
  const names = pair === undefined ? [] : [...pair.leaf.dnsNames, ...pair.leaf.ipAddresses];
  return [
    `${title}:\t${displayPath(report.path, io.cwd)}`,
    `  State:\t${STATE_TEXT[state]}${reason === undefined ? "" : `: ${reason}`}`,
    ...(pair === undefined ? [] : [`  Subject:\t${formatName(pair.leaf.subject)}`]),
    ...(names.length === 0 ? [] : [`  Names:\t${names.join(", ")}`]),
    ...(pair === undefined ? [] : [`  Validity:\t${validityText(pair.leaf, io.clock.now())}`]),
    `  Next:\t${next}`,
  ];
}
