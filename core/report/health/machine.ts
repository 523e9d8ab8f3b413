/**
 * The checks of a machine: whether its credentials work, from the files on its disk and the answer of the server.
 * `doctor` and `bootstrap` share them.
 */
import { type NodeName, toNodeSubject } from "../../machine/node_name.ts";
import type { PairState, PairStatus } from "../../machine/renewal_schedule.ts";
import { formatTime } from "../../kube/meta.ts";
import { formatDuration } from "../../lib/duration.ts";
import { shellWord } from "../../lib/printable.ts";
import type { CertificateFacts } from "../../pki/x509/certificate.ts";
import { type Fault, type Finding, reportOn } from "./finding.ts";
import { checkSecretFiles, checkSecretFolders, type SecretFile, type SecretFolder } from "./host.ts";

/** The state of a stored pair. A `mismatched` pair has other names than the requested ones. */
type StoredPairState = PairState | "missing" | "broken" | "mismatched";

/** The server's answer when it is asked which user this machine is. */
export type ServerAnswer =
  /** The server was not asked, because there were no usable credentials; `reason` explains why. */
  | { readonly kind: "notAsked"; readonly reason: string }
  /** The server returned no usable response; `reason` explains why. */
  | { readonly kind: "unreachable"; readonly reason: string }
  /** The kubeconfig's CA does not vouch for the server, or the certificate is not valid at this time. */
  | { readonly kind: "untrusted"; readonly reason: string; readonly hint: string | undefined }
  /** The server does not accept the client certificate; with `isAnonymous` it did not receive one. */
  | {
    readonly kind: "refused";
    readonly reason: string;
    readonly isAnonymous?: boolean;
    readonly clock?: ClockReading;
  }
  /** The server accepts the certificate; `username` is undefined when the answer does not contain it. */
  | { readonly kind: "accepted"; readonly username: string | undefined; readonly clock?: ClockReading };

/** The times of both clocks at the same moment. */
export interface ClockReading {
  readonly serverTime: Date;
  readonly ourTime: Date;
}

export interface MachinePair {
  /** The path of the pair, as it is shown. */
  readonly path: string;
  readonly state: StoredPairState;
  /** Why the pair cannot be used. */
  readonly reason?: string | undefined;
  /** The certificate, and when it is renewed; undefined when it cannot be read. */
  readonly stored?: Omit<PairStatus, "state"> & { readonly leaf: CertificateFacts };
  /** The pending request, with the command that continues it if that is known; undefined without a request. */
  readonly waiting?: { readonly command: string | undefined } | undefined;
}

/** The facts for the checks. Paths are as messages show them. */
export interface MachineEvidence {
  readonly nodeName: NodeName;
  readonly certDir: string;
  readonly kubeconfig: {
    readonly path: string;
    readonly state: "valid" | "invalid" | "missing";
    readonly reason?: string | undefined;
    /** True when it is invalid because its client certificate or its key cannot be read. */
    readonly isOfPair?: boolean | undefined;
  };
  readonly client: MachinePair;
  /** True when the link to the client certificate exists, even if its target does not. */
  readonly hasLink: boolean;
  /** Undefined if there is no serving certificate and none is requested. */
  readonly serving: MachinePair | undefined;
  /** Each file that holds a private key or a token. */
  readonly secrets: readonly SecretFile[];
  readonly folders: readonly SecretFolder[];
  /** The target of the client certificate's link when it is outside the folder, as after a copy of the folder. */
  readonly strayTarget: string | undefined;
  readonly server: ServerAnswer;
  /** True when the kubeconfig says that the server's certificate is not verified. */
  readonly isUnverified?: boolean;
}

/** The commands of `tlsboot bootstrap` for a machine. */
export interface BootstrapCommands {
  /** The source of the credentials of a first request, `stdin` for a token; undefined when it is not known. */
  readonly credentials: "files" | "stdin" | undefined;
  /** Returns the command line of a first request, or of a run with a client certificate. */
  readonly line: (nodeName: NodeName, purpose?: "renewal" | "serving") => string;
}

/** What to do next: a command that can be run unchanged, or else a sentence. */
type Next = Pick<Fault, "fix" | "advice">;

/** Kubernetes' signer backdates certificates by five minutes, so a larger clock skew makes new ones invalid. */
const TOLERATED_SKEW_MS = 5 * 60_000;

/**
 * Checks a machine. An unreachable server is only a warning, because the checks must also work on a machine without a
 * network.
 */
