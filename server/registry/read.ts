/**
 * Reads one object, or a list at one revision. A list in chunks has a token that is opaque to clients: base64url of
 * `{"v":"meta.k8s.io/v1","rv":N,"start":"/<key>\u0000"}` (`apiserver/pkg/storage/continue.go`).
 */
import { Buffer } from "node:buffer";
import { goQuote, parseInt64 } from "../../core/lib/go_text.ts";
import { lookup } from "../../core/lib/record.ts";
import {
  type FieldRequirement,
  findRequiredName,
  type LabelSelectorRequirements,
  matchesFields,
  matchesLabels,
} from "../../core/kube/selectors.ts";
import {
  badRequest,
  genericServerError,
  notFound,
  resourceExpired,
  tooLargeResourceVersion,
} from "../../core/kube/status/status.ts";
import { decodeRawUrlBase64 } from "../../core/kube/wire/scalars.ts";
import { DecodeError, goJsonType, isJsonObject, JsonSyntaxError, listMembers } from "../../core/kube/json_value.ts";
import { parseJson } from "../../core/kube/wire/json_parser.ts";
import { CompactedError, type Stored } from "../storage/storage.ts";
import { parseRequestedKey, type RegistryDeps, type RegistryStorage, type Target, toKeyPrefix } from "./registry.ts";
import type { Resource } from "./resource.ts";

/** Selects objects of a collection by labels and fields. */
export interface Selection {
  readonly labels: LabelSelectorRequirements;
  readonly fields: readonly FieldRequirement[];
}

export interface ListQuery extends Selection {
  readonly limit: number;
  readonly continueToken: string;
  readonly resourceVersion: string;
  readonly resourceVersionMatch: string;
}

export interface ListAnswer {
  readonly items: readonly Stored[];
  readonly revision: number;
  /** Empty on the last page. */
  readonly continueToken: string;
  /** The number of later items, known only without a selector. */
  readonly remainingItemCount: number | undefined;
}

/** How long a read waits for a revision that is ahead of the store. */
const AHEAD_WAIT_MS = 3_000;
/** The size of pages read from the storage when a selector filters them. */
const SCAN_PAGE = 500;
const TOO_OLD_CONTINUE = "The provided continue parameter is too old to display a consistent list result. " +
  "You can start a new list without the continue parameter, or use the continue token in this response to retrieve " +
  "the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that " +
  "were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/** Reads one object. Throws StatusError 404, 500 for a malformed and 504 for a future `resourceVersion`. */
export async function getObject(
  deps: RegistryDeps,
  target: Target,
  resourceVersion: string,
  signal: () => AbortSignal,
): Promise<Stored> {
  const key = parseRequestedKey(target);
  if (resourceVersion !== "" && resourceVersion !== "0") {
    const revision = parseRevision(resourceVersion);
    if (revision === undefined) {
      // Without a watch cache, etcd's store reads the version (`storage/etcd3/store.go`, validateMinimumResourceVersion).
      throw target.resource.uncached === true
        ? badRequest(`invalid resource version: ${formatMalformedRevision(resourceVersion)}`)
        : genericServerError(formatMalformedRevision(resourceVersion));
    }
    await waitForRevision(deps, revision, signal, target.resource);
  }
  const stored = await deps.storage.get(key);
  if (stored === undefined) throw notFound(target.resource.kind, target.name);
  return stored;
}

