/** Bodies of server-side apply: they are parsed, and applied to a stored object or used to create one. */
import { DecodeError, decodeObject } from "../../core/kube/codec/decode.ts";
import { goJsonType, JsonSyntaxError } from "../../core/kube/codec/errors.ts";
import { findUnstructuredFault } from "../../core/kube/codec/unstructured.ts";
import type { JsonDocument } from "../../core/kube/codec/json_parser.ts";
import { parseYaml } from "../../core/kube/codec/yaml.ts";
import { toInt64 } from "../../core/kube/int64.ts";
import { isJsonObject, isTooDeep, type JsonObject, toExactValue } from "../../core/kube/json_value.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import { decodeUtf8 } from "../../core/kube/codec/mod.ts";
import { applyConfig, type ApplyRefusal, describeApplied } from "../../core/kube/managed_fields/apply.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { applyConflict, badRequest, conflict, genericServerError, type StatusError } from "../../core/kube/status.ts";
import { createAuthor, getManagedEndpoint } from "../registry/managed_fields.ts";
import type { RegistryDeps, Target } from "../registry/registry.ts";
import { withMeta } from "../registry/write.ts";
import type { Exchange } from "./exchange.ts";
import type { WriteOptions } from "./options.ts";

const NO_MAP = "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal";

/** The configuration in the body of a server-side apply. */
export interface ConfigBody {
  /** The parsed body; only an object can be applied. */
  readonly value: unknown;
  /** The syntax error of a body that looks like JSON, which upstream parses only when it is applied. */
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
  if (isTooDeep(value)) throw badRequest("error decoding patch: exceeded max depth");
  const [fault] = document.strictErrors ?? [];
  return {
    value,
    strictFault: fault === undefined ? undefined : `error converting YAML to JSON: ${fault}`,
  };
}

/** The shape is checked after the object was read (`apiserver/pkg/endpoints/handlers/patch.go`, `applyPatcher`). */
function decodeConfig({ value, syntaxFault }: ConfigBody): JsonObject {
  if (syntaxFault !== undefined) throw badRequest(`error decoding patch: ${syntaxFault}`);
  if (isJsonObject(value)) return value;
  throw badRequest(
    `error decoding patch: ${NO_MAP} ${goJsonType(value)} into Go value of type map[string]interface {}`,
  );
}

/** Throws StatusError 400, except for JSON, which upstream passes on unparsed (apimachinery `pkg/util/yaml/decoder.go`, `ToJSON`). */
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
  if (!applied.ok) throw refusalError(applied.error);
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

function refusalError(refusal: ApplyRefusal): StatusError {
  switch (refusal.kind) {
    case "badRequest":
      return badRequest(refusal.message);
    case "internal":
      return genericServerError(refusal.message);
    case "conflict":
      return applyConflict(refusal.report.causes, refusal.report.message);
  }
}
