/** One operation, in the words of neither version of OpenAPI, and how kube-apiserver names operations. */
import type { Parameter } from "./parameters.ts";
import type { GroupVersionKind, WireType } from "./wire_type.ts";

/** One method of one path. */
export interface Route {
  /** With `{name}` and `{namespace}`. */
  readonly path: string;
  readonly method: "get" | "put" | "post" | "delete" | "patch";
  readonly operationId: string;
  readonly tag: string;
  readonly description: string;
  /** What the authorizer would call it; absent for discovery. */
  readonly action?: string;
  readonly kind?: GroupVersionKind;
  readonly parameters: readonly Parameter[];
  readonly body?: { readonly type: WireType; readonly required: boolean };
  readonly consumes: readonly string[];
  readonly produces: readonly string[];
  /** Answers by HTTP code, beside 401. */
  readonly answers: Readonly<Record<number, WireType>>;
}

/** In the order in which kube-apiserver names them. */
export const OBJECT_TYPES: readonly string[] = [
  "application/json",
  "application/yaml",
  "application/vnd.kubernetes.protobuf",
];

/** `certificates` for `certificates.k8s.io`, `rbacAuthorization` for `rbac.authorization.k8s.io`, `core` for none. */
export function groupTag(group: string): string {
  if (group === "") return "core";
  const [first = "", ...rest] = group.replace(/\.k8s\.io$/, "").split(".");
  return `${first}${rest.map(capitalized).join("")}`;
}

/** With a capital first letter. */
export function capitalized(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
