/** The signer of pod certificates: one controller for all its signers, and for each one that publishes its CAs. */
import type { ClusterTrustBundle, PodCertificateRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { clusterTrustBundleKind, podCertificateRequestKind } from "../../core/kube/kinds/mod.ts";
import { AppError } from "../../core/errors.ts";
import type { Transport } from "../../core/ports.ts";
import { createObjectStore } from "../../client/objects/object_store.ts";
import { type FileProfileSource, followProfiles } from "../../controllers/signer/profile_provider.ts";
import { runTrustBundlePublisher } from "../../controllers/upkeep/trust_bundle_publisher.ts";
import type { ControllerDeps } from "../deps.ts";
import { encodeTrust } from "../../core/pki/x509/ca_bundle.ts";
import { createPodSigner, type PodSignerDeps, runController } from "../../controllers/mod.ts";

/** The CAs and profiles of the signer. */
export interface PodSigningSettings
  extends
    Pick<PodSignerDeps, "allowMlDsa" | "authorities" | "isTrustedForClients" | "record" | "signingDurationSeconds"> {
  readonly profiles: ReadonlyMap<string, FileProfileSource>;
}

/** Runs the signer until the signal aborts. */
export async function runPodSigner(
  transport: Transport,
  settings: PodSigningSettings,
  deps: ControllerDeps,
  signal: AbortSignal,
): Promise<void> {
  const { profiles, authorities } = settings;
  const signerNames = [...profiles.keys()];
  // One signer needs no requests of others; the API selects by one name only.
  const [only, ...more] = signerNames;
  const selector = only === undefined || more.length > 0 ? {} : { fieldSelector: `spec.signerName=${only}` };
  const store = createObjectStore<PodCertificateRequest>(transport, podCertificateRequestKind, {
    ...deps,
    ...selector,
  });
  const signer = createPodSigner({ ...settings, store, ...deps });
  await Promise.all([
    runController({ name: "pod-signer", store, ...signer, ...deps }, signal),
    followProfiles([...profiles.values()], deps.clock, signal),
    ...[...profiles].map(([signerName, profile]) => {
      const fieldSelector = `spec.signerName=${signerName}`;
      const bundles = createObjectStore<ClusterTrustBundle>(transport, clusterTrustBundleKind, {
        ...deps,
        fieldSelector,
      });
      const content = async () => {
        const authority = await authorities(signerName);
        if (authority === undefined) throw new AppError("internal", `no CA for signer "${signerName}"`);
        return { trustBundle: encodeTrust(authority) };
      };
      // As long as a pod may have a certificate of an earlier CA.
      const keepMs = async () => (await profile.currentSpec()).lifetime.maxMs;
      return runTrustBundlePublisher({ store: bundles, signerName, content, keepMs, ...deps }, signal);
    }),
  ]);
}
