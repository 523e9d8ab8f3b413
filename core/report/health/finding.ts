/**
 * The findings of `tlsboot doctor`. A check is a pure function over gathered facts that returns the faults it found; the
 * code that gathers the facts is in `client/health`.
 */

/** The severity of a finding. `skipped` means that the check could not run. */
export type Severity = "ok" | "warning" | "error" | "skipped";

/** The result of one check of one target, as `tlsboot doctor -o json` prints it. */
export interface Finding {
  /** The stable name of the check, such as `secret-files`. */
  readonly check: string;
  /** The target that was checked, as it was named or found. */
  readonly target: string;
  readonly severity: Severity;
  /** A sentence without its period. */
  readonly message: string;
  /** A command line that fixes the problem when it is run unchanged in a shell; absent when no command can. */
  readonly fix?: string;
  /** What to do when no command can fix the problem: an imperative sentence without its period. */
  readonly advice?: string;
}

/** One problem that a check found. */
export interface Fault {
  readonly severity: "warning" | "error";
  /** A sentence without its period. */
  readonly message: string;
  readonly fix?: string | undefined;
  readonly advice?: string | undefined;
}

/** The default message of each check when nothing is wrong. */
const OK_MESSAGES: Readonly<Record<string, string>> = {
  "audit-policy": "the audit policy can be used",
  "bootstrap-token": "no bootstrap token is left on the machine",
  "ca-expiry": "each CA is valid for more than a year, and for longer than what it signed",
  "ca-replacement": "no CA is being replaced",
  chain: "each certificate is followed by its issuers",
  clock: "the clock agrees with the server's",
  "cluster-info": "cluster-info names a server that answers, and its CA",
  "copied-folder": "the current certificate is in its folder",
  database: "the database passes its check",
  disk: "the disk has space",
  expiry: "no certificate has expired or is overdue for renewal",
  inventory: "the inventory can be used",
  "key-pair": "each key belongs to its certificate",
  notification: "the receiver has accepted a test message",
  "open-files": "the server may open enough files",
  "pending-requests": "no request has waited for more than a day",
  policy: "every rule can apply to a request",
  "policy-test": "the cases can be read; run them with: tlsboot policy test FILE",
  profile: "the profile can be used",
  readable: "the files with certificates and keys can be read",
  proofs: "each machine with a certificate has given the proof that the inventory lists",
  "renewed-pair": "the kubeconfig names the certificate that is renewed",
  "secret-files": "the files with secrets are private",
  "secret-folders": "only the owner may write to the folders",
  "serving-certificate": "the server's certificate has not expired and is not overdue for renewal",
  signers: "each request has a signer",
  "strict-verifiers": "strict verifiers such as Python 3.13 accept the certificates",
  tokens: "each bootstrap token expires",
  "trusted-cas": "the kubeconfig trusts the CAs that the cluster publishes",
};

export interface Reporter {
  /** Returns a finding for each fault, or one `ok` finding when there is none. */
  check(check: string, faults: readonly Fault[], okMessage?: string): readonly Finding[];
  /** Returns the finding of a check that could not run. */
  skip(check: string, reason: string): readonly Finding[];
}

export function reportOn(target: string): Reporter {
  return {
    check(check, faults, okMessage = OK_MESSAGES[check] ?? "nothing is wrong") {
      if (faults.length === 0) return [{ check, target, severity: "ok", message: okMessage }];
      return faults.map(({ severity, message, fix, advice }) => ({
        check,
        target,
        severity,
        message,
        ...(fix === undefined ? {} : { fix }),
        ...(advice === undefined || fix !== undefined ? {} : { advice }),
      }));
    },
    skip: (check, reason) => [{ check, target, severity: "skipped", message: reason }],
  };
}

export type FindingCounts = Readonly<Record<Severity, number>>;

export function countFindings(findings: readonly Finding[]): FindingCounts {
  const count = (wanted: Severity): number => findings.filter(({ severity }) => severity === wanted).length;
  return { ok: count("ok"), warning: count("warning"), error: count("error"), skipped: count("skipped") };
}
