/**
 * The findings of `tlsboot doctor`. A check is a pure function over gathered facts that returns the faults it found; the
 * code that gathers the facts is in `cli/commands/doctor`.
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

/** Returns a finding for each fault of a check, or one `ok` finding when there is no fault. */
export function reportCheck(
  { check, target }: Pick<Finding, "check" | "target">,
  faults: readonly Fault[],
  okMessage: string,
): readonly Finding[] {
  if (faults.length === 0) return [{ check, target, severity: "ok", message: okMessage }];
  return faults.map(({ severity, message, fix, advice }) => ({
    check,
    target,
    severity,
    message,
    ...(fix === undefined ? {} : { fix }),
    ...(advice === undefined || fix !== undefined ? {} : { advice }),
  }));
}

/** Returns the finding of a check that could not run. */
export function skipCheck({ check, target }: Pick<Finding, "check" | "target">, reason: string): Finding {
  return { check, target, severity: "skipped", message: reason };
}

/** How many findings there are of each severity. */
export type FindingCounts = Readonly<Record<Severity, number>>;

/** Counts the findings by severity. */
export function countFindings(findings: readonly Finding[]): FindingCounts {
  const count = (wanted: Severity): number => findings.filter(({ severity }) => severity === wanted).length;
  return { ok: count("ok"), warning: count("warning"), error: count("error"), skipped: count("skipped") };
}
