/**
 * The audit log: the requests of every user as `audit.k8s.io/v1` Events (`apiserver/pkg/audit`). The policy decides how
 * much of a request is logged at which stage. Tokens and the bodies of Secrets are never logged.
 */
import {
  type AuditDecision,
  type AuditLevel,
  type AuditPolicy,
  type AuditStage,
  decideAudit,
  hasSecretBodies,
  isAtLeast,
} from "../../core/audit/policy.ts";
import { encodeObject, jsonText, type TypeMeta } from "../../core/kube/wire/object_json.ts";
import { formatMicroTime, type ObjectMeta } from "../../core/kube/meta.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { UserInfoWire } from "../../core/kube/kinds/authentication_v1.ts";
import type { Decision } from "../../core/rbac/attributes.ts";
import { omitEmpty } from "../../core/lib/record.ts";
import { escapeUnseen } from "../../core/lib/printable.ts";
import { parseRequestInfo, type RequestInfo, toAttributes } from "./request_info.ts";
import { toWireUser } from "../authn/authentication.ts";

/** The destination of audit lines. */
export interface AuditSink {
  /** Writes one line, which has no newline at its end; returns false when the line was lost. */
  write(line: string): boolean;
}

/** The policy and destination of the audit log. */
export interface AuditOptions {
  readonly policy: AuditPolicy;
  readonly sink: AuditSink;
  /** Whether a request is refused when its arrival cannot be logged; default false, as upstream. */
  readonly isStrict?: boolean;
}

/** The counters of the audit log, for metrics. */
export interface AuditCounts {
  decided(level: AuditDecision["level"]): void;
  written(): void;
  lost(): void;
  rejected(): void;
}

/** The properties of a request that are known when its trail begins. */
export interface AuditedRequest {
  readonly auditId: string;
  readonly requestUri: string;
  readonly info: RequestInfo;
  /** The user; undefined when authentication failed. */
  readonly user: UserInfo | undefined;
  readonly sourceIps: readonly string[];
  readonly userAgent: string;
  readonly receivedAt: Date;
}

const MAX_USER_AGENT = 1024;
/** The codes of answers whose messages quote the request or the resulting object. */
const QUOTING_CODES: readonly number[] = [400, 422];

/** Begins the trail of a request; undefined when the policy does not log it. */
export function beginAudit(
  { policy, sink, isStrict = false }: AuditOptions,
  counts: AuditCounts,
  now: () => Date,
  request: AuditedRequest,
): AuditTrail | undefined {
  const decision = decideAudit(policy, request.user, toAttributes(request.info));
  counts.decided(decision.level);
  if (decision.level === "None") return undefined;
  const write = (event: AuditEvent): boolean => {
    counts.written();
    const isWritten = sink.write(formatEvent(event));
    if (!isWritten) counts.lost();
    return isWritten || !isStrict;
  };
  return new AuditTrail(request, decision, { write, now, rejected: () => counts.rejected() });
}

/** A change of an object that the server makes on its own, without a request. */
export interface OwnChange {
  readonly auditId: string;
  readonly path: string;
  readonly user: UserInfo;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Logs a change that the server has made on its own, as a patch of the object, if the policy includes it. */
export function auditOwnChange(audit: AuditOptions, { auditId, path, user, annotations }: OwnChange, now: Date): void {
  const trail = beginAudit(audit, NO_COUNTS, () => now, {
    auditId,
    requestUri: path,
    info: parseRequestInfo("PATCH", path, new URLSearchParams()),
    user,
    sourceIps: [],
    userAgent: "",
    receivedAt: now,
  });
  trail?.annotate(annotations);
  trail?.answered(200, undefined);
}

const ignore = (): void => undefined;
/** A change without a request does not count in the metrics. */
const NO_COUNTS: AuditCounts = { decided: ignore, written: ignore, lost: ignore, rejected: ignore };

interface TrailDeps {
  write(event: AuditEvent): boolean;
  now(): Date;
  rejected(): void;
}

/** Collects the audit event of one request, and writes it at each stage. */
export class AuditTrail {
  readonly #request: AuditedRequest;
  readonly #decision: AuditDecision;
  readonly #deps: TrailDeps;
  readonly #event: Omit<AuditEvent, "stage" | "stageTimestamp">;

  constructor(request: AuditedRequest, decision: AuditDecision, deps: TrailDeps) {
    this.#request = request;
    this.#decision = decision;
    this.#deps = deps;
    const { info, userAgent } = request;
    this.#event = {
      level: decision.level,
      auditID: request.auditId,
      requestURI: request.requestUri,
      verb: info.verb,
      user: request.user === undefined ? {} : toWireUser(request.user),
      sourceIPs: request.sourceIps,
      userAgent: userAgent.length > MAX_USER_AGENT ? `${userAgent.slice(0, MAX_USER_AGENT)}...TRUNCATED` : userAgent,
      ...(info.isResourceRequest ? { objectRef: toObjectRef(info) } : {}),
      requestReceivedTimestamp: request.receivedAt,
    };
  }

