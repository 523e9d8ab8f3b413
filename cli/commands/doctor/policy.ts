/** Examines the file of a policy or a signing profile: whether it can be read, and whether its rules can ever apply. */
import { parsePolicy } from "../../../core/approval/parse_policy.ts";
import { reportCheck } from "../../../core/doctor/finding.ts";
import { checkPolicyRules } from "../../../core/doctor/policies.ts";
import { parseProfile } from "../../../core/signing/profile_file.ts";
import { type Examined, type ExamineDeps, NOTHING_EXAMINED, showPath } from "./examine.ts";

/** The kind of a file that `examinePolicy` examines. */
export type RuleFileKind = "ApprovalPolicy" | "SigningProfile";

/** Finds the kind of a policy's or a profile's text; undefined for any other. */
export function findRuleFileKind(text: string): RuleFileKind | undefined {
  const kind = /^["']?kind["']?:[ \t]*["']?(ApprovalPolicy|SigningProfile)\b/m.exec(text)?.[1];
  return kind === "ApprovalPolicy" || kind === "SigningProfile" ? kind : undefined;
}

/** Examines the file at an absolute path. */
export async function examinePolicy(path: string, kind: RuleFileKind, deps: ExamineDeps): Promise<Examined> {
  const file = showPath(path, deps);
  const text = await deps.files.readText(path) ?? "";
  const parsed = kind === "ApprovalPolicy" ? parsePolicy(text) : parseProfile(text);
  const check = { check: kind === "ApprovalPolicy" ? "policy" : "profile", target: file };
  if (!parsed.ok) {
    const faults = parsed.error.map((fault) => ({
      severity: "error" as const,
      message: `"${file}" cannot be used: ${fault}`,
      advice: `correct the file; see: tlsboot guide beside_a_cluster`,
    }));
    return { ...NOTHING_EXAMINED, findings: reportCheck(check, faults, "") };
  }
  const policy = "rules" in parsed.value ? parsed.value : undefined;
  const faults = policy === undefined ? [] : checkPolicyRules(policy, { file, text });
  return { ...NOTHING_EXAMINED, findings: reportCheck(check, faults, "every rule can apply to a request") };
}
