/** Machines that prove which ones they are: those in the inventory of the server, and wrong proofs for an attack. */
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
    const { privateKey, fingerprint } = await createSshHost();
    await writeFile(join(folder, name), privateKey.toPem(), { mode: 0o600 });
    return `- { name: ${name}, ssh: "${fingerprint}" }\n`;
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
