/** Answers of the Node authorizer, which never denies outright. */
import type { Decision } from "../../core/rbac/attributes.ts";

/** The node may. */
export const ALLOW: Decision = { kind: "allow", reason: "" };

/** Somebody else may still allow it; the reason may be empty. */
export function noOpinion(reason: string): Decision {
  return { kind: "noOpinion", reason };
}
