/**
 * The audit log: who did what, as `audit.k8s.io/v1` Events (`apiserver/pkg/audit`). The policy says how much of a
 * request is written at which of its stages; never a token, and never the body of a secret.
 */
import {
  type AuditDecision,
  type AuditPolicy,
  type AuditStage,
  decideAudit,
  isAboutSecrets,
  isAtLeast,
} from "../../core/audit/policy.ts";
import { encodeObject, type TypeMeta } from "../../core/kube/codec/encode.ts";
import type { ObjectMeta } from "../../core/kube/meta.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { Decision } from "../../core/rbac/attributes.ts";
import { type AuditEvent, type AuditObjectRef, formatEvent, formatLegacyEvent, toAuditUser } from "./audit_event.ts";
import { type RequestInfo, toAttributes } from "./request_info.ts";

/** Where audit lines go. */
export interface AuditSink {
  /** One line without its newline; false when it was lost. */
  write(line: string): boolean;
}

/** An audit log. */
export interface AuditOptions {
  readonly policy: AuditPolicy;
  readonly sink: AuditSink;
  /** A request whose arrival cannot be written is refused; default false, as upstream. */
  readonly isStrict?: boolean;
  /** Default `json`. */
  readonly format?: "json" | "legacy";
}

/** What is counted of the audit log. */
export interface AuditCounts {
  decided(level: AuditDecision["level"]): void;
  written(): void;
  lost(): void;
  rejected(): void;
}

/** What is known of a request when its trail begins. */
export interface AuditedRequest {
  readonly auditId: string;
  readonly requestUri: string;
  readonly info: RequestInfo;
  /** Undefined when authentication failed. */
  readonly user: UserInfo | undefined;
  readonly sourceIps: readonly string[];
  readonly userAgent: string;
  readonly receivedAt: Date;
}

const MAX_USER_AGENT = 1024;
/** Answers whose texts quote what was sent, or what would have become of it. */
const QUOTING_CODES: readonly number[] = [400, 422];

/** Begins the trail of a request; undefined where the policy wants nothing of it. */
export function beginAudit(
  { policy, sink, isStrict = false, format = "json" }: AuditOptions,
  counts: AuditCounts,
  now: () => Date,
  request: AuditedRequest,
): AuditTrail | undefined {
  const decision = decideAudit(policy, request.user, toAttributes(request.info));
  counts.decided(decision.level);
  if (decision.level === "None") return undefined;
  const write = (event: AuditEvent): boolean => {
    counts.written();
    const isWritten = sink.write(format === "json" ? formatEvent(event) : formatLegacyEvent(event));
    if (!isWritten) counts.lost();
    return isWritten || !isStrict;
  };
  return new AuditTrail(request, decision, { write, now, rejected: () => counts.rejected() });
}

interface TrailDeps {
  write(event: AuditEvent): boolean;
  now(): Date;
  rejected(): void;
}

/** What is written down of one request, as it becomes known. */
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
      user: request.user === undefined ? {} : toAuditUser(request.user),
      sourceIPs: request.sourceIps,
      userAgent: userAgent.length > MAX_USER_AGENT ? `${userAgent.slice(0, MAX_USER_AGENT)}...TRUNCATED` : userAgent,
      ...(info.isResourceRequest ? { objectRef: toObjectRef(info) } : {}),
      requestReceivedTimestamp: request.receivedAt,
    };
  }

  /** Writes that the request came; false when it must not go on because that could not be written. */
  received(): boolean {
    // What failed to authenticate is written once it is answered.
    if (this.#request.user === undefined || this.#write("RequestReceived")) return true;
    this.#deps.rejected();
    return false;
  }

  /** The request goes on as somebody else, by a constrained mode of impersonation if one is named. */
  impersonated(user: UserInfo, impersonationConstraint: string | undefined): void {
    if (impersonationConstraint !== undefined) this.#event.authenticationMetadata = { impersonationConstraint };
    this.#event.impersonatedUser = toAuditUser(user);
  }

  /** What the authorizer said. */
  authorized({ kind, reason }: Decision): void {
    this.#event.annotations = {
      "authorization.k8s.io/decision": kind === "allow" ? "allow" : "forbid",
      "authorization.k8s.io/reason": reason,
    };
  }

  /** The object that was sent. What the URL does not say is taken from it. */
  requestObject(type: TypeMeta, object: object): void {
    const { metadata = {} } = object as { readonly metadata?: ObjectMeta };
    this.#event.objectRef = { ...toNames(metadata), ...this.#event.objectRef };
    if (isAtLeast(this.#decision.level, "Request")) this.#event.requestObject = this.#shown(type, object);
  }

  /** The patch that was sent. */
  requestPatch(patch: unknown): void {
    if (isAtLeast(this.#decision.level, "Request")) this.#event.requestObject = patch;
  }

  /** What is answered: of a Status always, of anything else where the policy wants bodies; `object` is asked only then. */
  responseObject(type: TypeMeta, object: () => object): void {
    if (type.kind === "Status") {
      const { status, message, reason, details, code } = object() as Readonly<Record<string, unknown>>;
      const told = this.#mayQuoteSecrets(code) ? { status, reason, code } : { status, message, reason, details, code };
      this.#event.responseStatus = { metadata: {}, ...told };
    }
    if (isAtLeast(this.#decision.level, "RequestResponse")) this.#event.responseObject = this.#shown(type, object());
  }

  /** Writes that the request is answered; a watch is complete when its stream ends. */
  answered(code: number, streamed: Promise<void> | undefined): void {
    this.#event.responseStatus = { metadata: {}, ...this.#event.responseStatus, code };
    const isStream = this.#request.info.verb === "watch";
    if (isStream || this.#request.user === undefined) this.#write("ResponseStarted");
    if (this.#request.user === undefined) return;
    const complete = (): void => void this.#write("ResponseComplete");
    if (streamed === undefined) complete();
    else streamed.then(complete);
  }

  /** A refused patch of a Secret is told with the whole Secret, as by kube-apiserver; a log gets the reason alone. */
  #mayQuoteSecrets(code: unknown): boolean {
    return QUOTING_CODES.some((quoting) => quoting === code) && isAboutSecrets(toAttributes(this.#request.info));
  }

  #write(stage: AuditStage): boolean {
    if (this.#decision.omitStages.has(stage)) return true;
    const stageTimestamp = stage === "RequestReceived" ? this.#request.receivedAt : this.#deps.now();
    return this.#deps.write({ ...this.#event, stage, stageTimestamp });
  }

  #shown(type: TypeMeta, object: object): object {
    return encodeObject(type, this.#decision.omitManagedFields ? withoutManagedFields(object) : object);
  }
}

function toObjectRef(info: RequestInfo): AuditObjectRef {
  return {
    resource: info.resource,
    ...(info.namespace === "" ? {} : { namespace: info.namespace }),
    ...(info.name === "" ? {} : { name: info.name }),
    ...(info.apiGroup === "" ? {} : { apiGroup: info.apiGroup }),
    apiVersion: info.apiVersion,
    ...(info.subresource === "" ? {} : { subresource: info.subresource }),
  };
}

function toNames({ namespace = "", name = "", uid = "", resourceVersion = "" }: ObjectMeta): AuditObjectRef {
  return {
    ...(namespace === "" ? {} : { namespace }),
    ...(name === "" ? {} : { name }),
    ...(uid === "" ? {} : { uid }),
    ...(resourceVersion === "" ? {} : { resourceVersion }),
  };
}

/** An object, a list or a Table without the managed fields in it. */
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
