/** Revokes certificates, nodes, users, groups and bootstrap tokens, and denies pending requests. */
import { AppError } from "../../../core/errors.ts";
import type { revokeCommand } from "./flags.ts";
import type { ApiConnection } from "../../../client/admin/connection.ts";
import { connect } from "../../connection.ts";
import { carryOutRevocation, parseTypedTarget, servesRevocations } from "../../../client/admin/revocations.ts";
import { canAsk, confirm } from "../../confirm.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { forEachItem } from "../../framework/for_each_item.ts";
import { reportError } from "../../framework/report.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Tools } from "../../io.ts";
import { line } from "../../../core/lib/printable.ts";
import { alignTabs, TABLE_TABS } from "../../output/tab_writer.ts";
import { denyPending, revokeElsewhere } from "./elsewhere.ts";
import { RevocationPlanner } from "../../../client/admin/revocation_plan.ts";
import {
  describeDone,
  describeNextSteps,
  describePlan,
  describeTokenUses,
  type RevocationPlan,
} from "../../../core/report/revocation_text.ts";

type Settings = Input<typeof revokeCommand.flags>["settings"];

export async function run(input: Input<typeof revokeCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { signal } = tools;
  const { args, settings } = input;
  const targets = args.map(parseTypedTarget);
  const hasToken = targets.some((item) => item.kind === "named" && item.target.kind === "token");
  if (settings.certificates && !hasToken) throw new UsageError("--certificates needs token/ID");
  await using connection = await connect(settings, tools);
  if (!await servesRevocations(connection.api, signal)) {
    return await revokeElsewhere(targets, connection, input, tools);
  }
  const planned = await new RevocationPlanner(connection, settings, tools.clock.now()).plan(targets, signal);
  const mayAsk = !settings.yes && canAsk(tools);
  const checked = settings.yes || mayAsk ? planned : planned.map(refuseUnconfirmed);
  const failures = checked.filter((item) => item instanceof AppError);
  const plans = checked.filter((item): item is RevocationPlan => !(item instanceof AppError));
  for (const failure of failures) reportError(failure, tools, tools.isDebug);
  if (plans.length === 0) return EXIT.failed;
  if (mayAsk && !await isConfirmed(plans, tools)) {
    tools.stderr.write("nothing is revoked\n");
    return EXIT.no;
  }
  const byText = new Map(plans.map((plan) => [plan.text, plan]));
  const code = await forEachItem(byText.values(), (plan) => revokeOne(plan, connection, settings, tools), tools);
  return failures.length > 0 ? EXIT.failed : code;
}

/** Refuses, without a terminal and `--yes`, what the command uses itself and what neither register nor server knows. */
function refuseUnconfirmed(plan: RevocationPlan | AppError): RevocationPlan | AppError {
  if (plan instanceof AppError || plan.kind === "deny") return plan;
  if (plan.isOwn) {
    return new AppError("invalid", `cannot revoke "${plan.text}": this command uses a credential that it covers`, {
      hint: "with --yes it is revoked, and you need another administrator's kubeconfig from then on",
    });
  }
  if (!plan.isUnknown) return plan;
  const isServiceAccount = plan.text.startsWith("user/system:serviceaccount:");
  return new AppError("not_found", `cannot revoke "${plan.text}": the register has no certificate for it`, {
    hint: isServiceAccount
      ? "a service account has tokens instead: with --yes they are refused, as long as it is revoked"
      : "check the spelling with: tlsboot get certificates; with --yes it is revoked anyway",
  });
}

/** Shows the plans on the terminal, and asks whether to carry them out. */
async function isConfirmed(plans: readonly RevocationPlan[], tools: Tools): Promise<boolean> {
  for (const plan of plans) for (const text of describePlan(plan, tools.clock.now())) tools.stderr.write(`${text}\n`);
  return await confirm(plans.length === 1 ? "Revoke it?" : "Revoke them?", tools);
}

async function revokeOne(
  plan: RevocationPlan,
  { api }: ApiConnection,
  settings: Settings,
  tools: Tools,
): Promise<void> {
  if (plan.kind === "deny") return await denyPending(plan, api, settings.message, tools);
  const now = tools.clock.now();
  const { isTokenDeleted, failure } = await carryOutRevocation(plan, api, tools.signal);
  if (failure !== undefined) tools.stderr.write(line`${failure}\n`);
  tools.stdout.write(`${describeDone(plan, isTokenDeleted, now)}\n`);
  const uses = describeTokenUses(plan, now);
  if (uses.length > 0) tools.stdout.write(`${alignTabs(uses.join("\n"), TABLE_TABS)}\n`);
  for (const step of describeNextSteps(plan, now)) tools.stderr.write(`${step}\n`);
}
