/** Cuts bodies down to what both servers must have in common: what both serve, in an order that is no chance. */
import { isRecord } from "../../../core/lib/record.ts";
import { projectDiscovery } from "./project_discovery.ts";
import { projectOpenapi } from "./project_openapi.ts";
import { projectOrder } from "./project_order.ts";
import { projectRules } from "./project_roles.ts";
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

/** Cuts one body down; `kind` is that of the exchange. Throws an Error for an unknown kind. */
export function project(kind: string, body: unknown): unknown {
  const cut = PROJECTIONS[kind];
  if (cut === undefined) throw new Error(`no projection is called ${kind}; known are ${Object.keys(PROJECTIONS)}`);
  return cut(body);
}

/** Keeps the lines of checks that both servers have, and everything that is no line of a check. */
function projectChecks(body: unknown): unknown {
  if (typeof body !== "string") return body;
  return body.split("\n").filter((line) => {
    const check = /^\[[-+]\](\S+) /.exec(line)?.[1];
    return check === undefined || SERVED_CHECKS.has(check);
  }).join("\n");
}

/** Removes the words for a fault of YAML, which are those of each library, and keeps the rest of the message. */
function projectYaml(body: unknown): unknown {
  if (!isRecord(body) || typeof body["message"] !== "string") return body;
  const fault =
    /(?:yaml: |unsupported map key|json: unsupported|couldn't get version\/kind; json parse error).*?(?= \([0-9a-f]+(?: \.\.\.)?\)|$)/s;
  return { ...body, message: body["message"].replace(fault, "<fault of YAML>") };
}
