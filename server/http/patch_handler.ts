/**
 * PATCH of an object or subresource, and server-side apply (`apiserver/pkg/endpoints/handlers/patch.go`): the types of
 * patch bodies, and their application to the versioned JSON of a stored object.
 */
import type { KubeObject } from "../../core/kube/meta.ts";
import {
  badPatch,
  type PatchedDocument,
  type PatchError,
  type PatchType,
  sortInGoOrder,
} from "../../core/kube/patch/patch_result.ts";
import { applyJsonPatch, applyMergePatch, findUnknownOperationFields } from "../../core/kube/patch/json_patch.ts";
import { applyStrategicMergePatch, printStrategicPatch } from "../../core/kube/patch/strategic.ts";
import {
  applyConflict,
  badRequest,
  conflict,
  genericServerError,
  invalidPatchedObject,
  notFound,
  patchFailure,
  type StatusError,
} from "../../core/kube/status/status.ts";
import { formatApiVersion, type Kind } from "../../core/kube/schema.ts";
import type { RegistryDeps, Target } from "../registry/registry.ts";
import { type Change, updateObject } from "../registry/update.ts";
import type { Answer } from "./answer.ts";
import {
  decodeAsNamed,
  type FieldValidation,
  formatVersionedGoType,
  readBody,
  readTypedDocument,
  withDefaultNames,
} from "./body.ts";
import { type Exchange, findHeader, getUserAgent } from "./exchange.ts";
import { parseWriteOptions, type WriteOptions } from "./options.ts";
import { parsePatchType } from "./negotiation.ts";
import { chooseRepresentation, getConvertible } from "./read_handlers.ts";
import { toWire } from "./respond.ts";
import {
  assertSameName,
  authorizeCreate,
  respondUpdated,
  type UpdateDeps,
  withDefaults,
  withNamespace,
  withoutDuplicateOwners,
} from "./write_handlers.ts";
import { formatGoType, formatUnknownInternalKind, formatUnknownKind, isKnownKind } from "./known_kinds.ts";
import { type DecodedObject, decodeObject, encodeObject } from "../../core/kube/wire/object_json.ts";
import {
  DecodeError,
  findInfinite,
  goJsonType,
  isJsonObject,
  type JsonDocument,
  type JsonObject,
  JsonSyntaxError,
  toExactValue,
} from "../../core/kube/json_value.ts";
import {
  assertPatchedElements,
  ElementBudget,
  MAX_ELEMENTS,
  MAX_JSON_PATCH_ELEMENTS,
} from "../../core/kube/wire/element_budget.ts";
import { findObjectFault, findUnstructuredFault } from "../../core/kube/wire/unstructured.ts";
import { parseJson } from "../../core/kube/wire/json_parser.ts";
import { parseYaml } from "../../core/kube/wire/yaml.ts";
import { compareBytes, decodeUtf8, goQuote, marshalJson, toInt64 } from "../../core/lib/go_text.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import { applyConfig, type ApplyRefusal, describeApplied } from "../../core/kube/apply/apply.ts";
import { createAuthor, getManagedEndpoint, trackOwners, withMeta, writeFitting } from "../registry/write.ts";

/** Answers a PATCH. Server-side apply creates a missing object when the user may create an object of that name. */
export async function handlePatch(deps: UpdateDeps, target: Target, exchange: Exchange): Promise<Answer> {
  const type = parsePatchType(findHeader(exchange, "content-type"));
  const representation = chooseRepresentation(exchange, getConvertible(target));
  const bytes = await readBody(exchange);
  const verb = type === "apply" ? "apply" : "patch";
  const options = parseWriteOptions(verb, exchange.query, getUserAgent(exchange));
  const patched = type === "apply"
    ? createApplyChange(deps, target, exchange, bytes, options)
    : createPatchChange(deps, target, exchange, { type, bytes }, options);
  await exchange.pause();
  const change: Change = (stored) => {
    const changed = withNamespace(target, patched(stored));
    assertSameName(target, changed);
    return withoutDuplicateOwners(exchange, changed, true);
  };
  const { dryRun } = options;
  const updated = type === "apply"
    ? await updateObject(deps, target, change, {
      dryRun,
      ...(target.subresource === "" ? { authorizeCreate: () => authorizeCreate(deps.authorizer, exchange) } : {}),
    })
    : await writeFitting((finish) => updateObject(deps, target, (stored) => finish(change(stored)), { dryRun }));
  return respondUpdated(deps, exchange, target.resource, updated, representation);
}