/** Reads a list of objects. Throws StatusError 400, 410 or 504. */
export async function listObjects(
  deps: RegistryDeps,
  target: Target,
  query: ListQuery,
  signal: () => AbortSignal,
): Promise<ListAnswer> {
  const prefix = toKeyPrefix(target.resource, target.namespace);
  const start = await resolveStart(deps, target.resource, query, signal);
  try {
    const { items, revision, nextKey, remaining } = await scan(deps.storage, target, prefix, query, start);
    if (nextKey === undefined) return { items, revision, continueToken: "", remainingItemCount: undefined };
    const token = { revision, start: nextKey.slice(prefix.length) };
    return {
      items,
      revision,
      continueToken: encodeContinue(token, { rooted: start.isCached }),
      remainingItemCount: isSelective(query) ? undefined : remaining,
    };
  } catch (error) {
    if (!(error instanceof CompactedError)) throw error;
    if (query.continueToken === "") {
      throw resourceExpired(`The resourceVersion for the provided list is too old.`);
    }
    const token = { revision: -1, start: parseContinue(query.continueToken).start };
    const inconsistent = encodeContinue(token, { rooted: start.isCached });
    throw resourceExpired(TOO_OLD_CONTINUE, inconsistent);
  }
}

/** Whether a selection includes a stored object, which is parsed only if the selection needs it. */
export function isSelected(resource: Resource, stored: Stored, { labels, fields }: Selection): boolean {
  return (labels.length === 0 || matchesLabels(labels, stored.object.metadata.labels ?? {})) &&
    matchesFields(fields, (field) => getFieldValue(resource, stored, field));
}

/** Throws StatusError 400 for a field that cannot select the resource. */
export function assertSelectable(resource: Resource, fields: readonly FieldRequirement[]): void {
  const { selectableFields = [], kind, notSelectableByNamespace = false } = resource;
  // Kinds without selectable fields use the generic rule, which ignores scopes and has its own text.
  const isPlain = selectableFields.length === 0;
  for (const { field } of fields) {
    if (field === "metadata.name") continue;
    if (field === "metadata.namespace" && (kind.namespaced || isPlain) && !notSelectableByNamespace) continue;
    if (selectableFields.includes(field)) continue;
    throw badRequest(
      isPlain
        ? `${goQuote(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`
        : `field label not supported: ${field}`,
    );
  }
}

/** Parses a revision that a client sent; undefined when it is not an unsigned 64-bit integer. */
export function parseRevision(text: string): number | undefined {
  // Above 2^53 a number is not exact, but no store has so large a revision.
  return isUint64(text) ? Number(text) : undefined;
}

/** Whether Go's `strconv.ParseUint` accepts a text with base 10 and 64 bits. */
export function isUint64(text: string): boolean {
  return /^\d+$/.test(text) && BigInt(text) < 1n << 64n;
}

/** Returns Go's message for a text that is not an unsigned integer. */
export function formatParseUintError(text: string): string {
  const why = /^\d+$/.test(text) ? "value out of range" : "invalid syntax";
  return `strconv.ParseUint: parsing ${goQuote(text)}: ${why}`;
}

/** Returns the message for a malformed `resourceVersion` (`storage/api_object_versioner.go`, ParseResourceVersion). */
export function formatMalformedRevision(text: string): string {
  return `resourceVersion: Invalid value: ${goQuote(text)}: ${formatParseUintError(text)}`;
}

/**
 * Waits until the store has reached a revision, which it usually already has. Throws StatusError 504 after a timeout,
 * like upstream's watch cache. For a resource without a watch cache, it does not wait (`storage/etcd3/store.go`,
 * validateMinimumResourceVersion).
 */
export async function waitForRevision(
  deps: RegistryDeps,
  revision: number,
  signal: () => AbortSignal,
  { uncached }: Pick<Resource, "uncached"> = {},
): Promise<void> {
  const { storage, clock } = deps;
  if (storage.revision() >= revision) return;
  if (uncached === true) {
    await storage.catchUp();
    if (storage.revision() >= revision) return;
    throw tooLargeResourceVersion(revision, storage.revision(), 0);
  }
  // The client may have the revision from another server of a shared store, whose changes have not arrived here yet. If
  // this call fails, the timeout below applies.
  storage.catchUp().catch(() => undefined);
  const deadline = clock.elapsedMs() + AHEAD_WAIT_MS;
  while (storage.revision() < revision) {
    const leftMs = deadline - clock.elapsedMs();
    if (leftMs <= 0) throw tooLargeResourceVersion(revision, storage.revision());
    await clock.sleep(Math.min(leftMs, 50), signal());
  }
}

