/**
 * Reads the objects that pages show in addition to the requests. If the server does not have some objects, or the user
 * may not read them, the page shows the reason with the rest.
 */
import { readTokenUse } from "../core/token/bound_token.ts";
import { AppError, isAppError } from "../core/errors.ts";
import type { CertificateSigningRequest } from "../core/kube/kinds/certificates_v1.ts";
import type { Lease } from "../core/kube/kinds/nodes.ts";
import type { Event, SecretObject } from "../core/kube/kinds/core_v1.ts";
import {
  caRotationKind,
  certificateSigningRequestKind,
  eventKind,
  issuedCertificateKind,
  leaseKind,
  nodeKind,
  requestRecordKind,
  revocationKind,
  secretKind,
  trustReportKind,
} from "../core/kube/kinds/mod.ts";
import { formatTime, getName, type KubeObject, SYSTEM_NAMESPACE } from "../core/kube/meta.ts";
import type {
  CaRotation,
  IssuedCertificate,
  RequestRecord,
  Revocation,
  TrustReport,
} from "../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { SeenNode } from "./machines.ts";
import {
  addReplacement,
  isCertificateRecord,
  recordRequest,
  type RecordRow,
  ReplacementFinder,
  type Replacements,
  toRow,
} from "../core/report/record_rows.ts";
import { listRetiredCas } from "../core/ca_rotation/trust.ts";
import { isGroupMissing } from "../client/admin/records.ts";
import { describeToken, type ListedToken, TOKEN_SELECTOR } from "../client/admin/tokens.ts";
import type { UiWatch } from "./data.ts";
import type { UiContext } from "./page.ts";

/** The register, without the fields that only the page of one certificate shows. */
export const RECORD_WATCH: UiWatch<IssuedCertificate, IssuedCertificate> = {
  id: "certificates",
  kind: issuedCertificateKind,
  keep({ metadata, spec, status }) {
    const { previousHash: _hash, requester, ...rest } = spec;
    const { uid: _uid, groups: _groups, certificateFingerprint: _print, userAgent: _agent, ...shown } = requester ?? {};
    return {
      metadata: { name: metadata.name ?? "" },
      spec: { ...rest, ...(requester === undefined ? {} : { requester: shown }) },
      status: status.revocation === undefined ? {} : { revocation: status.revocation },
    };
  },
};

/** The certificates in the requests that still exist, which replace the register where there is none. */
export const REQUEST_CERTIFICATE_WATCH: UiWatch<CertificateSigningRequest, IssuedCertificate | undefined> = {
  id: "issued requests",
  kind: certificateSigningRequestKind,
  keep: recordRequest,
};

/** The rotations of CAs, also those that are finished. */
export const ROTATION_WATCH: UiWatch<CaRotation, CaRotation> = {
  id: "rotations",
  kind: caRotationKind,
  keep: (rotation) => rotation,
};

export const REVOCATION_WATCH: UiWatch<Revocation, Revocation> = {
  id: "revocations",
  kind: revocationKind,
  keep: (revocation) => revocation,
};

/** A bootstrap token without its secret, and without the time that is left, which depends on when it is shown. */
export type KnownToken = Omit<ListedToken, "ttl" | "token"> & { readonly createdAt: string | undefined };

/** The bootstrap tokens. Their secrets are not kept. */
export const TOKEN_WATCH: UiWatch<SecretObject, KnownToken | undefined> = {
  id: "tokens",
  kind: secretKind,
  namespace: SYSTEM_NAMESPACE,
  ...TOKEN_SELECTOR,
  keep(secret) {
    const listed = describeToken(secret, false, new Date(0));
    if (listed === undefined) return undefined;
    const { ttl: _ttl, token: _token, ...known } = listed;
    const { createdAt } = readTokenUse(secret);
    return { ...known, createdAt: createdAt === undefined ? secret.metadata.creationTimestamp : formatTime(createdAt) };
  },
};

interface NodeObject extends KubeObject {
  readonly status?: {
    readonly conditions?: readonly {
      readonly type?: string;
      readonly status?: string;
      readonly lastHeartbeatTime?: string | null;
    }[];
  };
}

export const NODE_WATCH: UiWatch<NodeObject, SeenNode> = {
  id: "nodes",
  kind: nodeKind,
  keep({ metadata, status }) {
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    const { lastHeartbeatTime } = ready ?? {};
    return {
      name: metadata.name ?? "",
      createdAt: metadata.creationTimestamp,
      heartbeatAt: lastHeartbeatTime ?? undefined,
      isReady: ready && ready.status === "True",
    };
  },
};

/** When each kubelet renewed its lease. Pages do not follow it, because each does so every ten seconds. */
export const LEASE_WATCH: UiWatch<Lease, string> = {
  id: "leases",
  kind: leaseKind,
  namespace: "kube-node-lease",
  keep: ({ spec }) => spec.renewTime ?? "",
};

/** When each user was seen with a certificate, while a CA is being replaced. */
export const TRUST_REPORT_WATCH: UiWatch<TrustReport, { readonly username: string; readonly at: string }> = {
  id: "trust reports",
  kind: trustReportKind,
  keep({ status: { username, lastSeen, reportedAt } }) {
    return { username, at: lastSeen ?? reportedAt ?? "" };
  },
};

/** The users who decided about requests, as the server recorded them. */
export const REQUEST_RECORD_WATCH: UiWatch<RequestRecord, Pick<RequestRecord, "metadata" | "status">> = {
  id: "decisions",
  kind: requestRecordKind,
  keep: ({ metadata, status }) => ({ metadata: { name: metadata.name ?? "" }, status }),
};

