/** Query parameters of the verbs, validated like kube-apiserver's options types. */
import { byteLength, goQuote, isPrintable, parseInt64 } from "../../core/lib/go_text.ts";
import type { DeleteOptions } from "../../core/kube/meta.ts";
import { parseFieldSelector, parseLabelSelector } from "../../core/kube/selectors.ts";
import { badRequest, invalidObject } from "../../core/kube/status/status.ts";
import {
  UNSAFE_DELETE,
  validateDeleteOptions,
  validateListOptions,
  validatePatchOptions,
  validateUpdateOptions,
} from "../../core/kube/rules/options.ts";
import type { FieldError } from "../../core/kube/status/field_error.ts";
import { FIELD_MANAGER_MAX_LENGTH } from "../../core/kube/rules/meta_v1.ts";
import type { ListQuery } from "../registry/read.ts";
import { parseBoolean } from "./request_info.ts";
import type { FieldValidation } from "./body.ts";
import { omitEmpty, omitUndefined } from "../../core/lib/record.ts";
import type { Result } from "../../core/lib/result.ts";

const parseLabels = createSharedParser(parseLabelSelector);
const parseFields = createSharedParser(parseFieldSelector);

/** The options of create, update and patch. */
export interface WriteOptions {
  readonly dryRun: boolean;
  readonly fieldManager: string;
  readonly fieldValidation: FieldValidation;
  readonly force: boolean | undefined;
}

export interface CollectionOptions extends ListQuery {
  readonly timeoutSeconds: number | undefined;
  readonly allowWatchBookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
}

export type WriteVerb = "create" | "update" | "patch" | "apply";

/** Parses the options of a write. Throws StatusError 400 or 422. */
export function parseWriteOptions(verb: WriteVerb, query: URLSearchParams, userAgent: string): WriteOptions {
  const dryRun = query.getAll("dryRun");
  const fieldManager = query.get("fieldManager") ?? "";
  const fieldValidation = query.get("fieldValidation") ?? "";
  const force = parseBoolean(query, "force");
  const options = { dryRun, fieldManager, fieldValidation };
  switch (verb) {
    case "create":
    case "update":
      refuse(verb === "create" ? "CreateOptions" : "UpdateOptions", validateUpdateOptions(options));
      break;
    case "patch":
    case "apply":
      refuse(
        "PatchOptions",
        validatePatchOptions({ ...options, ...(force === undefined ? {} : { force }) }, verb === "apply"),
      );
      break;
  }
  return {
    dryRun: dryRun.length > 0,
    fieldManager: fieldManager === "" ? parseManagerName(userAgent) : fieldManager,
    fieldValidation: fieldValidation === "" ? "Warn" : fieldValidation as FieldValidation,
    force,
  };
}

/** Derives the field manager from the user agent: its printable characters up to the slash, truncated to the limit. */
function parseManagerName(userAgent: string): string {
  let name = "";
  let length = 0;
  for (const character of userAgent.split("/")[0] ?? "") {
    if (!isPrintable(character)) continue;
    length += byteLength(character);
    if (length > FIELD_MANAGER_MAX_LENGTH) break;
    name += character;
  }
  return name;
}