export function checkMachine(
  evidence: MachineEvidence,
  commands: BootstrapCommands,
  target: string,
): readonly Finding[] {
  const { nodeName, kubeconfig, client, serving, secrets, folders, server } = evidence;
  const next = chooseNext(evidence, commands);
  // The cause is a link to a missing file. Its fix keeps the certificate, so other checks must not propose a new one.
  const isLost = evidence.strayTarget !== undefined && client.state === "missing";
  const report = reportOn(target);
  const checkUnlessLost = (check: string, faults: readonly Fault[], okMessage: string) =>
    isLost ? report.skip(check, "the link to the certificate is broken") : report.check(check, faults, okMessage);
  return [
    ...(client.state === "missing" && !isLost
      ? report.skip("copied-folder", "there is no current certificate")
      : report.check("copied-folder", checkCopy(evidence, isLost))),
    // A broken pair is reported once, by its own check.
    ...(kubeconfig.isOfPair === true && client.state === "broken"
      ? report.skip("kubeconfig", "the client certificate that it names is broken")
      : checkUnlessLost("kubeconfig", checkKubeconfigState(kubeconfig, next), `"${kubeconfig.path}" can be used`)),
    ...checkUnlessLost(
      "client-certificate",
      checkPair(
        "client certificate",
        client,
        client.state === "renewalDue" ? continueRequest(client) ?? keepAndRequest(evidence, commands) : next,
      ),
      describeValid("client certificate", client),
    ),
    ...(serving === undefined ? [] : report.check(
      "serving-certificate",
      checkPair(
        "serving certificate",
        serving,
        continueRequest(serving) ?? { fix: commands.line(nodeName, "serving") },
      ),
      describeValid("serving certificate", serving),
    )),
    ...(server.kind === "notAsked"
      ? report.skip("server-access", `the server was not asked: ${server.reason}`)
      : report.check(
        "server-access",
        checkServer(evidence, next),
        "username" in server && server.username !== undefined
          ? `the server accepts this machine as ${server.username}`
          : "the server accepts this machine",
      )),
    ...("clock" in server && server.clock !== undefined
      ? report.check("clock", checkClock(server.clock))
      : report.skip("clock", "the server did not report its time")),
    ...report.check("secret-files", checkSecretFiles(secrets)),
    ...report.check("secret-folders", checkSecretFolders(folders)),
  ];
}

/** The skew between two clocks in milliseconds, when it is larger than certificates tolerate. */
export function findSkewMs(clock: ClockReading | undefined): number | undefined {
  if (clock === undefined) return undefined;
  const skewMs = clock.ourTime.getTime() - clock.serverTime.getTime();
  return Math.abs(skewMs) > TOLERATED_SKEW_MS ? skewMs : undefined;
}

/** Reports a clock that is further from the server's than certificates tolerate. */
export function checkClock(clock: ClockReading): readonly Fault[] {
  const skewMs = findSkewMs(clock);
  if (skewMs === undefined) return [];
  const apart = formatDuration(Math.round(Math.abs(skewMs) / 1000) * 1000);
  const serverTime = formatTime(clock.serverTime);
  return [{
    severity: "error",
    message: `this machine's clock is ${apart} ${skewMs < 0 ? "behind" : "ahead of"} the server's, which says ` +
      serverTime,
    fix: `date --utc --set=${serverTime}`,
  }];
}

/** The states in which the files of the pair are kept, because it may work or there is none. */
const KEPT_STATES: readonly StoredPairState[] = ["valid", "renewalDue", "mismatched", "missing"];

/**
 * Chooses how to get new credentials. A pair that may work is removed only if a server that the kubeconfig trusts has
 * answered. The answer of another server, or the lack of one, proves nothing about the pair.
 */
function chooseNext(evidence: MachineEvidence, commands: BootstrapCommands): Next {
  const { client, server, isUnverified } = evidence;
  const { state } = client;
  const continued = ["missing", "expired", "broken"].includes(state) ? continueRequest(client) : undefined;
  if (continued !== undefined) return continued;
  const isAnswered = server.kind === "accepted" || (server.kind === "refused" && server.isAnonymous !== true);
  if (!KEPT_STATES.includes(state) || (isAnswered && isUnverified !== true)) {
    return removeAndRequest(evidence, commands);
  }
  return state === "mismatched"
    ? { advice: "give that node's name with the setting hostnameOverride, or other paths" }
    : keepAndRequest(evidence, commands);
}

/** Continues the request that is waiting for a pair; undefined when its command is not known. */
function continueRequest({ waiting }: MachinePair): Next | undefined {
  const command = waiting?.command;
  if (command === undefined) return undefined;
  return / --token (?:-|'-')(?: |$)/.test(command)
    ? { advice: `give the token of the request on stdin to: ${command}` }
    : { fix: command };
}

