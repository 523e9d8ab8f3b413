/** The kinds of proof: a TPM 2.0, and the host key of an sshd. */
import { createHash } from "node:crypto";
import { equalsInConstantTime } from "../lib/constant_time.ts";
import { encodeHex } from "../lib/hex.ts";
import { err, ok } from "../lib/result.ts";
import { publicKeyPin } from "../pki/keys/public_key_pin.ts";
import type { ProofMethods } from "./exchange.ts";
import { formatSshFingerprint, parseSshPublicKey, PROOF_NAMESPACE, verifySshSignature } from "./ssh_signature.ts";
import { makeCredential, readEndorsementKey } from "./tpm_credential.ts";
import { readAttestationKey, verifyQuote } from "./verify_tpm.ts";

const SECRET_BYTES = 32;

export const PROOF_METHODS: ProofMethods = {
  tpm: {
    async challenge({ endorsementKey, attestationKey }, { pcrs, random }) {
      const endorsement = readEndorsementKey(endorsementKey);
      if (!endorsement.ok) return err({ field: "tpm.endorsementKey", message: endorsement.error });
      const attestation = readAttestationKey(attestationKey);
      if (!attestation.ok) return err({ field: "tpm.attestationKey", message: attestation.error });
      const secret = random.bytes(SECRET_BYTES);
      const credential = await makeCredential(endorsementKey, attestation.value.name, secret, random);
      return ok({
        challenge: { kind: "tpm", ...credential, pcrs },
        proven: publicKeyPin({ publicKeyDer: endorsementKey }),
        verifyingKey: attestationKey,
        secret,
      });
    },
    async verify({ verifyingKey, secret, pcrs }, answer, message) {
      const attestationKey = readAttestationKey(verifyingKey);
      if (!attestationKey.ok) return attestationKey;
      if (!equalsInConstantTime(encodeHex(answer.secret), encodeHex(secret))) {
        return err("the TPM with this endorsement key did not decrypt the secret");
      }
      const qualifyingData = createHash("sha256").update(message).digest();
      return verifyQuote({ ...answer, attestationKey: attestationKey.value, qualifyingData, pcrs });
    },
  },
  ssh: {
    async challenge({ hostKey }) {
      const key = parseSshPublicKey(hostKey);
      if (!key.ok) return err({ field: "ssh.hostKey", message: key.error });
      const proven = formatSshFingerprint(key.value);
      return ok({ challenge: { kind: "ssh" }, proven, verifyingKey: hostKey, secret: new Uint8Array() });
    },
    async verify({ verifyingKey }, { signature }, message) {
      const publicKey = parseSshPublicKey(verifyingKey);
      if (!publicKey.ok) return publicKey;
      return verifySshSignature({ publicKey: publicKey.value, signature, namespace: PROOF_NAMESPACE, message });
    },
  },
};
