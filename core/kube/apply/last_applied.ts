/**
 * The annotation of client-side apply: kubectl may take over the fields that it lists, and server-side apply keeps it up
 * to date (apimachinery `managedfields/internal/lastapplied*.go`).
 */
import { byteLength, marshalJson } from "../../lib/quote.ts";
import { tryParseJson } from "../../lib/record.ts";
import { isJsonObject, type JsonObject } from "../json_value.ts";
import { sortedKeys } from "../../lib/byte_order.ts";
import { formatApiVersion } from "../schema.ts";
import { findConfigFault } from "./check_config.ts";
import { compareFields } from "./compare.ts";
import type { ManagedEndpoint } from "./endpoint.ts";
import { type FieldSet, subtract } from "./field_set.ts";
import { collectLeaves } from "./leaves.ts";

const ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration";
const MAX_ANNOTATIONS_BYTES = 256 * 1024;

/** Reports whether a manager is kubectl, the only one that has used client-side apply. */
export function isLastAppliedManager(manager: string): boolean {
  return manager === "kubectl";
}

/** Finds the fields whose values equal those in the annotation; undefined if there is no valid annotation. */
export function findLastAppliedFields(endpoint: ManagedEndpoint, live: JsonObject): FieldSet | undefined {
  const text = getLastApplied(live);
  if (text === "") return undefined;
  const config = tryParseJson(text);
  if (!isJsonObject(config) || config["apiVersion"] !== formatApiVersion(endpoint.kind)) return undefined;
  const { apiVersion: _apiVersion, kind: _kind, ...fields } = config;
  if (findConfigFault(fields, endpoint.atom) !== undefined) return undefined;
  const comparison = compareFields(fields, live, endpoint.atom);
  if (comparison === undefined) return undefined;
  return [comparison.modified, comparison.added, comparison.removed]
    .reduce(subtract, collectLeaves(fields, endpoint.atom));
}

/** Sets the annotation of an object that has one to the configuration that was applied. */
export function syncLastApplied(object: JsonObject, config: JsonObject): JsonObject {
  if (getLastApplied(object) === "") return object;
  const metadata = object["metadata"] as JsonObject;
  const others = getAnnotations(object);
  const annotations = { ...others, [ANNOTATION]: `${marshalJson(sorted(withoutAnnotation(config)))}\n` };
  const size = Object.entries(annotations).reduce(
    (sum, [key, value]) => sum + byteLength(key) + byteLength(String(value)),
    0,
  );
  if (size > MAX_ANNOTATIONS_BYTES) delete (annotations as JsonObject)[ANNOTATION];
  return { ...object, metadata: { ...metadata, annotations } };
}

function withoutAnnotation(config: JsonObject): JsonObject {
  const metadata = config["metadata"];
  if (!isJsonObject(metadata) || !isJsonObject(metadata["annotations"])) return config;
  const { [ANNOTATION]: _annotation, ...annotations } = metadata["annotations"];
  return { ...config, metadata: { ...metadata, annotations } };
}

function getAnnotations(object: JsonObject): JsonObject {
  const metadata = object["metadata"];
  const annotations = isJsonObject(metadata) ? metadata["annotations"] : undefined;
  return isJsonObject(annotations) ? annotations : {};
}

function getLastApplied(object: JsonObject): string {
  const value = getAnnotations(object)[ANNOTATION];
  return typeof value === "string" ? value : "";
}

/** Sorts members as Go prints maps. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(sortedKeys(value).map((key) => [key, sorted(value[key])]));
}
