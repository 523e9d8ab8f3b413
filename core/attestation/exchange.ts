/**
 * The exchange of a proof for a bootstrap token: two calls, between which the server keeps nothing. With the second
 * call, the client returns a sealed state that only the servers of the installation can create and read. The token is
 * derived from the challenge, so a repeated second call has the same answer. Each kind of proof has its own challenge
 * and verification.
 */
import { Buffer } from "node:buffer";
import { encodeBase64, encodeHex } from "../lib/encodings.ts";
import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync } from "node:crypto";
import { err, ok, type Result } from "../lib/result.ts";
import type { NodeName } from "../machine/node_name.ts";
import { type Bytes, equalBytes } from "../pki/asn1/der.ts";
import { type PublicKeyPin, publicKeyPin } from "../pki/keys/key_names.ts";
import type { Random } from "../ports.ts";
import { type BootstrapToken, generateBootstrapToken } from "../token/token_secret.ts";
import type {
  Evidence,
  ExpectedProofs,
  ProofAnswer,
  ProofChallenge,
  ProofKind,
  ProvenIdentity,
  TokenProof,
} from "./proof.ts";
import { equalsInConstantTime } from "../lib/brand.ts";
import { formatSshFingerprint, parseSshPublicKey, PROOF_NAMESPACE, verifySshSignature } from "./ssh_signature.ts";
import { makeCredential, readAttestationKey, readEndorsementKey, verifyQuote } from "./tpm_proof.ts";

/** How long a challenge can be answered and its token is valid, both from the time of the challenge. */
export const EXCHANGE_MS = 600_000;
/** How far the clock of another server may be ahead. */
const MAX_SKEW_MS = 60_000;

const CHALLENGE_BYTES = 32;
/** The version, which is the first byte of a state. */
const VERSION = 1;
const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** The subject of a proof: a node and its key. */
export interface ProofSubject {
  readonly node: NodeName;
  /** The key of the future request. */
  readonly key: PublicKeyPin;
}

/** The signed content of a proof: its subject, the server, and the challenge in base64url. */
export interface ProofMessage extends ProofSubject {
  /** The pin of the server's CA. */
  readonly caHash: PublicKeyPin;
  readonly challenge: string;
}

/** Creates the text to sign. A signature for another purpose, server, node or key never verifies. */
export function createProofMessage({ caHash, node, key, challenge }: ProofMessage): Bytes {
  const lines = [
    "tlsboot node attestation v1",
    `ca: ${caHash}`,
    `node: ${node}`,
    `key: ${key}`,
    `challenge: ${challenge}`,
  ];
  return new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""));
}

/** The endorsement key of a TPM and the certificate for it, both in DER. */
export interface Endorsement {
  readonly key: Bytes;
  readonly certificate: Bytes;
}

/** A key that a machine has proven to hold, and for a TPM its endorsement certificate. */
export interface ProvenKey extends ProvenIdentity {
  readonly endorsement?: Endorsement | undefined;
}

/** Returns the key for a purpose at a time. The key changes every day. */
export type SealingKey = (purpose: "state" | "token", at: Date) => Uint8Array;

/** Creates the sealing key of an installation from the secret bytes in its file. */
export function createSealingKey(secret: Uint8Array): SealingKey {
  return (purpose, at) =>
    Buffer.from(hkdfSync("sha256", secret, "tlsboot attestation", `${purpose} ${formatDay(at)}`, KEY_BYTES));
}

function formatDay(at: Date): string {
  return at.toISOString().slice(0, "2026-12-02".length);
}

/** The server and the time of a call to it. */
export interface ExchangeContext {
  readonly caHash: PublicKeyPin;
  readonly now: Date;
  readonly sealingKey: SealingKey;
}

/** The answer to the first call. */
export interface BegunExchange {
  readonly nonce: string;
  readonly challenge: ProofChallenge;
  readonly state: Bytes;
}