function createApplyChange(
  deps: UpdateDeps,
  target: Target,
  exchange: Exchange,
  bytes: Uint8Array,
  options: WriteOptions,
): Change {
  const body = readConfig(bytes);
  exchange.audit?.requestPatch(body.value);
  return (stored) => withDefaults(target.resource, applyBody(deps, target, exchange, stored, body, options));
}

function createPatchChange(
  deps: UpdateDeps,
  target: Target,
  exchange: Exchange,
  { type, bytes }: { readonly type: DocumentPatch; readonly bytes: Uint8Array },
  options: WriteOptions,
): Change {
  const patch = readPatch(type, bytes);
  exchange.audit?.requestPatch(patch.value);
  const { resource } = target;
  return (stored): KubeObject => {
    if (stored === undefined) throw notFound(resource.kind, target.name);
    const patched = applyPatch(exchange, resource.kind, type, stored, patch, options.fieldValidation);
    return trackOwners(deps, target, stored, withDefaults(resource, patched), options.fieldManager);
  };
}

/** The configuration in the body of a server-side apply. */
interface ConfigBody {
  /** The parsed body; only an object can be applied. */
  readonly value: unknown;
  /** The syntax error of a body that looks like JSON, which upstream parses only when applying it. */
  readonly syntaxFault?: string | undefined;
  /** The strict decoding error for all repeated keys. */
  readonly strictFault: string | undefined;
}

/** Parses a configuration, YAML or JSON. Throws StatusError 400. */
export function readConfig(bytes: Uint8Array): ConfigBody {
  const parsed = parseDocument(bytes);
  if (!parsed.ok) return { value: {}, syntaxFault: parsed.error, strictFault: undefined };
  const document = parsed.value;
  const value = toExactValue(document, (literal) => toInt64(literal) !== undefined) ?? {};
  const [fault] = document.strictErrors ?? [];
  return {
    value,
    strictFault: fault === undefined ? undefined : `error converting YAML to JSON: ${fault}`,
  };
}

/**
 * Checks the shape of a configuration, after the object was read (`apiserver/pkg/endpoints/handlers/patch.go`,
 * `applyPatcher`).
 */
function decodeConfig({ value, syntaxFault }: ConfigBody): JsonObject {
  if (syntaxFault !== undefined) throw badRequest(`error decoding patch: ${syntaxFault}`);
  if (isJsonObject(value)) return value;
  throw badRequest(`error decoding patch: error unmarshaling JSON: while decoding JSON: ${formatNoMap(value)}`);
}

/**
 * Parses YAML or JSON. Throws StatusError 400 for YAML, but returns a syntax error of JSON, which upstream parses later
 * (apimachinery `pkg/util/yaml/decoder.go`, `ToJSON`).
 */
function parseDocument(bytes: Uint8Array): Result<JsonDocument, string> {
  try {
    return ok(parseYaml(bytes));
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    if (decodeUtf8(bytes).trimStart().startsWith("{")) return err(`error converting YAML to JSON: ${error.message}`);
    throw badRequest(`error encoding patch: ${error.message}`);
  }
}

