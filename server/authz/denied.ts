/** The 403 of a refused check (`apiserver/pkg/endpoints/handlers/responsewriters/errors.go`). */
import { quoteText } from "../../core/kube/quote.ts";
import { forbidden, NO_RESOURCE, StatusError } from "../../core/kube/status.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { Attributes } from "../../core/rbac/attributes.ts";

/** What a client is told when a request is not allowed; `reason` may be empty. */
export function deniedError(user: UserInfo, attributes: Attributes, reason: string): StatusError {
  const suffix = reason === "" ? "" : `: ${reason}`;
  const why = `${
    withoutMarkup(`User ${quoteText(user.username)} cannot ${attributes.verb} ${describe(attributes)}`)
  }${suffix}`;
  if (attributes.kind === "path") return forbidden(NO_RESOURCE, "", why);
  return forbidden({ group: attributes.apiGroup, plural: attributes.resource }, attributes.name, why);
}

/**
 * The same answer as it is sent when a request does not even reach its handler: browsers are told not to guess what it
 * is (`RespondWithError`).
 */
export function refusedEarly(error: StatusError): StatusError {
  return new StatusError(error.status, {
    cause: error.cause,
    headers: { ...error.headers, "x-content-type-options": "nosniff" },
  });
}

function describe(attributes: Attributes): string {
  if (attributes.kind === "path") return `path ${quoteText(attributes.path)}`;
  const { resource, subresource, apiGroup, namespace } = attributes;
  const target = quoteText(subresource === "" ? resource : `${resource}/${subresource}`);
  const scope = namespace === "" ? "at the cluster scope" : `in the namespace ${quoteText(namespace)}`;
  return `resource ${target} in API group ${quoteText(apiGroup)} ${scope}`;
}

/** A text that a browser may show: markup in names must stay text. */
export function withoutMarkup(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
