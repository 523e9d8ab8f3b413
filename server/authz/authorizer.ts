/**
 * The authorizer chain `Node,RBAC`: the privileged group, then nodes, then roles. The first allow decides, and a request
 * that no authorizer allows is refused (`pkg/kubeapiserver/authorizer/config.go`) with a 403
 * (`apiserver/pkg/endpoints/handlers/responsewriters/errors.go`).
 */
import type { SubjectRulesReviewStatus } from "../../core/kube/kinds/authorization_v1.ts";
import { MASTERS_GROUP, type UserInfo } from "../../core/kube/user.ts";
import type { Attributes, Decision } from "../../core/rbac/attributes.ts";
import { createRulesReview, evaluateRbac } from "../../core/rbac/evaluate.ts";
import { authorizeNode, isNodeUser, NODE_RULES_ERROR } from "./node_authorizer.ts";
import type { RbacSource } from "./rbac_source.ts";
import type { Storage } from "../storage/storage.ts";
import { goQuote } from "../../core/lib/quote.ts";
import { forbidden, NO_RESOURCE, StatusError } from "../../core/kube/status/status.ts";

/** Decides what a user may do. */
export interface Authorizer {
  authorize(user: UserInfo, attributes: Attributes): Promise<Decision>;
  /** Lists what a user may do in a namespace, as far as the rules of the authorizers can be enumerated. */
  rulesFor(user: UserInfo, namespace: string): Promise<SubjectRulesReviewStatus>;
}

/** Creates the chain. A change of roles takes effect at once. */
export function createAuthorizer(
  deps: { readonly rbac: RbacSource; readonly storage: Pick<Storage, "get"> },
): Authorizer {
  return {
    async authorize(user, attributes) {
      if (user.groups.includes(MASTERS_GROUP)) return { kind: "allow", reason: "" };
      const node = await authorizeNode(user, attributes, deps.storage);
      if (node.kind !== "noOpinion") return node;
      const rbac = evaluateRbac(user, attributes, deps.rbac.objects());
      if (rbac.kind !== "noOpinion") return rbac;
      return { kind: "noOpinion", reason: joinReasons({ node: node.reason, rbac: rbac.reason }) };
    },
    rulesFor(user, namespace) {
      const status = createRulesReview(user, namespace, deps.rbac.objects());
      if (!isNodeUser(user)) return Promise.resolve(status);
      const errors = [NODE_RULES_ERROR, ...(status.evaluationError === undefined ? [] : [status.evaluationError])];
      return Promise.resolve({ ...status, incomplete: true, evaluationError: joinErrors(errors) });
    },
  };
}

/** Prefixes each authorizer's text with its name (`apiserver/pkg/authorization/union/union.go`). */
function joinReasons(reasons: Readonly<Record<string, string>>): string {
  return Object.entries(reasons).filter(([, text]) => text !== "").map(([name, text]) => `${name}: ${text}`).join("\n");
}

/** Joins several errors into one text (apimachinery `util/errors`, `Aggregate`). */
export function joinErrors(errors: readonly string[]): string {
  return errors.length === 1 ? errors[0] ?? "" : `[${errors.join(", ")}]`;
}

/** Creates the StatusError 403 for a request that is not allowed; `reason` may be empty. */
export function createDeniedError(user: UserInfo, attributes: Attributes, reason: string): StatusError {
  const suffix = reason === "" ? "" : `: ${reason}`;
  const why = `${
    escapeMarkup(`User ${goQuote(user.username)} cannot ${attributes.verb} ${describe(attributes)}`)
  }${suffix}`;
  if (attributes.kind === "path") return forbidden(NO_RESOURCE, "", why);
  return forbidden({ group: attributes.apiGroup, plural: attributes.resource }, attributes.name, why);
}

/**
 * Adds `X-Content-Type-Options: nosniff` to an error. A request that is refused before it reaches its handler gets this
 * header (`Forbidden` in `responsewriters/errors.go`).
 */
export function withNosniff(error: StatusError): StatusError {
  return new StatusError(error.status, {
    cause: error.cause,
    headers: { ...error.headers, "x-content-type-options": "nosniff" },
  });
}

function describe(attributes: Attributes): string {
  if (attributes.kind === "path") return `path ${goQuote(attributes.path)}`;
  const { resource, subresource, apiGroup, namespace } = attributes;
  const target = goQuote(subresource === "" ? resource : `${resource}/${subresource}`);
  const scope = namespace === "" ? "at the cluster scope" : `in the namespace ${goQuote(namespace)}`;
  return `resource ${target} in API group ${goQuote(apiGroup)} ${scope}`;
}

/** Escapes markup, so that a browser shows the names in a message as text. */
export function escapeMarkup(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
