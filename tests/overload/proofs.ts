/** Machines that prove their identity: honest ones in the inventory, and wrong proofs for an attack. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseWireChallenge, toWireAnswer, toWireEvidence } from "../../core/attestation/node_attestation.ts";
import type {
  AttestationAnswer,
  AttestationChallenge,
  AttestationEvidence,
} from "../../core/kube/kinds/node_attestation.ts";
import { createSoftwareTpm } from "../support/software_tpm.ts";
import { createSshHost } from "../support/ssh_host.ts";

/** The review with which machines prove their identity. */
export const ATTESTATIONS = "/apis/tlsboot/v1alpha1/nodeattestations";
/** So many that no machine reaches its limit of tokens. */
const MACHINES = 50;

/** Returns the name of a machine in the inventory; indices wrap around. */
export function nameMachine(index: number): string {
  return `machine-${index % MACHINES}`;
}

/** Writes the host keys of the machines into a folder, and an inventory, whose path is returned. */
export async function createMachines(folder: string): Promise<string> {
  await mkdir(folder);
  const lines = await Promise.all(Array.from({ length: MACHINES }, async (_, index) => {
    const name = nameMachine(index);
    const { privateKey, fingerprint } = await createSshHost();
    await writeFile(join(folder, name), privateKey.toPem(), { mode: 0o600 });
    return `- { name: ${name}, ssh: "${fingerprint}" }\n`;
  }));
  const inventory = join(folder, "machines.yaml");
  await writeFile(inventory, `apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes:\n${lines.join("")}`);
  return inventory;
}

/** A machine that is not in the inventory and signs the wrong text. */
interface WrongProof {
  readonly evidence: AttestationEvidence;
  answer(challenge: AttestationChallenge): Promise<AttestationAnswer>;
}

/** Creates a wrong proof of each kind, which only the check of the signature can reject. */
export async function createWrongProofs(): Promise<readonly WrongProof[]> {
  const message = new TextEncoder().encode("another text");
  const [host, tpm] = [await createSshHost(), await createSoftwareTpm()];
  return [
    {
      evidence: toWireEvidence(host.evidence),
      answer: () => Promise.resolve(toWireAnswer(host.sign(message))),
    },
    {
      evidence: toWireEvidence(tpm.evidence),
      async answer(wire) {
        const challenge = parseWireChallenge(wire, "tpm");
        if (challenge?.kind !== "tpm") throw new Error("no challenge for a TPM");
        return toWireAnswer(await tpm.answer(challenge, message));
      },
    },
  ];
}