/** Begins an exchange. The answer does not depend on the expected machines, so it does not reveal them. */
export async function beginAttestation(
  { node, key, evidence }: ProofSubject & { readonly evidence: Evidence },
  { caHash, now, sealingKey, pcrs, random }: ExchangeContext & {
    /** The PCRs that a TPM has to quote, the same ones for every machine. */
    readonly pcrs: readonly number[];
    readonly random: Pick<Random, "bytes">;
  },
): Promise<Result<BegunExchange, EvidenceFault>> {
  const challenged = await challengeEvidence(evidence, { pcrs, random });
  if (!challenged.ok) return challenged;
  const { challenge, proven, ...verifier } = challenged.value;
  const nonce = Buffer.from(random.bytes(CHALLENGE_BYTES)).toString("base64url");
  const state: SealedState = {
    ...verifier,
    verifyingKey: encodeBase64(verifier.verifyingKey),
    secret: encodeBase64(verifier.secret),
    proven,
    node,
    key,
    caHash,
    challenge: nonce,
    at: now.getTime(),
    endorsement: evidence.kind === "tpm" && evidence.endorsementCertificate !== undefined
      ? { key: encodeBase64(evidence.endorsementKey), certificate: encodeBase64(evidence.endorsementCertificate) }
      : undefined,
  };
  return ok({ nonce, challenge, state: seal(state, sealingKey("state", now), random.bytes(NONCE_BYTES)) });
}

/** The proof and its token. A repeated call gets the same ones. */
export interface AttestedNode {
  /** The time of the proof is that of the challenge, after which the machine used its key. */
  readonly proof: TokenProof;
  readonly token: BootstrapToken;
  /** Ten minutes after the challenge. */
  readonly expiration: Date;
}

/** The reason why a second call is refused. */
interface AttestationRefusal {
  /** The label of the refusal in metrics. */
  readonly reason: "state" | "proof" | "inventory";
  /** The sentence for the client, which does not reveal the expected machines. */
  readonly message: string;
  /** The reason for the log of the server. */
  readonly detail: string;
}

const BEGIN_AGAIN = "the challenge is no longer valid here: begin again";
const NOT_ACCEPTED =
  "the proof was not accepted: the server's inventory must list this node with this key; the server's " +
  "log has the reason";

/**
 * Completes an exchange. The proof is verified before the inventory is read, so the duration of the answer does not
 * reveal the expected machines either.
 */
export function completeAttestation(
  { node, key, answer, state: sealed }: ProofSubject & { readonly answer: ProofAnswer; readonly state: Bytes },
  { caHash, now, sealingKey, findExpected }: ExchangeContext & {
    /** Finds the proofs that are expected of a node; the error says why there are none, for the log. */
    readonly findExpected: (node: NodeName, proven: ProvenKey) => Result<ExpectedProofs, string>;
  },
): Result<AttestedNode, AttestationRefusal> {
  const refuse = (reason: AttestationRefusal["reason"], detail: string, message = NOT_ACCEPTED) =>
    err({ reason, message, detail });
  const state = openState(sealed, sealingKey, now);
  if (!state.ok) return refuse("state", state.error, BEGIN_AGAIN);
  const { kind, challenge, proven, endorsement, at } = state.value;
  if (state.value.caHash !== caHash) {
    return refuse("state", "the challenge is for another CA of the server", BEGIN_AGAIN);
  }
  if (state.value.node !== node) return refuse("state", `the challenge is for node "${state.value.node}"`);
  if (state.value.key !== key) return refuse("state", `the challenge is for the key ${state.value.key}`);
  const message = createProofMessage({ caHash, node, key, challenge });
  const [verifyingKey, secret] = [decodeSealed(state.value.verifyingKey), decodeSealed(state.value.secret)];
  const verified = verifyAnswer({ ...state.value, verifyingKey, secret }, answer, message);
  if (!verified.ok) return refuse("proof", `${kind} ${proven}: ${verified.error}`);
  const expected = findExpected(node, {
    kind,
    key: proven,
    endorsement: endorsement &&
      { key: decodeSealed(endorsement.key), certificate: decodeSealed(endorsement.certificate) },
  });
  const unexpected = expected.ok ? findUnexpected(expected.value, state.value, answer) : expected.error;
  if (unexpected !== undefined) return refuse("inventory", `${kind} ${proven}: ${unexpected}`);
  return ok({
    // The clock of the server that made the challenge may be ahead.
    proof: { kind, key: proven, at: new Date(Math.min(at, now.getTime())) },
    token: deriveToken(sealingKey("token", new Date(at)), { node, key, challenge }),
    expiration: new Date(at + EXCHANGE_MS),
  });
}

