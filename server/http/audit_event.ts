/** The lines of an audit log: `audit.k8s.io/v1` Events as JSON, or the older one-line text (`apiserver/pkg/audit/format.go`). */
import type { AuditLevel, AuditStage } from "../../core/audit/policy.ts";
import { goQuote } from "../../core/lib/quote.ts";
import { jsonText } from "../../core/kube/wire/encode.ts";
import { formatMicroTime } from "../../core/kube/meta.ts";
import { escapeUnseen } from "../../core/lib/printable.ts";
import type { UserInfoWire } from "../../core/kube/kinds/authentication_v1.ts";

export interface AuditObjectRef {
  readonly resource?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
  readonly apiGroup?: string;
  readonly apiVersion?: string;
  readonly resourceVersion?: string;
  readonly subresource?: string;
}

export interface AuditEvent {
  readonly level: AuditLevel;
  readonly auditID: string;
  readonly stage: AuditStage;
  readonly requestURI: string;
  readonly verb: string;
  readonly user: UserInfoWire;
  impersonatedUser?: UserInfoWire;
  authenticationMetadata?: { readonly impersonationConstraint: string };
  readonly sourceIPs: readonly string[];
  readonly userAgent: string;
  objectRef?: AuditObjectRef;
  responseStatus?: Readonly<Record<string, unknown>>;
  requestObject?: unknown;
  responseObject?: unknown;
  readonly requestReceivedTimestamp: Date;
  readonly stageTimestamp: Date;
  annotations?: Readonly<Record<string, string>>;
}

/** Formats an event as one line of JSON with its members in Kubernetes' order. Terminal control characters are escaped. */
export function formatEvent(event: AuditEvent): string {
  const { objectRef } = event;
  const line = jsonText({
    kind: "Event",
    apiVersion: "audit.k8s.io/v1",
    level: event.level,
    auditID: event.auditID,
    stage: event.stage,
    requestURI: event.requestURI,
    verb: event.verb,
    user: event.user,
    impersonatedUser: event.impersonatedUser,
    authenticationMetadata: event.authenticationMetadata,
    sourceIPs: event.sourceIPs.length === 0 ? undefined : event.sourceIPs,
    userAgent: event.userAgent === "" ? undefined : event.userAgent,
    objectRef: objectRef === undefined ? undefined : {
      resource: objectRef.resource,
      namespace: objectRef.namespace,
      name: objectRef.name,
      uid: objectRef.uid,
      apiGroup: objectRef.apiGroup,
      apiVersion: objectRef.apiVersion,
      resourceVersion: objectRef.resourceVersion,
      subresource: objectRef.subresource,
    },
    responseStatus: event.responseStatus,
    requestObject: event.requestObject,
    responseObject: event.responseObject,
    requestReceivedTimestamp: formatMicroTime(event.requestReceivedTimestamp),
    stageTimestamp: formatMicroTime(event.stageTimestamp),
    annotations: event.annotations,
  });
  return escapeUnseen(line);
}

/** Formats an event for `--audit-log-format legacy`, which has no bodies. */
export function formatLegacyEvent(event: AuditEvent): string {
  const { user, impersonatedUser, objectRef, responseStatus } = event;
  const username = user.username ?? "<none>";
  const fields = [
    ["id", goQuote(event.auditID)],
    ["stage", goQuote(event.stage)],
    ["ip", goQuote(event.sourceIPs[0] ?? "<unknown>")],
    ["method", goQuote(event.verb)],
    ["user", goQuote(username)],
    ["groups", goQuote(user.username === undefined ? "<none>" : formatQuotedList(user.groups, "<none>"))],
    ["as", goQuote(impersonatedUser?.username ?? "<self>")],
    ["asgroups", goQuote(formatQuotedList(impersonatedUser?.groups, "<lookup>"))],
    ["user-agent", goQuote(event.userAgent)],
    ["namespace", goQuote(objectRef?.namespace ?? "<none>")],
    ["uri", goQuote(event.requestURI)],
    ["response", `"${responseStatus?.["code"] ?? "<deferred>"}"`],
  ] as const;
  const time = formatNanoTime(event.requestReceivedTimestamp);
  return `${time} AUDIT: ${fields.map(([name, value]) => `${name}=${value}`).join(" ")}`;
}

function formatQuotedList(values: readonly string[] | undefined, otherwise: string): string {
  return values === undefined || values.length === 0 ? otherwise : values.map(goQuote).join(",");
}

/** Formats a time like Go's `RFC3339Nano`, without trailing zeros in the fraction. */
function formatNanoTime(date: Date): string {
  return date.toISOString().replace(/\.?0{1,3}Z$/, "Z");
}
