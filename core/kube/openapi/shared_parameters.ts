/**
 * The parameters that operations of OpenAPI v2 refer to instead of repeating them (kube-openapi
 * `pkg/builder/parameters.go`).
 */
import type { OpenApiObject } from "./schemas.ts";

/** Old kubectl looks for these two in the operations themselves. */
const KEPT_IN_PLACE: readonly string[] = ["name", "fieldValidation", "dryRun"];

/** Collects parameters that are the same wherever they stand. */
export class SharedParameters {
  readonly #named = new Map<string, OpenApiObject>();

  /** The parameter itself where it belongs to one kind, else a reference to the shared one. */
  use(parameter: OpenApiObject): OpenApiObject {
    if (!isShared(parameter)) return parameter;
    const name = `${String(parameter["name"])}-${hashParameter(JSON.stringify(parameter))}`;
    this.#named.set(name, parameter);
    return { $ref: `#/parameters/${name}` };
  }

  /** All shared parameters by name, in order of their names. */
  all(): OpenApiObject {
    return Object.fromEntries([...this.#named].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

/** Bodies are shared when every kind has them: options and patches. */
function isShared({ name, schema }: OpenApiObject): boolean {
  if (typeof schema !== "object" || schema === null) return !KEPT_IN_PLACE.includes(String(name));
  return String(Reflect.get(schema, "$ref")).startsWith("#/definitions/io.k8s.apimachinery");
}

const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;

/** Six bytes of FNV-1 (64 bits) as base64url: eight characters. */
function hashParameter(text: string): string {
  let hash = FNV_OFFSET;
  for (const byte of new TextEncoder().encode(text)) hash = BigInt.asUintN(64, hash * FNV_PRIME) ^ BigInt(byte);
  const bytes = Array.from({ length: 6 }, (_, index) => Number(BigInt.asUintN(8, hash >> BigInt(56 - 8 * index))));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}