/** Explains why a verified proof is not expected of the machine; undefined when it is. */
function findUnexpected(
  expected: ExpectedProofs,
  { kind, proven, pcrs }: SealedState,
  answer: ProofAnswer,
): string | undefined {
  const isListed = kind === "tpm" ? expected.tpm === proven : expected.ssh.includes(proven);
  if (!isListed) return "the inventory does not list this key for this node";
  if (answer.kind !== "tpm") return undefined;
  // The quote covers only the requested PCRs.
  const wrong = [...expected.pcrs].filter(([index, value]) =>
    !pcrs.includes(index) || !equalBytes(answer.pcrValues.get(index) ?? new Uint8Array(), value)
  );
  if (wrong.length === 0) return undefined;
  return `PCR ${wrong.map(([index]) => index).join(", ")} differs from the inventory`;
}

/** Lists the PCRs that every machine quotes: those of the firmware, and all those in the inventory. */
export function listQuotedPcrs(expected: Iterable<ExpectedProofs>): readonly number[] {
  const pcrs = new Set([0, 1, 2, 3, 4, 5, 6, 7]);
  for (const proofs of expected) for (const index of proofs.pcrs.keys()) pcrs.add(index);
  return [...pcrs].sort((a, b) => a - b);
}

/** The content of the state that travels from the first call to the second. Bytes are base64 text. */
interface SealedState extends ProofMessage, Pick<Challenged, "kind" | "proven" | "pcrs"> {
  readonly verifyingKey: string;
  readonly secret: string;
  /** The time of the challenge in milliseconds since 1970. */
  readonly at: number;
  readonly endorsement: { readonly [K in keyof Endorsement]: string } | undefined;
}

function decodeSealed(base64: string): Bytes {
  return new Uint8Array(Buffer.from(base64, "base64"));
}

function seal(state: SealedState, key: Uint8Array, nonce: Uint8Array): Bytes {
  const head = Buffer.from([VERSION]);
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(head);
  const text = Buffer.concat([cipher.update(JSON.stringify(state), "utf8"), cipher.final()]);
  return new Uint8Array(Buffer.concat([head, nonce, cipher.getAuthTag(), text]));
}

/** Opens a state, and refuses one that is too old. */
function openState(sealed: Bytes, sealingKey: SealingKey, now: Date): Result<SealedState, string> {
  const days = new Map([-EXCHANGE_MS, 0, MAX_SKEW_MS].map((offset) => {
    const at = new Date(now.getTime() + offset);
    return [formatDay(at), at] as const;
  }));
  for (const at of days.values()) {
    const text = decrypt(sealed, sealingKey("state", at));
    if (text === undefined) continue;
    // Only a server of this installation can have sealed the state.
    const state = JSON.parse(text) as SealedState;
    const ageMs = now.getTime() - state.at;
    if (ageMs < EXCHANGE_MS && ageMs >= -MAX_SKEW_MS) return ok(state);
    return err(`the challenge is ${Math.floor(ageMs / 1_000)} seconds old`);
  }
  return err("the state was changed, is older than a day, or is of a server with another sealing key");
}

function decrypt(sealed: Bytes, key: Uint8Array): string | undefined {
  const [nonceAt, tagAt, textAt] = [1, 1 + NONCE_BYTES, 1 + NONCE_BYTES + TAG_BYTES];
  if (sealed[0] !== VERSION || sealed.length <= textAt) return undefined;
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(nonceAt, tagAt))
    .setAAD(sealed.subarray(0, nonceAt))
    .setAuthTag(sealed.subarray(tagAt, textAt));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(textAt)), decipher.final()]).toString("utf8");
  } catch {
    return undefined;
  }
}

