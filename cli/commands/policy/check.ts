/** Checks files of rules: policies, profiles, policy tests, inventories and audit policies. */
import { resolve } from "node:path";
import { countFindings, type Finding } from "../../../core/report/health/finding.ts";
import { checkRuleFile } from "../../../core/report/health/policies.ts";
import { AppError } from "../../../core/errors.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { forEachItem } from "../../framework/for_each_item.ts";
import type { Tools } from "../../io.ts";
import { escapeText } from "../../../core/lib/printable.ts";
import { formatFindingJson, formatFindingTable } from "../../output/findings.ts";
import type { policyCheckCommand } from "./flags.ts";

export async function run(input: Input<typeof policyCheckCommand.flags>, tools: Tools): Promise<ExitCode> {
  const findings: Finding[] = [];
  const sentences: string[] = [];
  const code = await forEachItem(input.args, async (file) => {
    const text = await tools.files.readText(resolve(tools.cwd, file));
    if (text === undefined) throw new AppError("not_found", `cannot check "${file}": there is no such file`);
    const report = checkRuleFile(text, file);
    if (report === undefined) {
      throw new AppError("invalid", `cannot check "${file}": it has no kind that tlsboot knows`, {
        hint: "want kind: ApprovalPolicy, SigningProfile, PolicyTest, Inventory, or Policy of audit.k8s.io/v1",
      });
    }
    findings.push(...report.findings);
    sentences.push(...report.sentences);
  }, tools);
  if (findings.length === 0) return code;
  const described = sentences.map((sentence) => `${escapeText(sentence)}\n`).join("");
  const isJson = input.settings.output === "json";
  tools.stdout.write(isJson ? formatFindingJson(findings) : described + formatFindingTable(findings));
  return countFindings(findings).error > 0 ? EXIT.failed : code;
}
