/** The kind NodeAttestation as the exchange sees it: names and keys are parsed, and bytes are decoded. */
import { decodeBase64, encodeBase64 } from "../lib/encodings.ts";
import type {
  AttestationAnswer,
  AttestationChallenge,
  AttestationEvidence,
  NodeAttestation,
} from "../kube/kinds/node_attestation.ts";
import { type FieldError, invalidOmitted } from "../kube/status/field_error.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { NodeName } from "../machine/node_name.ts";
import { type Bytes, toResult } from "../pki/asn1/der.ts";
import { parsePublicKey } from "../pki/keys/public_key.ts";
import { type PublicKeyPin, publicKeyPin } from "../pki/keys/key_names.ts";
import type { ProofSubject } from "./exchange.ts";
import type { Evidence, ProofAnswer, ProofChallenge, ProofKind } from "./proof.ts";

/** One of the two calls. */
export type AttestationCall =
  & ProofSubject
  & (
    | { readonly call: "begin"; readonly evidence: Evidence }
    | { readonly call: "complete"; readonly answer: ProofAnswer; readonly state: Bytes }
  );

/** Parses an attestation that `validateNodeAttestation` has accepted. */
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

/** Converts a challenge to its form in the object. */
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

/** Converts evidence to its form in the object. */
export function toWireEvidence(evidence: Evidence): AttestationEvidence {
  if (evidence.kind === "ssh") return { ssh: { hostKey: encodeBase64(evidence.hostKey) } };
  const { endorsementKey, endorsementCertificate, attestationKey } = evidence;
  return {
    tpm: {
      endorsementKey: encodeBase64(endorsementKey),
      ...(endorsementCertificate === undefined ? {} : { endorsementCertificate: encodeBase64(endorsementCertificate) }),
      attestationKey: encodeBase64(attestationKey),
    },
  };
}

/** Converts an answer to its form in the object. */
export function toWireAnswer(answer: ProofAnswer): AttestationAnswer {
  if (answer.kind === "ssh") return { ssh: { signature: encodeBase64(answer.signature) } };
  const { secret, quote, signature, pcrValues } = answer;
  return {
    tpm: {
      secret: encodeBase64(secret),
      quote: encodeBase64(quote),
      signature: encodeBase64(signature),
      pcrs: [...pcrValues].map(([index, value]) => ({ index, sha256: encodeBase64(value) })),
    },
  };
}

/** Parses the challenge for a kind of proof; undefined when it is for another kind or malformed. */
export function parseWireChallenge({ tpm }: AttestationChallenge, kind: ProofKind): ProofChallenge | undefined {
  if (kind === "ssh") return { kind };
  const credential = decodeBase64(tpm?.credential ?? "");
  const secret = decodeBase64(tpm?.secret ?? "");
  if (tpm === undefined || credential === undefined || secret === undefined) return undefined;
  return { kind, credential, secret, pcrs: tpm.pcrs ?? [] };
}
