/** ConfigMaps (`pkg/apis/core/validation/validation.go`). Metadata is not looked at. */
import type { ConfigMap } from "../core_v1.ts";
import { type FieldError, forbidden, invalid, tooLong } from "../field_error.ts";
import { dataKeyErrors } from "../names.ts";
import { byteLength } from "../quote.ts";
import { isSameJson } from "./object_meta.ts";
import { base64Size, DATA_MAX_BYTES, IMMUTABLE_DETAIL } from "./secrets.ts";

/** Faults of a new ConfigMap: key names, keys in both maps, size. */
export function validateConfigMapCreate(map: ConfigMap): FieldError[] {
  const { data = {}, binaryData = {} } = map;
  const errors: FieldError[] = [];
  let size = 0;
  for (const [key, value] of Object.entries(data)) {
    errors.push(...dataKeyErrors(key).map((text) => invalid(`data[${key}]`, key, text)));
    if (Object.hasOwn(binaryData, key)) {
      errors.push(invalid(`data[${key}]`, key, "duplicate of key present in binaryData"));
    }
    size += byteLength(value);
  }
  for (const [key, value] of Object.entries(binaryData)) {
    errors.push(...dataKeyErrors(key).map((text) => invalid(`binaryData[${key}]`, key, text)));
    size += base64Size(value);
  }
  // Go writes the path of the whole object like that.
  return size > DATA_MAX_BYTES ? [...errors, tooLong("[]", DATA_MAX_BYTES)] : errors;
}

/** Faults of a changed ConfigMap: an immutable one changes in metadata only. */
export function validateConfigMapUpdate(map: ConfigMap, old: ConfigMap): FieldError[] {
  const errors: FieldError[] = [];
  if (old.immutable === true) {
    if (map.immutable !== true) errors.push(forbidden("immutable", IMMUTABLE_DETAIL));
    for (const field of ["data", "binaryData"] as const) {
      if (!isSameJson(map[field] ?? {}, old[field] ?? {})) errors.push(forbidden(field, IMMUTABLE_DETAIL));
    }
  }
  return [...errors, ...validateConfigMapCreate(map)];
}
