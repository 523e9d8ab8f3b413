/** Secrets (`pkg/apis/core/validation/validation.go`, `pkg/apis/core/v1/defaults.go`). Metadata is not looked at. */
import { encodeBase64 } from "../../lib/base64.ts";
import { decodeCanonicalBase64 } from "../codec/base64.ts";
import { JsonSyntaxError } from "../codec/errors.ts";
import { parseJson } from "../codec/json_parser.ts";
import type { Secret } from "../core_v1.ts";
import { checkEach, type FieldError, forbiddenField, invalid, required, tooLong } from "../field_error.ts";
import { dataKeyErrors } from "../names.ts";
import { isEqualJson } from "../json_value.ts";
import { validateImmutable } from "./object_meta.ts";
import { findTlsPairFault } from "./tls_pair.ts";

/** Bytes of all values of a Secret or a ConfigMap together. */
export const DATA_MAX_BYTES = 1024 * 1024;

/** What an immutable Secret or ConfigMap answers to a change. */
export const IMMUTABLE_DETAIL = "field is immutable when `immutable` is set";

/** `stringData` goes into `data`, a missing type becomes `Opaque`. */
export function defaultSecret(secret: Secret): Secret {
  const { stringData, data, type, ...rest } = secret;
  const merged = { ...data };
  for (const [key, text] of Object.entries(stringData ?? {})) {
    merged[key] = encodeBase64(new TextEncoder().encode(text));
  }
  const keys = Object.keys(merged).sort();
  return {
    ...rest,
    ...(keys.length === 0 ? {} : { data: Object.fromEntries(keys.map((key) => [key, merged[key] ?? ""])) }),
    type: type === undefined || type === "" ? "Opaque" : type,
  };
}

/** Faults of a new Secret: key names, size, and what its type demands. */
export function validateSecretCreate(secret: Secret): FieldError[] {
  const data = secret.data ?? {};
  const errors = checkEach(
    Object.keys(data),
    (key) => dataKeyErrors(key).map((text) => invalid(`data[${key}]`, key, text)),
  );
  const size = Object.values(data).reduce((sum, value) => sum + base64Size(value), 0);
  if (size > DATA_MAX_BYTES) errors.push(tooLong("data", DATA_MAX_BYTES));
  return [...errors, ...validateType(secret, data)];
}

/** Faults of a changed Secret: the type never changes, an immutable one changes in metadata only. */
export function validateSecretUpdate(secret: Secret, old: Secret): FieldError[] {
  const errors = validateImmutable(secret.type ?? "", old.type ?? "", "type");
  if (old.immutable === true) {
    if (secret.immutable !== true) errors.push(forbiddenField("immutable", IMMUTABLE_DETAIL));
    if (!isEqualJson(secret.data ?? {}, old.data ?? {})) errors.push(forbiddenField("data", IMMUTABLE_DETAIL));
  }
  return [...errors, ...validateSecretCreate(secret)];
}

/** What a client should know of a Secret that is accepted: a TLS pair that is none. */
export function warnOfSecret(secret: Secret): string[] {
  if (secret.type !== "kubernetes.io/tls") return [];
  const decodeValue = (key: string) => new TextDecoder().decode(decodeCanonicalBase64(secret.data?.[key] ?? ""));
  const fault = findTlsPairFault(decodeValue("tls.crt"), decodeValue("tls.key"));
  return fault === undefined ? [] : [fault];
}

/** Bytes that base64 text stands for. */
export function base64Size(text: string): number {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  return (text.length / 4) * 3 - padding;
}

function validateType(secret: Secret, data: Readonly<Record<string, string>>): FieldError[] {
  switch (secret.type) {
    case "kubernetes.io/service-account-token": {
      const annotation = "kubernetes.io/service-account.name";
      const name = secret.metadata.annotations?.[annotation] ?? "";
      return name === "" ? [required(`metadata.annotations[${annotation}]`)] : [];
    }
    case "kubernetes.io/dockercfg":
      return validateJsonValue(data, ".dockercfg");
    case "kubernetes.io/dockerconfigjson":
      return validateJsonValue(data, ".dockerconfigjson");
    case "kubernetes.io/basic-auth":
      return Object.hasOwn(data, "username") || Object.hasOwn(data, "password")
        ? []
        : [required("data[username]"), required("data[password]")];
    case "kubernetes.io/ssh-auth":
      return (data["ssh-privatekey"] ?? "") === "" ? [required("data[ssh-privatekey]")] : [];
    case "kubernetes.io/tls":
      return ["tls.crt", "tls.key"].filter((key) => !Object.hasOwn(data, key)).map((key) => required(`data[${key}]`));
    default:
      return [];
  }
}

/** The value must be a JSON object; it never stands in the message. */
function validateJsonValue(data: Readonly<Record<string, string>>, key: string): FieldError[] {
  const value = data[key];
  if (value === undefined) return [required(`data[${key}]`)];
  const fault = findJsonFault(new TextDecoder().decode(decodeCanonicalBase64(value)));
  return fault === undefined ? [] : [invalid(`data[${key}]`, "<secret contents redacted>", fault)];
}

function findJsonFault(text: string): string | undefined {
  try {
    const { value } = parseJson(text);
    if (typeof value === "object" && !Array.isArray(value)) return undefined;
    const name = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
    return `json: cannot unmarshal ${name} into Go value of type map[string]interface {}`;
  } catch (error) {
    if (error instanceof JsonSyntaxError) return error.message;
    throw error;
  }
}
