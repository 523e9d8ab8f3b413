/** When a bootstrap token's Secret must go (`cluster-bootstrap/util/secrets` GetExpiration, `pkg/controller/bootstrap`). */
import { Buffer } from "node:buffer";
import type { Secret } from "../kube/core_v1.ts";
import { decodeBase64 } from "../pki/pem.ts";

/** The type of Secrets that hold bootstrap tokens. */
const BOOTSTRAP_TOKEN_TYPE = "bootstrap.kubernetes.io/token";
const TOKEN_NAMESPACE = "kube-system";
/** What Go's `time.Parse(time.RFC3339, …)` reads; `Date.parse` alone is far more generous. */
const RFC3339 = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})([.,]\d+)?(Z|[+-]\d{2}:\d{2})$/;

/** Keep it, look again after a while, or delete it now. */
export type TokenCleaning =
  | { readonly kind: "keep" }
  | { readonly kind: "later"; readonly ms: number }
  | { readonly kind: "delete" };

/** Decides about one Secret: no expiration never expires, one that cannot be read has expired. */
export function decideTokenCleaning(secret: Secret, now: Date): TokenCleaning {
  if (secret.type !== BOOTSTRAP_TOKEN_TYPE || secret.metadata.namespace !== TOKEN_NAMESPACE) return { kind: "keep" };
  const raw = secret.data?.["expiration"] ?? "";
  if (raw === "") return { kind: "keep" };
  const expiration = parseRfc3339(Buffer.from(decodeBase64(raw) ?? new Uint8Array()).toString("utf8"));
  const ms = expiration === undefined ? 0 : expiration.getTime() - now.getTime();
  return ms > 0 ? { kind: "later", ms } : { kind: "delete" };
}

/** A time in RFC 3339, or undefined. Days that do not exist are refused. */
export function parseRfc3339(text: string): Date | undefined {
  const [, day, time, fraction = "", zone] = RFC3339.exec(text) ?? [];
  if (day === undefined || time === undefined || zone === undefined) return undefined;
  const local = new Date(`${day}T${time}Z`);
  // `Date` rolls 30 February over into March; Go refuses it.
  if (Number.isNaN(local.getTime()) || local.toISOString().slice(0, 10) !== day) return undefined;
  const milliseconds = Math.floor(Number(`0${fraction.replace(",", ".")}`) * 1000);
  const parsed = Date.parse(`${day}T${time}${zone}`);
  return Number.isNaN(parsed) ? undefined : new Date(parsed + milliseconds);
}
