/** Makes the answers of two servers comparable. */
import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";

/** Fields that the server writes: the field managers, and the requester of a CSR. */
const LEFT_OUT = ["managedFields", "username", "groups", "extra"];

/** Replaces values that differ between runs by their kind. */
// deno-lint-ignore explicit-module-boundary-types
export function steady(value) {
  if (value instanceof Date) return "a time";
  if (Array.isArray(value)) return value.map(steady);
  if (typeof value !== "object" || value === null) return value;
  const isSpec = value.signerName !== undefined;
  const entries = Object.entries(value).filter(([key, inner]) =>
    inner !== undefined && !LEFT_OUT.includes(key) && !(isSpec && key === "uid")
  );
  return Object.fromEntries(entries.map(([key, inner]) => {
    if (["uid", "resourceVersion"].includes(key)) return [key, `a ${key}`];
    if (key === "certificate") {
      return [key, new X509Certificate(Buffer.from(inner, "base64")).subject];
    }
    if (
      ["creationTimestamp", "lastUpdateTime", "lastTransitionTime"].includes(
        key,
      )
    ) return [key, "a time"];
    return [key, steady(inner)];
  }));
}
