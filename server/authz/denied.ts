/** The 403 of a refused check (`apiserver/pkg/endpoints/handlers/responsewriters/errors.go`). */
import { quoteText } from "../../core/kube/quote.ts";
import { forbidden, NO_RESOURCE, type StatusError } from "../../core/kube/status.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { Attributes } from "../../core/rbac/attributes.ts";

/** What a client is told when a request is not allowed; `reason` may be empty. */
export function deniedError(user: UserInfo, attributes: Attributes, reason: string): StatusError {
  const suffix = reason === "" ? "" : `: ${reason}`;
  const why = `${
    sanitize(`User ${quoteText(user.username)} cannot ${attributes.verb} ${describe(attributes)}`)
  }${suffix}`;
  if (attributes.kind === "path") return forbidden(NO_RESOURCE, "", why);
  return forbidden({ group: attributes.apiGroup, plural: attributes.resource }, attributes.name, why);
}

function describe(attributes: Attributes): string {
  if (attributes.kind === "path") return `path ${quoteText(attributes.path)}`;
  const { resource, subresource, apiGroup, namespace } = attributes;
  const target = quoteText(subresource === "" ? resource : `${resource}/${subresource}`);
  const scope = namespace === "" ? "at the cluster scope" : `in the namespace ${quoteText(namespace)}`;
  return `resource ${target} in API group ${quoteText(apiGroup)} ${scope}`;
}

/** The text may be shown by a browser: markup in names must stay text. */
function sanitize(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
