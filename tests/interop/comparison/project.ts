/** Reduces bodies to what both servers must have in common, in a stable order. */
import { isRecord } from "../../../core/lib/record.ts";
import { projectDiscovery } from "./project_discovery.ts";
import { projectOpenapi } from "./project_openapi.ts";
import { projectOrder } from "./project_order.ts";
import { SERVED_CHECKS } from "./served_kinds.ts";

const PROJECTIONS: Readonly<Record<string, (body: unknown) => unknown>> = {
  openapi: projectOpenapi,
  discovery: projectDiscovery,
  groups: projectDiscovery,
  checks: projectChecks,
  order: projectOrder,
  rules: projectRules,
  yaml: projectYaml,
  random: (body) => projectYaml(projectOrder(body)),
};

/** Applies the projection of an exchange to a body. Throws an Error for an unknown projection. */
export function project(kind: string, body: unknown): unknown {
  const projection = PROJECTIONS[kind];
  if (projection === undefined) {
    throw new Error(`no projection is called ${kind}; known are ${Object.keys(PROJECTIONS)}`);
  }
  return projection(body);
}

/** Keeps the health checks that both servers have, and every line that is not a check. */
function projectChecks(body: unknown): unknown {
  if (typeof body !== "string") return body;
  return body.split("\n").filter((line) => {
    const check = /^\[[-+]\](\S+) /.exec(line)?.[1];
    return check === undefined || SERVED_CHECKS.has(check);
  }).join("\n");
}

/** Replaces the text of a YAML error, which depends on the library, and keeps the rest of the message. */
function projectYaml(body: unknown): unknown {
  if (!isRecord(body) || typeof body["message"] !== "string") return body;
  const yamlError =
    /(?:yaml: |unsupported map key|json: unsupported|couldn't get version\/kind; json parse error).*?(?= \([0-9a-f]+(?: \.\.\.)?\)|$)/s;
  return { ...body, message: body["message"].replace(yamlError, "<YAML error>") };
}

/** Sorts the rules in a SelfSubjectRulesReview: kube-apiserver iterates over bindings in random order. */
function projectRules(body: unknown): unknown {
  if (!isRecord(body) || !isRecord(body["status"])) return body;
  const status = body["status"];
  const sorted = ["resourceRules", "nonResourceRules"].flatMap((key) => {
    const rules = status[key];
    return Array.isArray(rules) ? [[key, sortByText(rules)] as const] : [];
  });
  return { ...body, status: { ...status, ...Object.fromEntries(sorted) } };
}

function sortByText(values: readonly unknown[]): readonly unknown[] {
  return values.map((value) => [JSON.stringify(value), value] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, value]) => value);
}
