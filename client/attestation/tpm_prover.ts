/** Proves a machine's identity with its TPM. */
import { createHash } from "node:crypto";
import {
  ATTESTATION_TEMPLATE,
  ENDORSEMENT_TEMPLATES,
  parsePublicArea,
  parseTpmKey,
} from "../../core/attestation/tpm_structures.ts";
import { AppError } from "../../core/errors.ts";
import type { Bytes } from "../../core/pki/asn1/der.ts";
import type { Prover } from "./attest.ts";
import { openTpm, type TpmDevice, type TpmDeviceOptions, TpmError, type TpmHandle } from "./tpm_device.ts";

/** Creates a prover with the TPM at a path, which is open only during a step. */
export function createTpmProver(options: TpmDeviceOptions & { readonly path: string }): Prover<"tpm"> {
  return createDeviceProver(() => openTpm(options));
}

/** Creates a prover that opens a TPM for each step. Between the steps nothing stays loaded in it. */
export function createDeviceProver(open: () => Promise<TpmDevice>): Prover<"tpm"> {
  let saved: { readonly endorsementKey: Bytes; readonly attestationKey: Bytes } | undefined;
  return {
    kind: "tpm",

    async evidence() {
      await using device = await open();
      const endorsement = await createEndorsementKey(device);
      const attestation = await device.createPrimary(ATTESTATION_TEMPLATE);
      saved = {
        endorsementKey: await device.saveContext(endorsement.handle),
        attestationKey: await device.saveContext(attestation.handle),
      };
      return {
        kind: "tpm",
        endorsementKey: endorsement.publicKeyDer,
        endorsementCertificate: await device.readCertificate(endorsement.certificateIndex),
        attestationKey: attestation.publicArea,
      };
    },

    async prove(challenge, message) {
      if (challenge.kind !== "tpm" || saved === undefined) throw new TypeError("evidence() comes first");
      await using device = await open();
      const endorsementKey = await device.loadContext(saved.endorsementKey);
      const attestationKey = await device.loadContext(saved.attestationKey);
      const secret = await device.activateCredential({ attestationKey, endorsementKey }, challenge);
      const pcrValues = await device.readPcrs(challenge.pcrs);
      const qualifyingData = createHash("sha256").update(message).digest();
      return { kind: "tpm", secret, pcrValues, ...await device.quote(attestationKey, qualifyingData, challenge.pcrs) };
    },
  };
}

interface EndorsementKey {
  readonly handle: TpmHandle;
  /** The public key as DER of SubjectPublicKeyInfo. */
  readonly publicKeyDer: Bytes;
  readonly certificateIndex: number;
}

/** The response codes for an unsupported template: ASYMMETRIC, VALUE, KEY_SIZE, TYPE, SYMMETRIC, CURVE. */
const UNSUPPORTED: readonly number[] = [0x81, 0x84, 0x87, 0x8a, 0x96, 0xa6];

/** Creates the endorsement key by the first standard template that the TPM supports. */
async function createEndorsementKey(device: TpmDevice): Promise<EndorsementKey> {
  let unsupported: unknown;
  for (const { area, certificateIndex } of ENDORSEMENT_TEMPLATES) {
    try {
      const { handle, publicArea } = await device.createPrimary(area);
      const parsed = parsePublicArea(publicArea);
      const key = parsed.ok ? parseTpmKey(parsed.value) : parsed;
      if (!key.ok) throw new AppError("io", `cannot use the endorsement key of the TPM: ${key.error}`);
      return { handle, publicKeyDer: key.value.der, certificateIndex };
    } catch (error) {
      if (!(error instanceof TpmError && UNSUPPORTED.includes(error.responseCode))) throw error;
      unsupported = error;
    }
  }
  throw unsupported;
}
