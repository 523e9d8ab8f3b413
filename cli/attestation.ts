/** Opens the TPM or the SSH host key that proves this machine's identity. The code of each is loaded on use. */
import { resolve } from "node:path";
import type { AttestProgress, Prover } from "../client/attestation/attest.ts";
import type { FilePort } from "../client/files.ts";
import type { ProofKind } from "../core/attestation/proof.ts";
import type { Tools } from "./io.ts";
import { runToEnd } from "./processes.ts";

/** The device of the TPM, which the kernel shares between programs. */
export const TPM_DEVICE = "/dev/tpmrm0";

interface ProofSettings {
  /** Undefined for the TPM if this machine has one, and otherwise the SSH host key. */
  readonly kind: ProofKind | undefined;
  /** The path of the device or the key file. Undefined for the default. */
  readonly from: string | undefined;
}

/** Opens the TPM or the SSH host key for a proof. Nothing is read before it is needed. */
export async function openProver({ kind, from }: ProofSettings, tools: Tools): Promise<Prover> {
  const path = from === undefined ? undefined : resolve(tools.cwd, from);
  const chosen = kind ?? (await tools.files.stat(TPM_DEVICE) === undefined ? "ssh" : "tpm");
  if (chosen === "tpm") {
    const { createTpmProver } = await import("../client/attestation/tpm_prover.ts");
    return createTpmProver({ ...tools, path: path ?? TPM_DEVICE });
  }
  const { createSshProver } = await import("../client/attestation/ssh_prover.ts");
  return createSshProver({ ...tools, path, run: runToEnd });
}

/** The name of each kind of proof in messages. */
export const PROOF_NAMES: Readonly<Record<ProofKind, string>> = { tpm: "its TPM", ssh: "its SSH host key" };

/** Returns the message for a step of the exchange. */
export function describeAttestProgress(event: AttestProgress): string {
  switch (event.kind) {
    case "proving":
      return `proving this machine's identity to ${event.server} with ${PROOF_NAMES[event.proof]}`;
    case "provingDelayed":
      return `trying again: ${event.reason}`;
    case "proven":
      return `proven: this machine has a token for ${event.server}`;
  }
}

/** Finds the group that may use the TPM, if the system has one (udev rules of tpm2-tss). */
export async function findTpmGroup(files: Pick<FilePort, "readText">): Promise<string | undefined> {
  return /^tss:/m.test(await files.readText("/etc/group") ?? "") ? "tss" : undefined;
}