/** Applies a configuration to the stored object. Throws StatusError 400, 409 or 500. */
export function applyBody(
  deps: Pick<RegistryDeps, "clock">,
  target: Target,
  exchange: Exchange,
  stored: KubeObject | undefined,
  body: ConfigBody,
  options: WriteOptions,
): KubeObject {
  const { strictFault } = body;
  const config = decodeConfig(body);
  const endpoint = getManagedEndpoint(target);
  const author = { ...createAuthor(deps, options.fieldManager), force: options.force ?? false };
  const applied = applyConfig(endpoint, stored, config, author);
  if (!applied.ok) throw toRefusalError(applied.error);
  const { object, managedFields } = applied.value;
  const decoded = decodeApplied(target, config, object);
  if (strictFault !== undefined) {
    if (options.fieldValidation === "Strict") throw badRequest(`error strict decoding patch: ${strictFault}`);
    if (options.fieldValidation === "Warn") exchange.warnings.addStrict([strictFault]);
  }
  const uid = decoded.metadata.uid ?? "";
  if (stored === undefined && uid !== "") {
    const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
    throw conflict(target.resource.kind, target.name, why);
  }
  return withMeta(decoded, { managedFields });
}

function decodeApplied({ resource: { kind } }: Target, config: JsonObject, object: JsonObject): KubeObject {
  const refuse = (fault: string): never => {
    const named = `${kind.group}/${kind.version}, Kind=${kind.kind}`;
    throw genericServerError(
      `failed to convert new object (${describeApplied(kind, config)}) to proper version: ` +
        `unable to convert unstructured object to ${named}: ${fault}`,
    );
  };
  const fault = findUnstructuredFault(kind.schema, object);
  if (fault !== undefined) return refuse(fault);
  try {
    return decodeObject(kind.schema, object, { isUnstructured: true }).object;
  } catch (error) {
    if (error instanceof DecodeError) return refuse(error.message);
    throw error;
  }
}

function toRefusalError(refusal: ApplyRefusal): StatusError {
  switch (refusal.kind) {
    case "badRequest":
      return badRequest(refusal.message);
    case "internal":
      return genericServerError(refusal.message);
    case "conflict":
      return applyConflict(refusal.report.causes, refusal.report.message);
  }
}

type DocumentPatch = Exclude<PatchType, "apply">;

/** Parses a patch. Throws StatusError 400 when it is not JSON; its shape is checked after the object was read. */
export function readPatch(type: DocumentPatch, bytes: Uint8Array): JsonDocument {
  try {
    return parseJson(bytes, new ElementBudget(type === "json" ? MAX_JSON_PATCH_ELEMENTS : MAX_ELEMENTS));
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw badRequest("invalid JSON patch");
    throw error;
  }
}

/** Applies a patch, and returns the decoded, canonical object. Throws StatusError 400, 413 or 422. */
export function applyPatch(
  exchange: Exchange,
  kind: Kind,
  type: DocumentPatch,
  stored: KubeObject,
  patch: JsonDocument,
  fieldValidation: FieldValidation,
): KubeObject {
  const versioned = encodeObject(toWire(kind), stored);
  const sent = toExactValue(patch);
  const applied = applyDocument(type, kind, versioned, sent, fieldValidation !== "Ignore");
  if (!applied.ok) throw patchFailure(applied.error);
  assertPatchedElements(applied.value.value, versioned);
  const isStrategic = type === "strategic";
  const patched = isStrategic ? applied.value.value : sortInGoOrder(applied.value);

  const refuse = (detail: string): never => {
    const shown = isStrategic ? printStrategicPatch(versioned, sent) : marshalJson(patched);
    throw invalidPatchedObject(shown, detail);
  };
  try {
    const fault = isStrategic ? findObjectFault(kind.schema, patched) : findPatchedKindFault(kind, patched);
    if (fault !== undefined) refuse(fault);
    const decoded = isStrategic || !isUnversioned(patched)
      ? decodeObject(kind.schema, patched, { isUnstructured: isStrategic })
      : decodeInternal(kind, patched);
    const strictErrors = [
      ...findStrictErrors(type, patch),
      // A strategic merge patch is decoded from Go maps, which have no order, so its faults are sorted.
      ...(isStrategic ? [...decoded.strictErrors].sort(compareBytes) : decoded.strictErrors),
    ];
    if (fieldValidation === "Strict" && strictErrors.length > 0) {
      refuse(`strict decoding error: ${strictErrors.join(", ")}`);
    }
    if (fieldValidation === "Warn") exchange.warnings.addStrict(strictErrors);
    return decoded.object;
  } catch (error) {
    if (error instanceof DecodeError) return refuse(error.message);
    throw error;
  }
}

