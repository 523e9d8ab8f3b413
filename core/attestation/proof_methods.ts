/** How each kind of proof is challenged and verified: a TPM 2.0, and the host key of an sshd. */
import { createHash } from "node:crypto";
import { equalsInConstantTime } from "../lib/brand.ts";
import { encodeHex } from "../lib/encodings.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { Bytes } from "../pki/asn1/der.ts";
import { publicKeyPin } from "../pki/keys/public_key_pin.ts";
import type { Random } from "../ports.ts";
import type { Evidence, ProofAnswer, ProofChallenge, ProofKind } from "./proof.ts";
import { formatSshFingerprint, parseSshPublicKey, PROOF_NAMESPACE, verifySshSignature } from "./ssh_signature.ts";
import { makeCredential, readEndorsementKey } from "./tpm_credential.ts";
import { readAttestationKey, verifyQuote } from "./verify_tpm.ts";

/** A part of the evidence that cannot prove anything. */
export interface EvidenceFault {
  /** The path of the field below the evidence, such as `tpm.attestationKey`. */
  readonly field: string;
  readonly message: string;
}

/** What verifies the answer to a challenge. */
export interface Verifier {
  readonly kind: ProofKind;
  /** The key that signs the answer. */
  readonly verifyingKey: Bytes;
  /** The secret that a TPM has to decrypt; empty for other kinds. */
  readonly secret: Bytes;
  /** The PCRs that a TPM has to quote. */
  readonly pcrs: readonly number[];
}

/** A challenge, and what the second call has to know about it. */
export interface Challenged extends Verifier {
  readonly challenge: ProofChallenge;
  /** The key as an inventory has it. */
  readonly proven: string;
}

const SECRET_BYTES = 32;

/** Challenges the keys of evidence, whether they are expected or not. */
export async function challengeEvidence(
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

/** Verifies the answer to a challenge; the error says what is wrong with it, for the log of the server. */
export function verifyAnswer(
  { kind, verifyingKey, secret, pcrs }: Verifier,
  answer: ProofAnswer,
  message: Bytes,
): Result<undefined, string> {
  if (answer.kind !== kind) {
    return err(`the challenge is for a proof by ${kind}, and the answer is one by ${answer.kind}`);
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