interface Start {
  /** The state to show; undefined for the newest. */
  readonly revision: number | undefined;
  /** The first key below the prefix that may be listed. */
  readonly from: string | undefined;
  /** The maximum number of items; 0 for all. */
  readonly limit: number;
  /** True when kube-apiserver would answer from its watch cache instead of etcd. */
  readonly isCached: boolean;
}

async function resolveStart(
  deps: RegistryDeps,
  resource: Resource,
  query: ListQuery,
  signal: () => AbortSignal,
): Promise<Start> {
  const isCached = resource.uncached !== true;
  // The watch cache answers version 0 with everything it has.
  const limit = isCached && query.resourceVersion === "0" ? 0 : query.limit;
  if (query.continueToken !== "") {
    const token = parseContinue(query.continueToken);
    if (query.resourceVersion !== "" && query.resourceVersion !== "0") {
      throw badRequest("specifying resource version is not allowed when using continue");
    }
    if (token.revision > 0) await waitForRevision(deps, token.revision, signal, resource);
    return { revision: token.revision < 0 ? undefined : token.revision, from: token.start, limit, isCached };
  }
  if (query.resourceVersion === "" || query.resourceVersion === "0") {
    return { revision: undefined, from: undefined, limit, isCached };
  }
  const revision = parseRevision(query.resourceVersion);
  if (revision === undefined) {
    throw badRequest(`invalid resource version: ${formatMalformedRevision(query.resourceVersion)}`);
  }
  await waitForRevision(deps, revision, signal, resource);
  const isExact = query.resourceVersionMatch === "Exact" || (query.resourceVersionMatch === "" && query.limit > 0);
  // For etcd, an exact version 0 means the newest state, no matter how many zeros are written.
  if (isExact && revision === 0) return { revision: undefined, from: undefined, limit, isCached: false };
  return { revision: isExact ? revision : undefined, from: undefined, limit, isCached };
}

interface Scanned {
  readonly items: readonly Stored[];
  readonly revision: number;
  readonly nextKey: string | undefined;
  readonly remaining: number;
}

/** Reads pages at one revision until the limit is filled with matching objects. */
async function scan(
  storage: RegistryStorage,
  { resource, namespace }: Target,
  prefix: string,
  query: ListQuery,
  start: Start,
): Promise<Scanned> {
  const name = findRequiredName(query.fields);
  // A single object has no pages.
  const isSingle = name !== undefined && (!resource.kind.namespaced || namespace !== "");
  if (isSingle && start.revision === undefined) {
    await storage.catchUp();
    // Both are read at the same moment. Otherwise a watch from this revision could repeat or miss a change.
    const stored = storage.getKnown(`${prefix}${name}`);
    const revision = storage.revision();
    const items = stored !== undefined && isSelected(resource, stored, query) ? [stored] : [];
    return { items, revision, nextKey: undefined, remaining: 0 };
  }
  const limit = isSingle ? 0 : start.limit;
  const selective = isSelective(query);
  const items: Stored[] = [];
  let revision = start.revision;
  let fromKey = isSingle || start.from === undefined ? undefined : `${prefix}${start.from}`;
  while (true) {
    const page = await storage.list(prefix, {
      limit: selective && limit > 0 ? SCAN_PAGE : limit,
      fromKey,
      revision,
    });
    revision = page.revision;
    if (!selective) return { items: page.items, revision, nextKey: page.nextKey, remaining: page.remaining };
    for (const [index, stored] of page.items.entries()) {
      if (!isSelected(resource, stored, query)) continue;
      items.push(stored);
      const isLast = index === page.items.length - 1 && page.nextKey === undefined;
      if (limit > 0 && items.length === limit && !isLast) {
        return { items, revision, nextKey: `${stored.key}\u0000`, remaining: 0 };
      }
    }
    if (page.nextKey === undefined) return { items, revision, nextKey: undefined, remaining: 0 };
    fromKey = page.nextKey;
  }
}