/**
 * Applies a patch of any shape. With field validation, upstream first decodes the patch into Go types, so those faults
 * come first.
 */
function applyDocument(
  type: DocumentPatch,
  kind: Kind,
  versioned: object,
  patch: unknown,
  isValidated: boolean,
): Result<PatchedDocument, PatchError> {
  const isMap = patch === null || isJsonObject(patch);
  const infinite = isValidated || type === "strategic" ? findInfinite(patch) : undefined;
  if (type !== "json" && isMap && infinite !== undefined) {
    const prefix = type === "merge" ? "error decoding patch: " : "";
    return err(badPatch(`${prefix}json: cannot unmarshal number ${infinite} into Go value of type float64`));
  }
  switch (type) {
    case "json":
      return applyJsonPatch(versioned, patch ?? [], isValidated);
    case "merge":
      return isMap || !isValidated
        ? applyMergePatch(versioned, patch)
        : err(badPatch(`error decoding patch: ${formatNoMap(patch)}`));
    case "strategic":
      return isMap ? applyStrategic(kind, versioned, patch ?? {}) : err(badPatch(formatNoMap(patch)));
  }
}

function applyStrategic(kind: Kind, versioned: object, patch: unknown): Result<PatchedDocument, PatchError> {
  const applied = applyStrategicMergePatch(kind.schema, versioned, patch);
  return applied.ok ? ok({ value: applied.value, sorted: new Set() }) : applied;
}

function formatNoMap(value: unknown): string {
  return `json: cannot unmarshal ${goJsonType(value)} into Go value of type map[string]interface {}`;
}

/** Whether a patched object has no version, so that upstream decodes it into the internal type. */
function isUnversioned(patched: unknown): boolean {
  return isJsonObject(patched) && (patched["apiVersion"] ?? "") === "";
}

/**
 * Decodes as upstream does into the internal Go type, which has no JSON names: every member is an unknown field, and
 * the object stays empty.
 */
function decodeInternal(kind: Kind, patched: unknown): DecodedObject<KubeObject> {
  const names = Object.keys(patched as JsonObject).filter((name) => name !== "kind" && name !== "apiVersion");
  const { object } = decodeObject(kind.schema, {});
  return {
    object: object as DecodedObject<KubeObject>["object"],
    strictErrors: names.map((name) => `unknown field ${goQuote(name)}`),
  };
}

function findStrictErrors(type: DocumentPatch, patch: JsonDocument): readonly string[] {
  const prefix = type === "json" ? "json patch " : "";
  return [
    ...patch.duplicates.map((path) => `${prefix}duplicate field ${goQuote(path)}`),
    ...(type === "json" ? findUnknownOperationFields(patch.value) : []),
  ];
}

/** Finds a change of the object's kind, which is a fault. Throws DecodeError when the new kind cannot be decoded. */
function findPatchedKindFault(kind: Kind, patched: unknown): string | undefined {
  const typed = readTypedDocument({ value: patched, duplicates: [] });
  if (!typed.ok) return typed.error;
  const names = withDefaultNames(typed.value, kind);
  const apiVersion = formatApiVersion(names);
  if (apiVersion === formatApiVersion(kind) && names.kind === kind.kind) return undefined;
  if (!isKnownKind(apiVersion, names.kind)) {
    return isUnversioned(patched)
      ? formatUnknownInternalKind(kind.group, names.kind)
      : formatUnknownKind(apiVersion, names.kind);
  }
  decodeAsNamed(names, typed.value);
  return `converting (${formatVersionedGoType(names)}) to (${formatGoType(kind)}): unknown conversion`;
}
