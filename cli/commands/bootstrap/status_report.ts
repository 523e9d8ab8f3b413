/** The status of a machine as `tlsboot bootstrap --status` prints it: facts for programs, and lines for people. */
import type { FoundPair } from "../../../client/certificate/credential_store.ts";
import type { KubeconfigValidity } from "../../../client/node_kubeconfig.ts";
import { type Problem, type ServerAnswer, STATE_TEXT, type StoredPairState } from "../../../core/doctor/machine.ts";
import { formatName } from "../../../core/pki/names.ts";
import type { Io } from "../../io.ts";
import { formatValidity } from "../../output/certificate_text.ts";
import { displayPath } from "../../output/display_path.ts";

/** One pair in the output. Keys of the JSON may be added, but never removed. */
export interface PairReport {
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

/** A pair as it is reported, and the pair itself where there is one. */
export interface ReportedPair {
  readonly report: PairReport;
  readonly found: FoundPair | undefined;
}

/** Formats a status as lines with tabs between name and value. */
export function formatStatus(
  report: StatusReport,
  pairs: { readonly client: ReportedPair; readonly serving: ReportedPair | undefined },
  io: Io,
): readonly string[] {
  return [
    ...formatHead(report, io),
    ...formatPair("Client certificate", pairs.client, io),
    ...(pairs.serving === undefined ? [] : formatPair("Serving certificate", pairs.serving, io)),
    ...formatServer(report),
    ...report.problems.flatMap(({ severity, message, fix }) => [
      `${severity === "fault" ? "Problem" : "Warning"}:\t${message}`,
      `  Fix:\t${fix}`,
    ]),
  ];
}

function formatHead({ nodeName, isReady, kubeconfig }: StatusReport, io: Io): readonly string[] {
  return [
    `Node:\t${nodeName}`,
    `Ready:\t${isReady ? "yes" : "no"}`,
    `Kubeconfig:\t${displayPath(kubeconfig.path, io.cwd)}`,
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

function formatServer({ server: { url, state, reason, username } }: StatusReport): readonly string[] {
  const what = username === undefined ? SERVER_TEXT[state] : `${SERVER_TEXT[state]} as ${username}`;
  return [
    ...(url === undefined ? [`Server:\t${what}`] : [`Server:\t${url}`, `  State:\t${what}`]),
    ...(state === "notAsked" && reason !== undefined ? [`  Reason:\t${reason}`] : []),
  ];
}

function formatPair(title: string, { report, found }: ReportedPair, io: Io): readonly string[] {
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
