/** Approves requests as kubectl does, and shows the same warnings as `describe csr`. */
import { isSettled } from "../../../core/approval/recognizers.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { capitalize, line, shellWord } from "../../../core/lib/printable.ts";
import { connect } from "../../connection.ts";
import { createDecision } from "../../../client/admin/decisions.ts";
import { readApproverSettings } from "../../../client/admin/published_settings.ts";
import { createRequestViews, type RequestViews } from "../../../client/admin/request_views.ts";
import { canAsk, confirm } from "../../terminal.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { decideEach, reportUnsigned } from "./decide.ts";
import type { approveCommand } from "./flags.ts";
import { review } from "./review.ts";
import { parseTargets } from "./targets.ts";

export async function run(input: Input<typeof approveCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { signal } = tools;
  const { settings, args } = input;
  if (settings.interactive) return await review(input, tools);
  if (args.length === 0) throw new UsageError("name a request or a machine, or look at each with -i");
  parseTargets(args);
  await using connection = await connect(settings, tools);
  const { api } = connection;
  const approval = await createDecision("approve", api, "tlsboot approve", signal, settings);
  const chosen = await readApproverSettings(api, signal);
  const views = createRequestViews(connection, { chosen }, tools);
  let isRefused = false;
  const check = async (csr: CertificateSigningRequest): Promise<boolean> => {
    const isAccepted = await acceptsWarnings(csr, views, settings.yes, tools);
    isRefused ||= !isAccepted;
    return isAccepted;
  };
  const { code, decided } = await decideEach(args, api, { ...approval, past: "approved", check }, tools);
  await reportUnsigned(api, decided, tools, signal);
  return code === EXIT.done && isRefused ? EXIT.no : code;
}

/**
 * Shows the warnings about a pending request. Returns true if there are none, with `--yes`, or if the user accepts them on
 * a terminal.
 */
async function acceptsWarnings(
  csr: CertificateSigningRequest,
  views: RequestViews,
  isConfirmed: boolean,
  tools: Tools,
): Promise<boolean> {
  if (isSettled(csr)) return true;
  const { name, sentence, warnings } = await views.view(csr, tools.signal);
  if (warnings.length === 0) return true;
  tools.stderr.write(line`${name}: ${capitalize(sentence)}.\n`);
  for (const warning of warnings) tools.stderr.write(line`Warning: ${warning}.\n`);
  if (isConfirmed) return true;
  if (canAsk(tools)) {
    if (await confirm("Approve it anyway?", tools)) return true;
    tools.stderr.write(line`${name} is not approved\n`);
    return false;
  }
  const word = shellWord(name);
  tools.stderr.write(
    line`${name} is not approved because of the ${warnings.length === 1 ? "warning" : "warnings"}: look at it with ` +
      line`tlsboot describe csr ${word}; to approve it anyway: tlsboot approve csr/${word} --yes\n`,
  );
  return false;
}
