/**
 * The rules of Secrets and ConfigMaps apart from metadata (`pkg/apis/core/validation/validation.go`, `pkg/apis/core/v1/defaults.go`).
 */
import { encodeBase64 } from "../../lib/encodings.ts";
import { decodeCanonicalBase64 } from "../wire/scalars.ts";
import { goJsonType, isEqualJson, JsonSyntaxError } from "../json_value.ts";
import { parseJson } from "../wire/json_parser.ts";
import type { ConfigMap, SecretObject } from "../kinds/core_v1.ts";
import { checkEach, type FieldError, forbiddenField, invalid, requiredField, tooLong } from "../status/field_error.ts";
import { dataKeyErrors } from "../names.ts";
import { validateImmutable } from "./meta_v1.ts";
import { byteLength, sortMembers } from "../../lib/go_text.ts";

/** The largest size of all values of a Secret or a ConfigMap, in bytes. */
const DATA_MAX_BYTES = 1024 * 1024;

/** The message about a change of an immutable Secret or ConfigMap. */
const IMMUTABLE_DETAIL = "field is immutable when `immutable` is set";

/** Fills defaults: `stringData` is moved into `data`, and a missing type becomes `Opaque`. */
export function defaultSecret(secret: SecretObject): SecretObject {
  const { stringData, data, type, ...rest } = secret;
  const encoded = Object.entries(stringData ?? {}).map(([key, text]): [string, string] => [key, encodeBase64(text)]);
  const merged = sortMembers({ ...data, ...Object.fromEntries(encoded) });
  return {
    ...rest,
    ...(Object.keys(merged).length === 0 ? {} : { data: merged }),
    type: type === undefined || type === "" ? "Opaque" : type,
  };
}

/** Validates a new Secret: the names of keys, the size, and what its type requires. */
export function validateSecretCreate(secret: SecretObject): FieldError[] {
  const data = secret.data ?? {};
  const errors = checkEach(
    Object.keys(data),
    (key) => dataKeyErrors(key).map((text) => invalid(`data[${key}]`, key, text)),
  );
  const size = Object.values(data).reduce((sum, value) => sum + base64Size(value), 0);
  if (size > DATA_MAX_BYTES) errors.push(tooLong("data", DATA_MAX_BYTES));
  return [...errors, ...validateType(secret, data)];
}

/** Validates a changed Secret: the type never changes, and of an immutable one only the metadata may change. */
export function validateSecretUpdate(secret: SecretObject, old: SecretObject): FieldError[] {
  const errors = validateImmutable(secret.type ?? "", old.type ?? "", "type");
  if (old.immutable === true) {
    if (secret.immutable !== true) errors.push(forbiddenField("immutable", IMMUTABLE_DETAIL));
    if (!isEqualJson(secret.data ?? {}, old.data ?? {})) errors.push(forbiddenField("data", IMMUTABLE_DETAIL));
  }
  return [...errors, ...validateSecretCreate(secret)];
}

/** Validates a new ConfigMap: the names of keys, keys in both maps, and the size. */
export function validateConfigMapCreate(map: ConfigMap): FieldError[] {
  const { data = {}, binaryData = {} } = map;
  const errors = [
    ...checkEach(Object.keys(data), (key) => [
      ...dataKeyErrors(key).map((text) => invalid(`data[${key}]`, key, text)),
      ...(Object.hasOwn(binaryData, key)
        ? [invalid(`data[${key}]`, key, "duplicate of key present in binaryData")]
        : []),
    ]),
    ...checkEach(
      Object.keys(binaryData),
      (key) => dataKeyErrors(key).map((text) => invalid(`binaryData[${key}]`, key, text)),
    ),
  ];
  const size = Object.values(data).reduce((sum, value) => sum + byteLength(value), 0) +
    Object.values(binaryData).reduce((sum, value) => sum + base64Size(value), 0);
  // Go prints the empty path of the whole object like this.
  return size > DATA_MAX_BYTES ? [...errors, tooLong("[]", DATA_MAX_BYTES)] : errors;
}

/** Validates a changed ConfigMap: of an immutable one, only the metadata may change. */
export function validateConfigMapUpdate(map: ConfigMap, old: ConfigMap): FieldError[] {
  const errors: FieldError[] = [];
  if (old.immutable === true) {
    if (map.immutable !== true) errors.push(forbiddenField("immutable", IMMUTABLE_DETAIL));
    for (const field of ["data", "binaryData"] as const) {
      if (!isEqualJson(map[field] ?? {}, old[field] ?? {})) errors.push(forbiddenField(field, IMMUTABLE_DETAIL));
    }
  }
  return [...errors, ...validateConfigMapCreate(map)];
}

/** Returns the number of bytes that canonical base64 text encodes. */
function base64Size(text: string): number {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  return (text.length / 4) * 3 - padding;
}

function validateType(secret: SecretObject, data: Readonly<Record<string, string>>): FieldError[] {
  switch (secret.type) {
    case "kubernetes.io/service-account-token": {
      const annotation = "kubernetes.io/service-account.name";
      const name = secret.metadata.annotations?.[annotation] ?? "";
      return name === "" ? [requiredField(`metadata.annotations[${annotation}]`)] : [];
    }
    case "kubernetes.io/dockercfg":
      return validateJsonValue(data, ".dockercfg");
    case "kubernetes.io/dockerconfigjson":
      return validateJsonValue(data, ".dockerconfigjson");
    case "kubernetes.io/basic-auth":
      return Object.hasOwn(data, "username") || Object.hasOwn(data, "password")
        ? []
        : [requiredField("data[username]"), requiredField("data[password]")];
    case "kubernetes.io/ssh-auth":
      return (data["ssh-privatekey"] ?? "") === "" ? [requiredField("data[ssh-privatekey]")] : [];
    case "kubernetes.io/tls":
      return ["tls.crt", "tls.key"].filter((key) => !Object.hasOwn(data, key)).map((key) =>
        requiredField(`data[${key}]`)
      );
    default:
      return [];
  }
}

/** Validates that a value is a JSON object. The message never shows the value. */
function validateJsonValue(data: Readonly<Record<string, string>>, key: string): FieldError[] {
  const value = data[key];
  if (value === undefined) return [requiredField(`data[${key}]`)];
  const fault = findJsonFault(new TextDecoder().decode(decodeCanonicalBase64(value)));
  return fault === undefined ? [] : [invalid(`data[${key}]`, "<secret contents redacted>", fault)];
}

function findJsonFault(text: string): string | undefined {
  try {
    const { value } = parseJson(text);
    if (typeof value === "object" && !Array.isArray(value)) return undefined;
    return `json: cannot unmarshal ${goJsonType(value)} into Go value of type map[string]interface {}`;
  } catch (error) {
    if (error instanceof JsonSyntaxError) return error.message;
    throw error;
  }
}
