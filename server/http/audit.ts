/** The audit log: one line per request, two for a watch, `audit.k8s.io/v1` Event at level Metadata; never a token, never a body. */
import { formatMicroTime, type Status } from "../../core/kube/meta.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { Decision } from "../../core/rbac/attributes.ts";
import type { RequestInfo } from "./request_info.ts";

/** Where audit lines go. */
export interface AuditSink {
  /** One line of JSON, without the newline. */
  write(line: string): void;
}

/** What is known of a request once it has been answered. */
export interface AuditRecord {
  readonly auditId: string;
  readonly requestUri: string;
  readonly info: RequestInfo;
  readonly user: UserInfo;
  readonly impersonatedUser: UserInfo | undefined;
  readonly remoteAddress: string;
  readonly userAgent: string;
  readonly code: number;
  /** What the client is told of a failure. */
  readonly failure: Status | undefined;
  readonly decision: Decision | undefined;
  readonly receivedAt: Date;
}

/** Where an answer stands: a watch starts long before it is complete. */
export type AuditStage = "ResponseStarted" | "ResponseComplete";

const MAX_USER_AGENT = 1024;

/** The line of one stage of a request. */
export function formatAuditEvent(record: AuditRecord, stage: AuditStage, at: Date): string {
  const { info, decision } = record;
  const event = {
    kind: "Event",
    apiVersion: "audit.k8s.io/v1",
    level: "Metadata",
    auditID: record.auditId,
    stage,
    requestURI: record.requestUri,
    verb: info.verb,
    user: wireUser(record.user),
    ...(record.impersonatedUser === undefined ? {} : { impersonatedUser: wireUser(record.impersonatedUser) }),
    sourceIPs: [record.remoteAddress],
    userAgent: record.userAgent.length > MAX_USER_AGENT
      ? `${record.userAgent.slice(0, MAX_USER_AGENT)}...TRUNCATED`
      : record.userAgent,
    ...(info.isResourceRequest ? { objectRef: objectRef(info) } : {}),
    responseStatus: { metadata: {}, ...toldFailure(record), code: record.code },
    requestReceivedTimestamp: formatMicroTime(record.receivedAt),
    stageTimestamp: formatMicroTime(at),
    ...(decision === undefined ? {} : {
      annotations: {
        "authorization.k8s.io/decision": decision.kind === "allow" ? "allow" : "forbid",
        "authorization.k8s.io/reason": decision.reason,
      },
    }),
  };
  return JSON.stringify(event);
}

/** Resources whose bodies are secrets. */
const SECRET_RESOURCES: ReadonlySet<string> = new Set(["secrets", "tokenreviews"]);
/** Answers whose texts quote what was sent, or what would have become of it. */
const QUOTING_CODES: readonly number[] = [400, 422];

/** A refused patch of a Secret is told with the whole Secret, as by kube-apiserver; a log gets the reason alone. */
function toldFailure({ failure, info, code }: AuditRecord): Partial<Status> | undefined {
  if (failure === undefined || !SECRET_RESOURCES.has(info.resource) || !QUOTING_CODES.includes(code)) return failure;
  const { message: _message, details: _details, ...told } = failure;
  return told;
}

function wireUser(user: UserInfo): object {
  return {
    username: user.username,
    ...(user.uid === "" ? {} : { uid: user.uid }),
    groups: user.groups,
    ...(Object.keys(user.extra).length === 0 ? {} : { extra: user.extra }),
  };
}

function objectRef(info: RequestInfo): object {
  return {
    resource: info.resource,
    ...(info.namespace === "" ? {} : { namespace: info.namespace }),
    ...(info.name === "" ? {} : { name: info.name }),
    ...(info.apiGroup === "" ? {} : { apiGroup: info.apiGroup }),
    apiVersion: info.apiVersion,
    ...(info.subresource === "" ? {} : { subresource: info.subresource }),
  };
}
