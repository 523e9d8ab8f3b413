/** Machines that prove which ones they are: those in the inventory of the server, and wrong proofs for an attack. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  formatSshFingerprint,
  PROOF_NAMESPACE,
  signSsh,
  type SshPublicKey,
  toSshPublicKey,
} from "../../core/attestation/ssh_signature.ts";
import type {
  AttestationAnswer,
  AttestationChallenge,
  AttestationEvidence,
} from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { decodeBase64, encodeBase64 } from "../../core/lib/base64.ts";
import { generatePrivateKey, type PrivateKey } from "../../core/pki/keys/keys.ts";
import { createSoftwareTpm } from "../support/software_tpm.ts";

/** The path of the review to which machines prove which ones they are. */
export const ATTESTATIONS = "/apis/tlsboot/v1alpha1/nodeattestations";
/** So many that honest clients do not reach the limit of tokens for one of them. */
const MACHINES = 50;

/** The name of a machine in the inventory; there are fewer than numbers. */
export function nameMachine(index: number): string {
  return `machine-${index % MACHINES}`;
}

/** Writes an inventory and, beside it, the host key of each machine by its name. */
export async function createMachines(folder: string): Promise<{ readonly inventory: string }> {
  await mkdir(folder);
  const lines = await Promise.all(Array.from({ length: MACHINES }, async (_, index) => {
    const name = nameMachine(index);
    const { privateKey, publicKey } = await createHostKey();
    await writeFile(join(folder, name), privateKey.toPem(), { mode: 0o600 });
    return `- { name: ${name}, ssh: "${formatSshFingerprint(publicKey)}" }\n`;
  }));
  const inventory = join(folder, "machines.yaml");
  await writeFile(inventory, `apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes:\n${lines.join("")}`);
  return { inventory };
}

/** A machine that is not in the inventory, and answers each challenge for another text. */
export interface WrongProof {
  readonly evidence: AttestationEvidence;
  answer(challenge: AttestationChallenge): Promise<AttestationAnswer>;
}

/** Creates a wrong proof of each kind. The server finds out only when it verifies the signature. */
export async function createWrongProofs(): Promise<readonly WrongProof[]> {
  const message = new TextEncoder().encode("another text");
  const { privateKey, publicKey } = await createHostKey();
  const signature = encodeBase64(signSsh({ publicKey, privateKey, namespace: PROOF_NAMESPACE, message }));
  const tpm = await createSoftwareTpm();
  const { endorsementKey, attestationKey } = tpm.evidence;
  return [
    {
      evidence: { ssh: { hostKey: encodeBase64(publicKey.wire) } },
      answer: () => Promise.resolve({ ssh: { signature } }),
    },
    {
      evidence: {
        tpm: { endorsementKey: encodeBase64(endorsementKey), attestationKey: encodeBase64(attestationKey) },
      },
      async answer({ tpm: wire }) {
        const [credential, secret] = [decodeBase64(wire?.credential ?? ""), decodeBase64(wire?.secret ?? "")];
        if (credential === undefined || secret === undefined) throw new Error("no challenge for a TPM");
        const answer = await tpm.answer({ kind: "tpm", credential, secret, pcrs: wire?.pcrs ?? [] }, message);
        return {
          tpm: {
            secret: encodeBase64(answer.secret),
            quote: encodeBase64(answer.quote),
            signature: encodeBase64(answer.signature),
            pcrs: Array.from(answer.pcrValues, ([index, value]) => ({ index, sha256: encodeBase64(value) })),
          },
        };
      },
    },
  ];
}

async function createHostKey(): Promise<{ readonly privateKey: PrivateKey; readonly publicKey: SshPublicKey }> {
  const privateKey = await generatePrivateKey("ed25519");
  const publicKey = toSshPublicKey(privateKey);
  if (!publicKey.ok) throw new Error(publicKey.error);
  return { privateKey, publicKey: publicKey.value };
}
