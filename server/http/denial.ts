/** What a client is told when authorization refuses (`apiserver/pkg/endpoints/handlers/responsewriters/errors.go`). */
import type { Decision } from "../../core/rbac/attributes.ts";
import { forbidden, NO_RESOURCE, type StatusError } from "../../core/kube/status.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { RequestInfo } from "./request_info.ts";

/** The 403 of a refused request. */
export function denialOf(user: UserInfo, info: RequestInfo, decision: Decision): StatusError {
  const reason = decision.reason === "" ? "" : `: ${decision.reason}`;
  const who = `User ${JSON.stringify(user.username)} cannot ${info.verb}`;
  if (!info.isResourceRequest) return forbidden(NO_RESOURCE, "", escape(`${who} path ${JSON.stringify(info.path)}${reason}`));
  const resource = info.subresource === "" ? info.resource : `${info.resource}/${info.subresource}`;
  const scope = info.namespace === "" ? "at the cluster scope" : `in the namespace ${JSON.stringify(info.namespace)}`;
  return forbidden(
    { group: info.apiGroup, plural: info.resource },
    info.name,
    escape(`${who} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(info.apiGroup)} ${scope}${reason}`),
  );
}

/** These texts may be shown by a browser: markup in names must stay text. */
function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
