/** Compares the CAs that a machine trusts with those that its cluster publishes. Nothing is changed or reported. */
import { findCaRetirement, isRetiring } from "../../../core/bootstrap/renewal.ts";
import { reportCheck, skipCheck } from "../../../core/doctor/finding.ts";
import type { Finding } from "../../../core/doctor/finding.ts";
import { checkTrust } from "../../../core/doctor/machine.ts";
import { AppError } from "../../../core/errors.ts";
import type { ClusterTrustBundle } from "../../../core/kube/certificates_v1.ts";
import { clusterTrustBundleKind } from "../../../core/kube/kinds/mod.ts";
import type { CertificateFacts } from "../../../core/pki/certificate.ts";
import { decideTrust } from "../../../core/pki/trust_bundle.ts";
import { CLIENT_STORE_PREFIX } from "../../../client/bootstrap.ts";
import { viewCredentialStore } from "../../../client/certificate/credential_store.ts";
import { readNodeCluster } from "../../../client/node_kubeconfig.ts";
import { SERVER_TRUST_SELECTORS } from "../../../client/node_trust.ts";
import { createObjectStore } from "../../../client/objects/object_store.ts";
import { readCa } from "../../../client/transport/connect.ts";
import { limitTime } from "../../../client/transport/time_limit.ts";
import { createLogger } from "../../logging.ts";
import { type ExamineDeps, showPath } from "./examine.ts";

const READ_TIMEOUT_MS = 5_000;

/** A machine that its server accepts. */
export interface TrustingMachine {
  readonly nodeName: string;
  readonly kubeconfigPath: string;
  readonly certDir: string;
  /** The client certificate in use. */
  readonly leaf: CertificateFacts | undefined;
  /** The command that takes over new CAs and renews the certificate. */
  readonly fix: string;
}

/** Checks that the machine has followed a replacement of its server's CA. */
export async function examineTrust(
  { nodeName, kubeconfigPath, certDir, leaf, fix }: TrustingMachine,
  target: string,
  { io, files, connect }: ExamineDeps,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const { clock, random } = io;
  const check = { check: "trusted-cas", target };
  const store = viewCredentialStore({ files, clock, certDir, prefix: CLIENT_STORE_PREFIX });
  const tooLate = (): Error => new AppError("timeout", "no answer in time", { retryable: true });
  const logger = createLogger({ stderr: io.stderr, clock, level: "error" });
  try {
    const cluster = await readNodeCluster({ kubeconfigPath, store, files });
    if (cluster.ca === undefined) return [];
    await using limit = limitTime(clock, READ_TIMEOUT_MS, tooLate, signal);
    await using transport = await connect(cluster);
    const options = { ...SERVER_TRUST_SELECTORS, clock, random, logger };
    const bundles = await createObjectStore<ClusterTrustBundle>(transport, clusterTrustBundleKind, options)
      .list(limit.signal);
    if (bundles.length === 0) return [skipCheck(check, "the cluster publishes no CAs")];
    const decision = decideTrust(await readCa(cluster.ca, files), bundles.map(({ spec }) => spec.trustBundle));
    const { added, removed } = decision.kind === "changed" ? decision : { added: 0, removed: 0 };
    const retirement = findCaRetirement(bundles.map(({ metadata }) => metadata.annotations), nodeName);
    const isDue = retirement !== undefined && retirement.renewAt <= clock.now() &&
      isRetiring(leaf, retirement);
    const evidence = { kubeconfig: showPath(kubeconfigPath, { io }), added, removed, isRetiring: isDue };
    return reportCheck(check, checkTrust(evidence, fix), "the kubeconfig trusts the CAs that the cluster publishes");
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    return [skipCheck(check, `the CAs of the cluster cannot be read: ${error.message}`)];
  }
}
