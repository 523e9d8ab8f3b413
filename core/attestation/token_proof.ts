/**
 * What the holder of a bootstrap token has proven: the server writes it into the Secret of the token, when it exchanges a
 * proof for the token, and the register keeps it with the certificate.
 */
import type { SecretObject } from "../kube/kinds/core_v1.ts";
import { formatTime } from "../kube/meta.ts";
import { readTokenLimits, readTokenUse } from "../token/bound_token.ts";
import { parseRfc3339 } from "../token/token_secret.ts";
import type { ProvenIdentity } from "./proof.ts";

/** A proof, and when it was given. */
export interface TokenProof extends ProvenIdentity {
  readonly at: Date;
}

/** Formats a proof as it is stored: `tpm sha256:… 2026-12-02T01:00:00Z`. */
export function formatTokenProof({ kind, key, at }: TokenProof): string {
  return `${kind} ${key} ${formatTime(at)}`;
}

const STORED = /^(tpm|ssh) (\S+) (\S+)$/;

/** Parses a stored proof; undefined for any other text. */
export function parseTokenProof(text: string): TokenProof | undefined {
  const [, kind, key = "", time = ""] = STORED.exec(text) ?? [];
  const at = parseRfc3339(time);
  return (kind !== "tpm" && kind !== "ssh") || at === undefined ? undefined : { kind, key, at };
}

/** Reads the proof for which a token was given. It counts only for a token that is for one node and one key. */
export function readTokenProof(secret: SecretObject): TokenProof | undefined {
  const limits = readTokenLimits(secret);
  if (!limits.ok || limits.value.node === undefined || limits.value.publicKey === undefined) return undefined;
  return parseTokenProof(readTokenUse(secret).attested ?? "");
}

const KEY_NAMES = { tpm: "TPM with endorsement key", ssh: "SSH host key" } as const;

/** Describes a proof in words: the key, and when it was proven. */
export function describeTokenProof({ kind, key, at }: TokenProof): string {
  return `${KEY_NAMES[kind]} ${key}, proven at ${formatTime(at)}`;
}

/** Describes a stored proof in words. */
export function describeStoredProof(text: string): string {
  const proof = parseTokenProof(text);
  return proof === undefined ? text : describeTokenProof(proof);
}