/** Parses the options of a list or watch. Throws StatusError 400 or 422. */
export function parseCollectionOptions(query: URLSearchParams, isWatch: boolean): CollectionOptions {
  // Numbers are parsed before selectors, in this order, and the first fault is reported.
  const timeoutSeconds = parseInteger(query, "timeoutSeconds");
  const limit = parseInteger(query, "limit") ?? 0;
  const labelText = query.get("labelSelector") ?? "";
  const fieldText = query.get("fieldSelector") ?? "";
  const labels = parseLabels(labelText);
  if (!labels.ok) throw badRequest(labels.error);
  const fields = parseFields(fieldText);
  if (!fields.ok) throw badRequest(fields.error);
  const sent: CollectionOptions = {
    labels: labels.value,
    fields: fields.value,
    limit: Math.max(0, limit),
    continueToken: query.get("continue") ?? "",
    resourceVersion: query.get("resourceVersion") ?? "",
    resourceVersionMatch: query.get("resourceVersionMatch") ?? "",
    timeoutSeconds,
    allowWatchBookmarks: parseBoolean(query, "allowWatchBookmarks") ?? false,
    sendInitialEvents: parseBoolean(query, "sendInitialEvents"),
  };
  const options = isWatch ? withWatchDefaults(sent) : sent;
  refuse(
    "ListOptions",
    validateListOptions({
      watch: isWatch,
      resourceVersion: options.resourceVersion,
      resourceVersionMatch: options.resourceVersionMatch,
      continue: options.continueToken,
      ...(options.sendInitialEvents === undefined ? {} : { sendInitialEvents: options.sendInitialEvents }),
    }),
  );
  return options;
}

/** A watch from any version or the newest one is a streaming list (apimachinery `meta/internalversion/defaults.go`). */
function withWatchDefaults(options: CollectionOptions): CollectionOptions {
  const { resourceVersion, resourceVersionMatch, sendInitialEvents } = options;
  if (sendInitialEvents !== undefined || resourceVersionMatch !== "") return options;
  if (resourceVersion !== "" && resourceVersion !== "0") return options;
  return { ...options, sendInitialEvents: true, resourceVersionMatch: "NotOlderThan" };
}

/** Parses DeleteOptions from the query, for a DELETE without a body. */
export function parseDeleteOptions(query: URLSearchParams): DeleteOptions {
  const preconditions = omitEmpty({
    uid: query.get("uid") ?? undefined,
    resourceVersion: query.get("resourceVersion") ?? undefined,
  });
  return {
    ...omitUndefined({
      gracePeriodSeconds: parseInteger(query, "gracePeriodSeconds"),
      orphanDependents: parseBoolean(query, "orphanDependents"),
      propagationPolicy: query.get("propagationPolicy") ?? undefined,
      [UNSAFE_DELETE]: parseBoolean(query, UNSAFE_DELETE),
      preconditions: Object.keys(preconditions).length === 0 ? undefined : preconditions,
    }),
    ...omitEmpty({ dryRun: query.getAll("dryRun") }),
  };
}

/** Throws StatusError 422 for invalid DeleteOptions. */
export function assertDeleteOptions(options: DeleteOptions, ofCollection: boolean): void {
  refuse("DeleteOptions", validateDeleteOptions(options, ofCollection));
}

function refuse(kind: string, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalidObject({ group: "meta.k8s.io", kind }, "", errors);
}

function parseInteger(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const value = parseInt64(text);
  if (value !== undefined) return Number(value);
  const why = /^[+-]?\d+$/.test(text) ? "value out of range" : "invalid syntax";
  throw badRequest(`strconv.ParseInt: parsing ${goQuote(text)}: ${why}`);
}

/** A shorter selector is parsed for each request, because a cache lookup would not be cheaper. */
const SHORTEST_SHARED = 256;

/**
 * Creates a parser that returns the same value for the same long text while a request or a watch holds that value,
 * because a parsed selector takes forty times the memory of its text. The value must not be changed.
 */
function createSharedParser<T extends object>(
  parse: (text: string) => Result<T, string>,
): (text: string) => Result<T, string> {
  const shared = new Map<string, WeakRef<T>>();
  const released = new FinalizationRegistry<string>((text) => {
    // The text may have been parsed again in the meantime.
    if (shared.get(text)?.deref() === undefined) shared.delete(text);
  });
  return (text) => {
    if (text.length < SHORTEST_SHARED) return parse(text);
    const value = shared.get(text)?.deref();
    if (value !== undefined) return { ok: true, value };
    const parsed = parse(text);
    if (parsed.ok) {
      shared.set(text, new WeakRef(parsed.value));
      released.register(parsed.value, text);
    }
    return parsed;
  };
}
