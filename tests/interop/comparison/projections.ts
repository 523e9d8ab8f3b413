/** Documents that list what a server has are compared in what both have: which function cuts which document. */
import { project } from "./project.ts";
import { projectOrder } from "./project_order.ts";
import { projectRules } from "./project_roles.ts";

/** Cuts a body down to what tlsboot serves; `kind` is that of the exchange. Throws an Error for an unknown kind. */
export function projectBody(kind: string, body: unknown): unknown {
  if (kind === "order") return projectOrder(body);
  if (kind === "rules") return projectRules(body);
  return project(kind, body);
}
