/** Explains what each approval rule decides about a request, as the approver would, without writing anything. */
import { resolve } from "node:path";
import { isSettled } from "../../../core/approval/recognizers.ts";
import { formatConditionCell } from "../../../core/request/phase.ts";
import { parseRequest } from "../../../core/request/parse_request.ts";
import { AppError } from "../../../core/errors.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { getName } from "../../../core/kube/meta.ts";
import { NODES_GROUP, parseNodeUser } from "../../../core/kube/user.ts";
import type { RequestFacts } from "../../../core/pki/x509/pkcs10.ts";
import { listAlternativeNames } from "../../../core/pki/x509/subject_alternative_names.ts";
import type { Verdict } from "../../../core/approval/decide_request.ts";
import { toRuleViews, toVerdictView } from "../../../core/report/request_view.ts";
import type { policyExplainCommand } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Tools } from "../../io.ts";
import { writeStructured } from "../../output/structured.ts";
import { formatDescription } from "../../output/layout.ts";
import { line } from "../../../core/lib/printable.ts";
import { parseCsrFile, parseNodesFile } from "./kube_file.ts";
import { connect } from "../../connection.ts";
import { type ChosenSettings, describePolicies } from "../../../client/admin/published_settings.ts";
import { readPolicies } from "../../../instance/controllers/policy_files.ts";
import {
  explainRequest,
  type Explanation,
  gatherFromApi,
  gatherFromFile,
} from "../../../client/admin/explain_request.ts";
import { formatTrace } from "../../output/findings.ts";

export async function run(input: Input<typeof policyExplainCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { settings } = input;
  const [named = ""] = input.args;
  const given = await readGivenSettings(settings, tools);
  const file = await readFile(named, settings, tools);
  const nodesText = settings.nodes === undefined ? undefined : await readText(settings.nodes, tools);
  const nodes = nodesText === undefined ? undefined : parseNodesFile(nodesText, settings.nodes ?? "");
  await using opened = new AsyncDisposableStack();
  const evidence = file !== undefined && nodes !== undefined
    ? gatherFromFile(file, nodes, tools.clock)
    : await gatherFromApi(file ?? named, nodes, opened.use(await connect(settings, tools)), tools, tools.signal);
  const { csr } = evidence;
  const request = parseRequest(csr.spec.request);
  if (!request.ok) throw new AppError("invalid", `cannot read the request of "${getName(csr)}": ${request.error}`);
  const chosen = given ?? suggestFlags(await evidence.readApproverSettings());
  const explained = await explainRequest(csr, request.value, chosen, evidence.sources, tools.signal);
  if (settings.output === undefined) tools.stdout.write(formatExplanation(csr, request.value, chosen, explained));
  else writeStructured(toFacts(csr, chosen, explained), settings.output, tools);
  return explained.verdict.kind === "approve" ? EXIT.done : EXIT.no;
}

/** Reads the policies and the inventory from the flags; undefined without such flags. */
async function readGivenSettings(
  settings: Settings<typeof policyExplainCommand.flags>,
  tools: Tools,
): Promise<ChosenSettings | undefined> {
  if (settings.policy.length === 0 && settings.inventory === undefined) return undefined;
  const given = await readPolicies(settings, tools);
  return { ...given, source: "flags", origin: `${describePolicies(given)} (from the flags)` };
}

/** If the approver's settings are unknown, adds the flags that can give them. */
function suggestFlags(published: ChosenSettings): ChosenSettings {
  if (published.source !== "none") return published;
  return { ...published, origin: `${published.origin}; give --policy and --inventory if the approver has any` };
}

/** Reads the request if the argument is an existing file or stdin; undefined for the name of a request. */
async function readFile(
  named: string,
  { user, group, signer: signerName, usage }: Settings<typeof policyExplainCommand.flags>,
  tools: Tools,
): Promise<CertificateSigningRequest | undefined> {
  const text = named === "-" ? await tools.stdin.readAll(tools.signal) : await findText(named, tools);
  if (text === undefined) return undefined;
  const isNode = parseNodeUser(user) !== undefined;
  return parseCsrFile(text, named === "-" ? "stdin" : named, {
    signerName,
    username: user,
    groups: group.length === 0 && isNode ? [NODES_GROUP, "system:authenticated"] : group,
    usages: usage,
  });
}

async function findText(path: string, { files, cwd }: Tools): Promise<string | undefined> {
  const absolute = resolve(cwd, path);
  const facts = await files.stat(absolute);
  return facts?.kind === "file" ? await files.readText(absolute) : undefined;
}

async function readText(path: string, tools: Tools): Promise<string> {
  const text = await findText(path, tools);
  if (text !== undefined) return text;
  throw new AppError("io", `cannot read "${path}": no such file`, { hint: "kubectl get nodes -o yaml writes one" });
}

function formatExplanation(
  csr: CertificateSigningRequest,
  request: RequestFacts,
  { origin }: ChosenSettings,
  { verdict, others }: Explanation,
): string {
  const { spec } = csr;
  const names = listAlternativeNames(request);
  const now = isSettled(csr)
    ? `${formatConditionCell(csr)}; the verdict is what the rules would decide about it`
    : "Pending";
  const lines = [
    line`Request:\t${getName(csr)}`,
    line`Status:\t${now}`,
    line`Signer:\t${spec.signerName}`,
    line`Requester:\t${spec.username ?? "(no user)"} (${(spec.groups ?? []).join(", ")})`,
    line`Common name:\t${request.subject.commonName}`,
    line`Names:\t${names.length === 0 ? "none" : names.join(", ")}`,
    line`Policies:\t${origin}`,
    "",
    ...formatTrace(toRuleViews(verdict.trace)),
    line`Verdict:\t${toVerdictView(verdict).text}`,
    ...others.flatMap((other) => [
      "",
      line`With --policy ${other.policy ?? ""} it would be ${toVerdictView(other).text}`,
      ...formatTrace(toRuleViews(other.trace)),
    ]),
  ];
  return `${formatDescription(lines).trimEnd()}\n`;
}

function toFacts(
  csr: CertificateSigningRequest,
  { source, policies, inventory }: ChosenSettings,
  { verdict, others }: Explanation,
): unknown {
  return {
    name: getName(csr),
    signerName: csr.spec.signerName,
    username: csr.spec.username,
    isDecided: isSettled(csr),
    settings: { source, policies: policies.map(({ name }) => name), inventory: inventory?.size ?? null },
    ...verdictFacts(verdict),
    otherPolicies: others.map(verdictFacts),
  };
}

function verdictFacts({ kind, policy, rule, message, trace }: Verdict): object {
  return { verdict: kind, policy, rule, message, rules: trace };
}
