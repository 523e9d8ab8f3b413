/**
 * How a machine proves its identity: the proofs that an operator expects, the evidence of the machine, the challenge of
 * the server, and the answer. Bytes are structures of a TPM, SSH or X.509, as each field says. When the server
 * exchanges a proof for a bootstrap token, it writes the proof into the Secret of the token, and the register keeps it
 * with the certificate.
 */
import type { PublicKeyPin } from "../pki/keys/key_names.ts";
import type { Bytes } from "../pki/asn1/der.ts";
import type { SecretObject } from "../kube/kinds/core_v1.ts";
import { formatTime } from "../kube/meta.ts";
import { readTokenLimits, readTokenUse } from "../token/bound_token.ts";
import { parseRfc3339 } from "../token/token_secret.ts";

/** The means of a proof: a TPM 2.0, or the host key of sshd. */
export type ProofKind = "tpm" | "ssh";

/** The proofs that an operator expects of one machine; any of them is enough. */
export interface ExpectedProofs {
  /** The pin of the TPM's endorsement key: the SHA-256 of its SubjectPublicKeyInfo in DER. */
  readonly tpm?: PublicKeyPin | undefined;
  /** The fingerprints of host keys, as `ssh-keygen -l` prints them: `SHA256:` and base64 without padding. */
  readonly ssh: readonly string[];
  /** The values of PCRs in the SHA-256 bank that a quote of the TPM must show, by index. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
}

/** The evidence that a machine presents with the first call. */
export type Evidence =
  | {
    readonly kind: "tpm";
    /** The SubjectPublicKeyInfo of the endorsement key in DER. */
    readonly endorsementKey: Bytes;
    /** The certificate of the endorsement key in DER, if the TPM has one. */
    readonly endorsementCertificate?: Bytes | undefined;
    /** TPMT_PUBLIC, without the size before it. */
    readonly attestationKey: Bytes;
  }
  | {
    readonly kind: "ssh";
    /** The public key in SSH's wire format (RFC 4253 section 6.6). */
    readonly hostKey: Bytes;
  };

/** The challenge of the server. A proof by SSH needs only the message to sign. */
export type ProofChallenge =
  | {
    readonly kind: "tpm";
    /** The encrypted secret, a TPM2B_ID_OBJECT. */
    readonly credential: Bytes;
    /** The seed of its keys, a TPM2B_ENCRYPTED_SECRET. */
    readonly secret: Bytes;
    /** The PCRs that the TPM has to quote. */
    readonly pcrs: readonly number[];
  }
  | { readonly kind: "ssh" };

/** The answer that a machine sends with the second call. */
export type ProofAnswer =
  | {
    readonly kind: "tpm";
    /** The secret that the TPM recovered from the challenge. */
    readonly secret: Bytes;
    /** The quote of the TPM, a TPMS_ATTEST. */
    readonly quote: Bytes;
    /** The signature of the quote, a TPMT_SIGNATURE. */
    readonly signature: Bytes;
    readonly pcrValues: ReadonlyMap<number, Bytes>;
  }
  | {
    readonly kind: "ssh";
    /** The binary SSHSIG structure, without armor. */
    readonly signature: Bytes;
  };

/** The key that a machine has proven to hold. */
export interface ProvenIdentity {
  readonly kind: ProofKind;
  /** The key, written as in an inventory: a pin or a fingerprint. */
  readonly key: string;
}

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

/** Reads the proof for which a token was given. It counts only for a token that is limited to one node and one key. */
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
