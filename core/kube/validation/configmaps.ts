/** The rules of ConfigMaps apart from metadata (`pkg/apis/core/validation/validation.go`). */
import type { ConfigMap } from "../core_v1.ts";
import { checkEach, type FieldError, forbiddenField, invalid, tooLong } from "../field_error.ts";
import { dataKeyErrors } from "../names.ts";
import { byteLength } from "../../lib/quote.ts";
import { isEqualJson } from "../json_value.ts";
import { base64Size, DATA_MAX_BYTES, IMMUTABLE_DETAIL } from "./secrets.ts";

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