/** Replaces the pair. Its key is removed too, because the old request belongs to it. */
function removeAndRequest(evidence: MachineEvidence, commands: BootstrapCommands): Next {
  const removal = `rm -f ${shellWord(evidence.kubeconfig.path)} ${shellWord(evidence.client.path)}`;
  return commands.credentials === undefined
    ? { advice: `${removal}, and then ${describeFirstRequest(evidence)}` }
    : request(evidence, commands, `${removal} && ${commands.line(evidence.nodeName)}`);
}

/**
 * Gets a new pair without losing the current one. `tlsboot bootstrap` does nothing when it finds a valid kubeconfig,
 * and the old request belongs to the key of the pair, so these files are moved aside, and moved back if the run fails.
 */
function keepAndRequest(evidence: MachineEvidence, commands: BootstrapCommands): Next {
  const { kubeconfig, client, hasLink, nodeName } = evidence;
  const inUse = kubeconfig.state === "valid" ? [kubeconfig.path, ...(hasLink ? [client.path] : [])] : [];
  const moves = inUse.map((path) => [shellWord(path), shellWord(`${path}.old`)] as const);
  const aside = moves.map(([path, old]) => `mv ${path} ${old}`).join(" && ");
  if (commands.credentials === undefined) {
    return { advice: (aside === "" ? "" : `${aside}, and then `) + describeFirstRequest(evidence) };
  }
  const command = commands.line(nodeName);
  const back = moves.map(([path, old]) => `mv ${old} ${path};`).join(" ");
  return request(evidence, commands, aside === "" ? command : `${aside} && ${command} || ! { ${back} }`);
}

/** A command that reads a token from stdin cannot be run unchanged. */
function request({ nodeName }: MachineEvidence, { credentials }: BootstrapCommands, command: string): Next {
  if (credentials === "files") return { fix: command };
  return {
    advice: `make a token with: tlsboot token create --node ${
      shellWord(nodeName)
    }, and give it on stdin to: ${command}`,
  };
}

function describeFirstRequest({ kubeconfig, certDir, nodeName }: MachineEvidence): string {
  return "make a token with: tlsboot token create -o command, and add to the command that it prints: " +
    `tlsboot bootstrap … --kubeconfig ${shellWord(kubeconfig.path)} --cert-dir ${shellWord(certDir)} ` +
    `--hostname-override ${nodeName}`;
}

