/** The credentials of a machine's requests: those that the settings name, or those that it gets for a proof. */
import { createIdentityProof } from "../../../client/attestation/attest.ts";
import { type BootstrapOptions, createMissingCredentialsFinder } from "../../../client/bootstrap.ts";
import { openProver } from "../../attestation.ts";
import { createClusterFinder, DISCOVERY_SECONDS } from "../../cluster_credentials.ts";
import type { Settings } from "../../framework/flags.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Tools } from "../../io.ts";
import type { bootstrapCommand } from "./flags.ts";
import type { Machine } from "./machine.ts";
import type { MachineProgress } from "./progress_text.ts";

/** Chooses where the credentials come from. UsageError for settings that are incomplete. */
export async function chooseCredentials(
  settings: Settings<typeof bootstrapCommand.flags>,
  machine: Machine,
  tools: Tools & { readonly onProgress: (event: MachineProgress) => void },
): Promise<Pick<BootstrapOptions, "findCluster" | "prove">> {
  const otherwise = createMissingCredentialsFinder(machine.kubeconfigPath, machine.nodeName);
  const { attest, server, caCertHash: pins, proofFrom } = settings;
  if (attest === undefined) {
    return { findCluster: createClusterFinder(settings, { path: settings.bootstrapKubeconfig }, otherwise, tools) };
  }
  if (server === undefined || pins.length === 0) {
    throw new UsageError(
      "--attest needs --server and --ca-cert-hash, the address of the server and the hash of its CA",
      "tlsboot ca show prints the hash at the CA",
    );
  }
  const prover = await openProver({ kind: attest, from: proofFrom }, tools);
  const waitSeconds = Math.min(settings.timeout / 1_000, DISCOVERY_SECONDS);
  return {
    findCluster: otherwise,
    prove: createIdentityProof({ ...tools, ...machine, server, pins, prover, waitSeconds }),
  };
}
