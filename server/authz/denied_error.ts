/** The 403 of a denied request (`apiserver/pkg/endpoints/handlers/responsewriters/errors.go`). */
import { goQuote } from "../../core/lib/quote.ts";
import { forbidden, NO_RESOURCE, StatusError } from "../../core/kube/status.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { Attributes } from "../../core/rbac/attributes.ts";

/** Creates the StatusError 403 for a request that is not allowed; `reason` may be empty. */
export function deniedError(user: UserInfo, attributes: Attributes, reason: string): StatusError {
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
