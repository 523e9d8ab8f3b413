/** Decides when a bootstrap token's Secret is deleted (cluster-bootstrap `util/secrets`, `pkg/controller/bootstrap`). */
import { Buffer } from "node:buffer";
import type { SecretObject } from "../kube/core_v1.ts";
import { decodeBase64 } from "../lib/base64.ts";

/** The type of Secrets that hold bootstrap tokens. */
const BOOTSTRAP_TOKEN_TYPE = "bootstrap.kubernetes.io/token";
const TOKEN_NAMESPACE = "kube-system";
/** The syntax of Go's `time.Parse(time.RFC3339, …)`; `Date.parse` alone accepts much more. */
const RFC3339 = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})([.,]\d+)?(Z|[+-]\d{2}:\d{2})$/;

/** Whether the Secret is kept, checked again later, or deleted now. */
export type TokenCleaning =
  | { readonly kind: "keep" }
  | { readonly kind: "later"; readonly ms: number }
  | { readonly kind: "delete" };

/** Decides about one Secret. Without an expiration it never expires; an unreadable expiration counts as expired. */
export function decideTokenCleaning(secret: SecretObject, now: Date): TokenCleaning {
  if (secret.type !== BOOTSTRAP_TOKEN_TYPE || secret.metadata.namespace !== TOKEN_NAMESPACE) return { kind: "keep" };
  const raw = secret.data?.["expiration"] ?? "";
  if (raw === "") return { kind: "keep" };
  const expiration = parseRfc3339(Buffer.from(decodeBase64(raw) ?? new Uint8Array()).toString("utf8"));
  const ms = expiration === undefined ? 0 : expiration.getTime() - now.getTime();
  return ms > 0 ? { kind: "later", ms } : { kind: "delete" };
}

/** Parses a time in RFC 3339; undefined when it is malformed or names a day that does not exist. */
export function parseRfc3339(text: string): Date | undefined {
  const [, day, time, fraction = "", zone] = RFC3339.exec(text) ?? [];
  if (day === undefined || time === undefined || zone === undefined) return undefined;
  const local = new Date(`${day}T${time}Z`);
  // `Date` turns 30 February into a day in March; Go refuses it.
  if (Number.isNaN(local.getTime()) || local.toISOString().slice(0, 10) !== day) return undefined;
  const milliseconds = Math.floor(Number(`0${fraction.replace(",", ".")}`) * 1000);
  const parsed = Date.parse(`${day}T${time}${zone}`);
  return Number.isNaN(parsed) ? undefined : new Date(parsed + milliseconds);
}
