/** `tpm`: the structures of a TPM. Encoding a public area again does not change it. */
import {
  encodePublicArea,
  ENDORSEMENT_TEMPLATES,
  parsePublicArea,
  parseQuote,
  parseTpmSignature,
} from "../../../core/attestation/tpm_structures.ts";
import { readAttestationKey, verifyQuote } from "../../../core/attestation/tpm_proof.ts";
import { createSoftwareTpm } from "../../support/software_tpm.ts";
import { assertHolds, assertSame, resultOutcome } from "../oracle.ts";
import type { Target } from "../target.ts";

export async function tpm(): Promise<Target> {
  const { evidence, quote } = await createSoftwareTpm();
  const qualifyingData = new Uint8Array(32).fill(9);
  const valid = { qualifyingData, pcrs: [0, 7], ...await quote(qualifyingData, [0, 7]) };
  const key = readAttestationKey(evidence.attestationKey);
  if (!key.ok) throw new Error(key.error);
  const attestationKey = key.value;
  return {
    seeds: [
      evidence.attestationKey,
      ...ENDORSEMENT_TEMPLATES.map(({ area }) => encodePublicArea(area)),
      valid.quote,
      valid.signature,
    ],
    words: [
      "\u0000\u0010",
      "\u0000\u000b",
      "\u0000\u0018",
      "\u0000\u0014",
      "\u0000\u0001",
      "\u00ff\u00ff",
      "\u0080\u0018",
    ],
    maxBytes: 65_536,
    run(input) {
      const area = parsePublicArea(input);
      if (area.ok) assertSame(parsePublicArea(encodePublicArea(area.value)), area, "public area again");
      const outcomes = [area, readAttestationKey(input), parseQuote(input), parseTpmSignature(input)];
      const isQuoted = verifyQuote({ attestationKey, ...valid, quote: input }).ok;
      if (isQuoted) assertSame(input, valid.quote, "what was signed");
      const isSigned = verifyQuote({ attestationKey, ...valid, signature: input }).ok;
      assertHolds(!isSigned || parseTpmSignature(input).ok, "a signature that verifies can be read");
      return `${outcomes.map(resultOutcome).join(" ")} ${isQuoted} ${isSigned}`;
    },
  };
}
