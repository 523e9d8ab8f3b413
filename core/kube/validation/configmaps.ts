/** ConfigMaps (`pkg/apis/core/validation/validation.go`). Metadata is not looked at. */
import type { ConfigMap } from "../core_v1.ts";
import { checkEach, type FieldError, forbiddenField, invalid, tooLong } from "../field_error.ts";
import { dataKeyErrors } from "../names.ts";
import { byteLength } from "../quote.ts";
import { isEqualJson } from "../json_value.ts";
import { base64Size, DATA_MAX_BYTES, IMMUTABLE_DETAIL } from "./secrets.ts";

/** Faults of a new ConfigMap: key names, keys in both maps, size. */
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
  // Go writes the path of the whole object like that.
  return size > DATA_MAX_BYTES ? [...errors, tooLong("[]", DATA_MAX_BYTES)] : errors;
}

/** Faults of a changed ConfigMap: an immutable one changes in metadata only. */
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