function isSelective(selection: Selection): boolean {
  return selection.fields.length > 0 || selection.labels.length > 0;
}

function getFieldValue(resource: Resource, stored: Stored, field: string): string {
  if (field === "metadata.name") return stored.key.slice(stored.key.lastIndexOf("/") + 1);
  if (field === "metadata.namespace") return stored.object.metadata.namespace ?? "";
  return resource.selectField?.(stored.object, field) ?? "";
}

/** The place where a list continues. A negative revision means the newest state. */
export interface ContinueToken {
  readonly revision: number;
  /** The first key below the list's prefix that may be listed: the last delivered key plus a NUL. */
  readonly start: string;
}

const VERSION = "meta.k8s.io/v1";
const PREFIX = "invalid continue token: continue key is not valid";
const TYPES: Readonly<Record<string, string>> = { v: "string", rv: "int64", start: "string" };

/** Encodes a token. The key of a `rooted` token begins with a slash, as in tokens of kube-apiserver's watch cache. */
export function encodeContinue({ revision, start }: ContinueToken, { rooted }: { readonly rooted: boolean }): string {
  const json = JSON.stringify({ v: VERSION, rv: revision, start: rooted ? `/${start}` : start });
  return Buffer.from(json, "utf8").toString("base64url");
}

/** Parses a token. Throws StatusError 400 with upstream's texts. */
export function parseContinue(text: string): ContinueToken {
  const { v = "", rv = 0, start = "" } = decodeToken(text);
  if (v !== VERSION) throw badRequest(`${PREFIX}: server does not recognize this encoded version ${v}`);
  if (rv === 0) throw badRequest(`${PREFIX}: incorrect encoded start resourceVersion (version ${VERSION})`);
  if (start === "") throw badRequest(`${PREFIX}: encoded start key empty (version ${VERSION})`);
  const key = start.startsWith("/") ? start.slice(1) : start;
  // A key that Go's `path.Clean` would change could lead out of the list.
  const isUnclean = key !== "" && key.split("/").some((part) => ["", ".", ".."].includes(part));
  if (isUnclean) throw badRequest(`${PREFIX}: ${start}`);
  return { revision: Number(rv), start: key };
}

interface DecodedToken {
  readonly v?: string;
  readonly rv?: number;
  readonly start?: string;
}

function decodeToken(text: string): DecodedToken {
  try {
    const document = parseJson(decodeRawUrlBase64(text));
    const { value } = document;
    if (value === null) return {};
    if (!isJsonObject(value)) {
      throw new DecodeError(`json: cannot unmarshal ${goJsonType(value)} into Go value of type storage.continueToken`);
    }
    const token: Record<string, unknown> = {};
    for (const { key, value: member, literal } of listMembers(document, value)) {
      // Go accepts field names in any case.
      const field = key.toLowerCase();
      const type = lookup(TYPES, field);
      if (type === undefined || member === null) continue;
      const number = type === "int64" && typeof member === "number" ? literal ?? String(member) : undefined;
      if (number === undefined ? goJsonType(member) !== type : parseInt64(number) === undefined) {
        const found = number === undefined ? goJsonType(member) : `number ${number}`;
        const place = `Go struct field continueToken.${field} of type ${type}`;
        throw new DecodeError(`json: cannot unmarshal ${found} into ${place}`);
      }
      token[field] = member;
    }
    return token;
  } catch (cause) {
    if (!(cause instanceof JsonSyntaxError || cause instanceof DecodeError)) throw cause;
    throw badRequest(`${PREFIX}: ${cause.message}`);
  }
}