/** Derives the token of an exchange, which cannot be guessed without the key. */
function deriveToken(key: Uint8Array, subject: ProofSubject & Pick<ProofMessage, "challenge">): BootstrapToken {
  let block = 0;
  return generateBootstrapToken({
    bytes(length) {
      const hmac = createHmac("sha256", key).update(`${subject.challenge} ${subject.node} ${subject.key} ${block++}`);
      return new Uint8Array(hmac.digest()).subarray(0, length);
    },
  });
}

/** A fault in one field of the evidence. */
interface EvidenceFault {
  /** The path of the field below the evidence, such as `tpm.attestationKey`. */
  readonly field: string;
  readonly message: string;
}

/** The data that verifies the answer to a challenge. */
interface Verifier {
  readonly kind: ProofKind;
  /** The key that signs the answer. */
  readonly verifyingKey: Bytes;
  /** The secret that a TPM has to decrypt; empty for other kinds. */
  readonly secret: Bytes;
  /** The PCRs that a TPM has to quote. */
  readonly pcrs: readonly number[];
}

/** A challenge, and the data with which the second call verifies its answer. */
interface Challenged extends Verifier {
  readonly challenge: ProofChallenge;
  /** The key in the form of an inventory. */
  readonly proven: string;
}

const SECRET_BYTES = 32;

/** Creates a challenge for the keys in evidence, whether they are expected or not. */
async function challengeEvidence(
  evidence: Evidence,
  { pcrs, random }: { readonly pcrs: readonly number[]; readonly random: Pick<Random, "bytes"> },
): Promise<Result<Challenged, EvidenceFault>> {
  const { kind } = evidence;
  if (kind === "ssh") {
    const { hostKey } = evidence;
    const key = parseSshPublicKey(hostKey);
    if (!key.ok) return err({ field: "ssh.hostKey", message: key.error });
    const proven = formatSshFingerprint(key.value);
    return ok({ kind, challenge: { kind }, proven, verifyingKey: hostKey, secret: new Uint8Array(), pcrs: [] });
  }
  const { endorsementKey, attestationKey } = evidence;
  const endorsement = readEndorsementKey(endorsementKey);
  if (!endorsement.ok) return err({ field: "tpm.endorsementKey", message: endorsement.error });
  const attestation = readAttestationKey(attestationKey);
  if (!attestation.ok) return err({ field: "tpm.attestationKey", message: attestation.error });
  const secret = random.bytes(SECRET_BYTES);
  const credential = await makeCredential(endorsementKey, attestation.value.name, secret, random);
  const proven = publicKeyPin({ publicKeyDer: endorsementKey });
  return ok({ kind, challenge: { kind, ...credential, pcrs }, proven, verifyingKey: attestationKey, secret, pcrs });
}

/** Verifies the answer to a challenge; the error is for the log of the server. */
function verifyAnswer(
  { kind, verifyingKey, secret, pcrs }: Verifier,
  answer: ProofAnswer,
  message: Bytes,
): Result<undefined, string> {
  if (answer.kind !== kind) {
    return err(`the challenge is for a proof by ${kind}, but the answer is by ${answer.kind}`);
  }
  if (answer.kind === "ssh") {
    const publicKey = parseSshPublicKey(verifyingKey);
    if (!publicKey.ok) return publicKey;
    const { signature } = answer;
    return verifySshSignature({ publicKey: publicKey.value, signature, namespace: PROOF_NAMESPACE, message });
  }
  const attestationKey = readAttestationKey(verifyingKey);
  if (!attestationKey.ok) return attestationKey;
  if (!equalsInConstantTime(encodeHex(answer.secret), encodeHex(secret))) {
    return err("the TPM with this endorsement key did not decrypt the secret");
  }
  const qualifyingData = createHash("sha256").update(message).digest();
  return verifyQuote({ ...answer, attestationKey: attestationKey.value, qualifyingData, pcrs });
}