  /** Logs the arrival of the request; returns false when the request must be refused because that failed. */
  received(): boolean {
    // A request that failed to authenticate is logged when it is answered.
    if (this.#request.user === undefined || this.#write("RequestReceived")) return true;
    this.#deps.rejected();
    return false;
  }

  /** Records the impersonated user, and the constrained mode of impersonation if there was one. */
  impersonated(user: UserInfo, impersonationConstraint: string | undefined): void {
    if (impersonationConstraint !== undefined) this.#event.authenticationMetadata = { impersonationConstraint };
    this.#event.impersonatedUser = toWireUser(user);
  }

  annotate(annotations: Readonly<Record<string, string>>): void {
    this.#event.annotations = { ...this.#event.annotations, ...annotations };
  }

  /** Records why a genuine credential was refused. */
  refused(reason: string): void {
    this.annotate({ "authentication.tlsboot/refused": reason });
  }

  authorized({ kind, reason }: Decision): void {
    this.annotate({
      "authorization.k8s.io/decision": kind === "allow" ? "allow" : "forbid",
      "authorization.k8s.io/reason": reason,
    });
  }

  /** Records the object in the request. Its names complete the object reference from the URL. */
  requestObject(type: TypeMeta, object: object): void {
    const { metadata = {} } = object as { readonly metadata?: ObjectMeta };
    this.#event.objectRef = { ...toNames(metadata), ...this.#event.objectRef };
    if (isAtLeast(this.#decision.level, "Request")) this.#event.requestObject = this.#encodeLogged(type, object);
  }

  requestPatch(patch: unknown): void {
    if (isAtLeast(this.#decision.level, "Request")) this.#event.requestObject = patch;
  }

  /** Records the object of the response: a Status always, any other object only when the policy includes bodies. */
  responseObject(type: TypeMeta, object: () => object): void {
    if (type.kind === "Status") {
      const { status, message, reason, details, code } = object() as Readonly<Record<string, unknown>>;
      const logged = this.#mayQuoteSecrets(code)
        ? { status, reason, code }
        : { status, message, reason, details, code };
      this.#event.responseStatus = { metadata: {}, ...logged };
    }
    if (isAtLeast(this.#decision.level, "RequestResponse")) {
      this.#event.responseObject = this.#encodeLogged(type, object());
    }
  }

  /** Logs the answer to the request; a watch is complete when its stream ends. */
  answered(code: number, streamed: Promise<void> | undefined): void {
    this.#event.responseStatus = { metadata: {}, ...this.#event.responseStatus, code };
    const isStream = this.#request.info.verb === "watch";
    if (isStream || this.#request.user === undefined) this.#write("ResponseStarted");
    if (this.#request.user === undefined) return;
    const complete = (): void => void this.#write("ResponseComplete");
    if (streamed === undefined) complete();
    else streamed.then(complete);
  }

  /**
   * True when the message may contain a Secret. A refused patch of a Secret is answered with the whole Secret, as by
   * kube-apiserver, so only the reason is logged.
   */
  #mayQuoteSecrets(code: unknown): boolean {
    return QUOTING_CODES.some((quoting) => quoting === code) && hasSecretBodies(toAttributes(this.#request.info));
  }

  #write(stage: AuditStage): boolean {
    if (this.#decision.omitStages.has(stage)) return true;
    const stageTimestamp = stage === "RequestReceived" ? this.#request.receivedAt : this.#deps.now();
    return this.#deps.write({ ...this.#event, stage, stageTimestamp });
  }

  #encodeLogged(type: TypeMeta, object: object): object {
    return encodeObject(type, this.#decision.omitManagedFields ? withoutManagedFields(object) : object);
  }
}

function toObjectRef(info: RequestInfo): AuditObjectRef {
  const { resource, namespace, name, apiGroup, apiVersion, subresource } = info;
  return { resource, apiVersion, ...omitEmpty({ namespace, name, apiGroup, subresource }) };
}

function toNames({ namespace, name, uid, resourceVersion }: ObjectMeta): AuditObjectRef {
  return omitEmpty({ namespace, name, uid, resourceVersion });
}

/** Removes the managed fields of an object, or of the objects in a list or a Table. */
function withoutManagedFields(object: object): object {
  const { metadata, items, rows } = object as {
    readonly metadata?: ObjectMeta;
    readonly items?: readonly object[] | null;
    readonly rows?: readonly { readonly object?: object | null }[];
  };
  const { managedFields, ...kept } = metadata ?? {};
  return {
    ...object,
    ...(managedFields === undefined ? {} : { metadata: kept }),
    ...(Array.isArray(items) ? { items: items.map(withoutManagedFields) } : {}),
    ...(Array.isArray(rows)
      ? {
        rows: rows.map((row: { readonly object?: object | null }) =>
          row.object === undefined || row.object === null ? row : { ...row, object: withoutManagedFields(row.object) }
        ),
      }
      : {}),
  };
}

interface AuditObjectRef {
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
function formatEvent(event: AuditEvent): string {
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
