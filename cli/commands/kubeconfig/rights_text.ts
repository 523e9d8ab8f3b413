/** Describes the permissions of a user in a few lines, from a SelfSubjectRulesReview. */
import type { ResourceRule, SubjectRulesReviewStatus } from "../../../core/kube/kinds/authorization_v1.ts";
import { shellWord } from "../../../core/lib/shell_word.ts";
import { formatCommand, formatCommandLine } from "../../framework/command_line.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Io } from "../../io.ts";
import { displayPath } from "../../output/display_path.ts";
import { line } from "../../../core/lib/printable.ts";
import { kubeconfigUserCommand } from "./flags.ts";

const MAX_LINES = 10;
const MAX_RESOURCES = 8;
/** The API groups in which all users may ask about themselves (`system:basic-user`). */
const SELF_REVIEW_GROUPS = ["authorization.k8s.io", "authentication.k8s.io"];
/** What all users of an instance need while a CA is being replaced (`instance/instance_rbac.ts`). */
const CA_ROTATION_RESOURCES = [
  "carotations.tlsboot",
  "trustreports.tlsboot",
  "clustertrustbundles.certificates.k8s.io",
];

/** Formats a line for each set of verbs, without the permissions that all users have; empty when there are no others. */
export function describeRights(status: SubjectRulesReviewStatus): readonly string[] {
  const resourcesByVerbs = new Map<string, Set<string>>();
  for (const rule of status.resourceRules.filter((rule) => !isForAllUsers(rule))) {
    const verbs = rule.verbs.includes("*") ? "everything with" : [...rule.verbs].sort().join(", ");
    const resources = resourcesByVerbs.get(verbs) ?? new Set();
    resourcesByVerbs.set(verbs, resources);
    for (const resource of describeResources(rule)) resources.add(resource);
  }
  const lines = [...resourcesByVerbs].map(([verbs, resources]) => `${verbs}: ${shorten([...resources].sort())}`).sort();
  return lines.length <= MAX_LINES ? lines : [...lines.slice(0, MAX_LINES), `and ${lines.length - MAX_LINES} more`];
}

function isForAllUsers(rule: ResourceRule): boolean {
  const { apiGroups = [], resources = [], verbs } = rule;
  const isForRotation = describeResources(rule).every((resource) => CA_ROTATION_RESOURCES.includes(resource)) &&
    verbs.every((verb) => ["create", "get", "list", "watch"].includes(verb));
  return isForRotation || apiGroups.length > 0 && apiGroups.every((group) => SELF_REVIEW_GROUPS.includes(group)) &&
      resources.every((resource) => resource.startsWith("selfsubject"));
}

/** Names the resources of a rule: `pods`, `deployments.apps`. A subresource is named only if its resource is not. */
function describeResources({ apiGroups = [], resources = [], resourceNames = [] }: ResourceRule): readonly string[] {
  const named = resourceNames.length === 0 ? "" : ` (${resourceNames.join(", ")})`;
  const tops = resources.filter((resource) =>
    !resources.includes(resource.split("/")[0] ?? "") || !resource.includes("/")
  );
  return apiGroups.flatMap((group) =>
    tops.map((resource) => {
      if (group === "*" && resource === "*") return `every resource${named}`;
      return `${group === "" ? resource : `${resource}.${group}`}${named}`;
    })
  );
}

function shorten(resources: readonly string[]): string {
  const rest = resources.length - MAX_RESOURCES;
  if (rest <= 1) return resources.join(", ");
  return `${resources.slice(0, MAX_RESOURCES).join(", ")} and ${rest} more`;
}

/** The person whose permissions are reported, and the settings of the command. */
export interface RightsContext {
  readonly name: string;
  readonly settings: Settings<typeof kubeconfigUserCommand.flags>;
  readonly shownPath: string;
}

/** Prints a person's permissions on stderr, or the command that shows or grants them. */
export function reportRights(
  status: SubjectRulesReviewStatus | undefined,
  { name, settings, shownPath }: RightsContext,
  io: Pick<Io, "stderr" | "cwd">,
): void {
  if (status === undefined) {
    io.stderr.write(line`see what ${name} may do: kubectl --kubeconfig ${shellWord(shownPath)} auth can-i --list\n`);
    return;
  }
  const rights = describeRights(status);
  if (rights.length > 0) {
    io.stderr.write(
      line`${name} may, in the namespace default:\n` + rights.map((right) => line`  ${right}\n`).join(""),
    );
    return;
  }
  const again = { args: [name], settings: { ...settings, role: "viewer", force: true } as const };
  io.stderr.write(line`${name} may do nothing yet. To let them see requests and certificates, give them a role:
  ${formatCommandLine(formatCommand(kubeconfigUserCommand, again, (path) => displayPath(path, io.cwd)))}
`);
}