/** The events about certificate signing requests. */
export const REQUEST_EVENT_WATCH: UiWatch<Event, Event> = {
  id: "events",
  kind: eventKind,
  namespace: "default",
  fieldSelector: "involvedObject.kind=CertificateSigningRequest",
  keep: ({ metadata, ...event }) => ({ ...event, metadata: { name: metadata.name ?? "" } }),
};

/** Something that a page cannot show. */
export interface Missing {
  /** The objects, such as `bootstrap tokens`. */
  readonly what: string;
  /** The reason, and what is shown instead. */
  readonly why: string;
}

/** The part of a page's data that could be read. */
export interface Readable<E> {
  readonly entries: ReadonlyMap<string, E>;
  /** Undefined when the entries could be read. */
  readonly missing: Missing | undefined;
}

/**
 * Reads the objects of a watch, or the reason why they are missing: the server does not have the kind, or the user may not
 * read it. Other failures throw.
 */
export async function readIfPossible<T extends KubeObject, E>(
  { data, signal }: Pick<UiContext, "data" | "signal">,
  watch: UiWatch<T, E>,
  what: string,
): Promise<Readable<E>> {
  try {
    return { entries: (await data.read(watch, signal)).entries, missing: undefined };
  } catch (error) {
    signal.throwIfAborted();
    return { entries: new Map(), missing: { what, why: explainMissing(error) } };
  }
}

/** How long a form waits at most until the watch has what it changed, in milliseconds. */
const SHOWN_WITHIN_MS = 2_000;

/** Waits briefly until a watch has the changes of a form, so that the next page shows them even without a script. */
export async function waitUntilShown<T extends KubeObject, E>(
  context: Pick<UiContext, "data" | "signal" | "io">,
  watch: UiWatch<T, E>,
  isShown: (entries: ReadonlyMap<string, E>) => boolean,
): Promise<void> {
  const { entries, missing } = await readIfPossible(context, watch, watch.id);
  const { data, signal, io: { clock } } = context;
  const endsAt = clock.elapsedMs() + SHOWN_WITHIN_MS;
  while (missing === undefined && !isShown(entries)) {
    if (!await data.waitForChange([watch.id], endsAt - clock.elapsedMs(), signal)) return;
  }
}

const NOT_SERVED = "this is another API server, such as kube-apiserver, which does not have them";

/** Explains why objects cannot be read. Throws errors of other kinds. */
export function explainMissing(error: unknown): string {
  if (isGroupMissing(error)) return NOT_SERVED;
  if (isAppError(error, "access_denied")) return `you may not read them (${error.message})`;
  throw error;
}

/** The certificates that pages show. */
interface KnownCertificates {
  /** In the order of issuance. */
  readonly rows: readonly RecordRow[];
  /** Whether the server has a register; otherwise the rows come from requests that still exist. */
  readonly isRegister: boolean;
  readonly missing: readonly Missing[];
}

/** The watches whose changes `readCertificates` shows. */
export const CERTIFICATES_LIVE: readonly string[] = [RECORD_WATCH.id, REQUEST_CERTIFICATE_WATCH.id, ROTATION_WATCH.id];

/** Reads the register, or the certificates of the requests where there is no register or the user may not read it. */
export async function readCertificates(context: UiContext): Promise<KnownCertificates> {
  const register = await readIfPossible(context, RECORD_WATCH, "certificates without a request that still exists");
  if (register.missing === undefined) {
    const replacements: Replacements = new Map();
    const records = [...register.entries.values()].filter(isCertificateRecord);
    for (const record of records) addReplacement(replacements, record);
    const rotations = await readIfPossible(context, ROTATION_WATCH, "rotations of CAs");
    const retiredCas = listRetiredCas(rotations.entries.values());
    return { rows: sortRows(records, replacements, context.now, retiredCas), isRegister: true, missing: [] };
  }
  const requests = await readIfPossible(context, REQUEST_CERTIFICATE_WATCH, "certificate signing requests");
  const records = [...requests.entries.values()].filter((one) => one !== undefined);
  const finder = new ReplacementFinder();
  for (const record of records.toSorted((a, b) => a.spec.sequence - b.spec.sequence)) finder.add(record);
  return {
    rows: sortRows(records, finder.found, context.now),
    isRegister: false,
    missing: [register.missing, ...(requests.missing === undefined ? [] : [requests.missing])],
  };
}

function sortRows(
  records: readonly IssuedCertificate[],
  replacements: Replacements,
  now: Date,
  retiredCas?: ReadonlySet<string>,
): readonly RecordRow[] {
  return records.map((record) => toRow(record, replacements, now, retiredCas))
    .sort((a, b) => a.record.spec.sequence - b.record.spec.sequence);
}

/** Reads the bootstrap tokens, the newest first. */
export async function readTokens(
  context: UiContext,
): Promise<{ readonly tokens: readonly KnownToken[]; readonly missing: Missing | undefined }> {
  const { entries, missing } = await readIfPossible(context, TOKEN_WATCH, "bootstrap tokens");
  const tokens = [...entries.values()].filter((one) => one !== undefined)
    .sort((a, b) => Date.parse(b.createdAt ?? "") - Date.parse(a.createdAt ?? "") || (a.id < b.id ? -1 : 1));
  return { tokens, missing };
}

/** Creates the error of a page about an object that does not exist. */
export function createNotFound(what: string, hint: string): AppError {
  return new AppError("not_found", `${what} is not known here`, { hint });
}

/** Returns the name of an object, escaped for a path. */
export function getPathName(object: KubeObject): string {
  return encodeURIComponent(getName(object));
}
