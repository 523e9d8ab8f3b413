/** The kind NodeAttestation as the exchange sees it: names and keys are parsed, and bytes are decoded. */
import { decodeBase64, encodeBase64 } from "../lib/base64.ts";
import type {
  AttestationAnswer,
  AttestationChallenge,
  AttestationEvidence,
  NodeAttestation,
} from "../kube/kinds/tlsboot_v1alpha1.ts";
import { type FieldError, invalidOmitted } from "../kube/status/field_error.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { NodeName } from "../machine/node_name.ts";
import { type Bytes, toResult } from "../pki/asn1/der.ts";
import { parsePublicKey } from "../pki/keys/public_key.ts";
import { type PublicKeyPin, publicKeyPin } from "../pki/keys/public_key_pin.ts";
import type { ProofSubject } from "./exchange.ts";
import type { Evidence, ProofAnswer, ProofChallenge } from "./proof.ts";

/** One of the two calls. */
export type AttestationCall =
  & ProofSubject
  & (
    | { readonly call: "begin"; readonly evidence: Evidence }
    | { readonly call: "complete"; readonly answer: ProofAnswer; readonly state: Bytes }
  );

/** Parses an attestation without other faults (`validateNodeAttestation`). */
export function parseAttestationCall({ spec }: NodeAttestation): Result<AttestationCall, readonly FieldError[]> {
  const der = decodeBytes(spec.publicKey);
  const publicKey = toResult(() => parsePublicKey(der));
  if (!publicKey.ok) return err([invalidOmitted("spec.publicKey", publicKey.error)]);
  const subject = { node: spec.nodeName as NodeName, key: publicKeyPin({ publicKeyDer: der }) };
  const { evidence, answer, state = "" } = spec;
  if (evidence !== undefined) return ok({ ...subject, call: "begin", evidence: toEvidence(evidence) });
  return ok({ ...subject, call: "complete", answer: toAnswer(answer ?? {}), state: decodeBytes(state) });
}

function toEvidence({ tpm, ssh }: AttestationEvidence): Evidence {
  if (tpm === undefined) return { kind: "ssh", hostKey: decodeBytes(ssh?.hostKey) };
  const { endorsementKey, endorsementCertificate, attestationKey } = tpm;
  return {
    kind: "tpm",
    endorsementKey: decodeBytes(endorsementKey),
    endorsementCertificate: endorsementCertificate === undefined ? undefined : decodeBytes(endorsementCertificate),
    attestationKey: decodeBytes(attestationKey),
  };
}

function toAnswer({ tpm, ssh }: AttestationAnswer): ProofAnswer {
  if (tpm === undefined) return { kind: "ssh", signature: decodeBytes(ssh?.signature) };
  const { secret, quote, signature, pcrs = [] } = tpm;
  return {
    kind: "tpm",
    secret: decodeBytes(secret),
    quote: decodeBytes(quote),
    signature: decodeBytes(signature),
    pcrValues: new Map(pcrs.map(({ index, sha256 }) => [index, decodeBytes(sha256)])),
  };
}

/** Decodes bytes of an object, which are base64 text in canonical form. */
function decodeBytes(text: string | null | undefined): Bytes {
  return decodeBase64(text ?? "") ?? new Uint8Array();
}

/** Converts a challenge to the form in which it is answered. */
export function toWireChallenge(
  challenge: ProofChallenge,
  nonce: string,
  caCertHash: PublicKeyPin,
): AttestationChallenge {
  if (challenge.kind === "ssh") return { nonce, caCertHash };
  const { credential, secret, pcrs } = challenge;
  return {
    nonce,
    caCertHash,
    tpm: { credential: encodeBase64(credential), secret: encodeBase64(secret), pcrs },
  };
}