function checkKubeconfigState(
  { path, state, reason }: MachineEvidence["kubeconfig"],
  next: Next,
): readonly Fault[] {
  if (state === "valid") return [];
  const message = state === "missing" ? `there is no kubeconfig "${path}"` : `${reason ?? `"${path}" cannot be used`}`;
  return [{ severity: "error", message, ...next }];
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

function checkPair(what: string, { path, state, reason, waiting }: MachinePair, next: Next): readonly Fault[] {
  if (state === "valid") return [];
  const why = reason ?? (waiting === undefined ? undefined : "its request is waiting");
  const message = `the ${what} ${path} is ${STATE_TEXT[state]}${why === undefined ? "" : `: ${why}`}`;
  // A certificate that is not valid yet becomes usable when the clock is right, for which the check of the clock has
  // the fix.
  return [{ severity: "error", message, ...(state === "notYetValid" ? { advice: "set this machine's clock" } : next) }];
}

/** Describes a valid pair: its names, its end, its renewal, and a request for the next one. */
function describeValid(what: string, { stored, waiting }: MachinePair): string {
  if (stored === undefined) return `the ${what} is valid`;
  const { leaf, renewalFrom, renewalBy } = stored;
  const names = [...leaf.dnsNames, ...leaf.ipAddresses].join(", ");
  const next = waiting === undefined
    ? `its renewal is due between ${formatTime(renewalFrom)} and ${formatTime(renewalBy)}`
    : `the request for the next one is waiting${waiting.command === undefined ? "" : `: ${waiting.command}`}`;
  return `the ${what} of ${names || leaf.subject.commonName} is valid until ${formatTime(leaf.notAfter)}; ${next}`;
}

function checkServer({ server, nodeName, client }: MachineEvidence, next: Next): readonly Fault[] {
  const { commonName } = toNodeSubject(nodeName);
  if (server.kind === "accepted" && server.username !== undefined && server.username !== commonName) {
    const message = `the server takes this machine for "${server.username}", not for "${commonName}"`;
    return [{ severity: "error", message, ...next }];
  }
  return checkAccess(server, {
    who: "this machine",
    refusal: "the server no longer accepts this machine's certificate",
    // A certificate that is not valid yet points to this machine's clock, not to the CA.
    next: server.kind === "untrusted" && client.state === "notYetValid" ? {} : next,
  });
}

/** Reports a server that does not accept a user, or that could not be asked. */
export function checkAccess(
  answer: ServerAnswer,
  { who, refusal, next }: { readonly who: string; readonly refusal: string; readonly next: Next },
): readonly Fault[] {
  switch (answer.kind) {
    case "accepted":
      return [];
    case "notAsked":
      return [{ severity: "error", message: `the server was not asked: ${answer.reason}`, ...next }];
    case "unreachable":
      return [{
        severity: "warning",
        message: `the server could not be asked whether it still accepts ${who}: ${answer.reason}`,
        advice: "check the network and the server, then ask again",
      }];
    case "untrusted":
      return [{
        severity: "error",
        message: answer.reason,
        ...(next.fix === undefined
          ? { advice: answer.hint ?? "compare the CA in the kubeconfig with the server's" }
          : next),
      }];
    case "refused":
      return [{
        severity: "error",
        message: `${refusal}: ${answer.reason}`,
        ...(answer.isAnonymous === true
          ? {
            advice: "make sure that the server has a CA for client certificates, and that no proxy hides them from it",
          }
          : next),
      }];
  }
}

function checkCopy({ strayTarget, certDir }: MachineEvidence, isLost: boolean): readonly Fault[] {
  if (strayTarget === undefined) return [];
  const link = `${certDir}/kubelet-client-current.pem`;
  return [{
    severity: isLost ? "error" : "warning",
    message:
      `"${certDir}" looks like a copy: its certificate is "${strayTarget}", in the folder that it was copied from`,
    fix: `ln -sfn ${shellWord(baseName(strayTarget))} ${shellWord(link)}`,
  }];
}

/** The reference to the certificate in the kubeconfig of a machine. */
export interface RenewedPairEvidence {
  /** The path of the kubeconfig, as it is shown. */
  readonly kubeconfig: string;
  /** The absolute path of the link that a renewal moves. */
  readonly link: string;
  readonly hasLink: boolean;
  /** The kind of reference: `embedded`, `link`, or the path of another file; undefined without a certificate. */
  readonly named: string | undefined;
  readonly userName: string;
  /** True when the file has one user, with a line for its certificate and one for its key. */
  readonly isOneUser: boolean;
}

/** Reports a kubeconfig that keeps an old certificate when the machine's certificate is renewed. */
export function checkRenewedPair(evidence: RenewedPairEvidence): readonly Fault[] {
  const { kubeconfig, link, hasLink, named, userName, isOneUser } = evidence;
  if (!hasLink || named === undefined || named === "link") return [];
  const [file, target] = [shellWord(kubeconfig), shellWord(link)];
  // Not every machine has kubectl. `|` is the delimiter because paths contain slashes.
  const lines = ["certificate", "key"].map((what) =>
    `-e ${shellWord(`s|^\\( *client-${what}\\)\\(-data\\)*: .*|\\1: ${link}|`)}`
  );
  return [{
    severity: "warning",
    message: named === "embedded"
      ? `"${kubeconfig}" embeds a certificate, while renewals are stored in "${link}"`
      : `"${kubeconfig}" refers to "${named}", while renewals are stored in "${link}"`,
    fix: isOneUser && !link.includes("|")
      ? `sed -i ${lines.join(" ")} ${file}`
      : `kubectl config set-credentials ${shellWord(userName)} --kubeconfig ${file} ` +
        `--client-certificate ${target} --client-key ${target}`,
  }];
}

function baseName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
}

/** The CAs that the cluster publishes, compared with those that the machine trusts. */
interface TrustEvidence {
  /** The path of the kubeconfig, as it is shown. */
  readonly kubeconfig: string;
  /** How many published CAs the kubeconfig lacks. */
  readonly added: number;
  /** How many CAs it trusts that are no longer published. */
  readonly removed: number;
  /** True when the CA of the machine's certificate is being replaced and this machine should have renewed. */
  readonly isRetiring: boolean;
}

/** Reports a machine that has not followed the replacement of a CA. The fix is a run of `bootstrap`. */
export function checkTrust(
  { kubeconfig, added, removed, isRetiring }: TrustEvidence,
  fix: string,
): readonly Fault[] {
  const faults: Fault[] = [];
  if (added > 0) {
    const what = added === 1 ? "a CA" : `${added} CAs`;
    faults.push({
      severity: "warning",
      message: `the server's CA is being replaced: it publishes ${what} that "${kubeconfig}" does not trust yet`,
      fix,
    });
  } else if (removed > 0) {
    const what = removed === 1 ? "a CA" : `${removed} CAs`;
    faults.push({
      severity: "warning",
      message: `"${kubeconfig}" still trusts ${what} that the server has replaced`,
      fix,
    });
  }
  if (isRetiring) {
    faults.push({ severity: "warning", message: "the CA of the client certificate is being replaced", fix });
  }
  return faults;
}
