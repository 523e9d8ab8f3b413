/** Deletes requests whose certificates are on their node's disk: what is deleted must not come back. */
import { createHash } from "node:crypto";
import type { Connect } from "../../client/transport/connect.ts";
import { createObjectStore } from "../../client/objects/object_store.ts";
import { getErrorMessage, isAppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import { certificateSigningRequestKind } from "../../core/kube/kinds/mod.ts";
import type { ResolvedCluster } from "../../core/kube/kubeconfig_context.ts";
import { getName } from "../../core/kube/meta.ts";
import { decodeBase64 } from "../../core/lib/base64.ts";
import type { Clock, Logger, Random } from "../../core/ports.ts";
import { isTransient } from "./watcher.ts";

export interface TortureCleanerOptions {
  readonly cluster: ResolvedCluster;
  readonly connect: Connect;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onFault: (fault: string) => void;
}

/** Deletes old requests, and reports which requests may be deleted. */
export interface TortureCleaner {
  /** A certificate that its node has stored. */
  retire(certificatePem: string): void;
  /** Deletes until the signal fires. */
  run(signal: AbortSignal): Promise<void>;
}

const PAUSE_MS = 1_000;
/** The cleaner deletes one in this many of the requests that may be deleted. */
const SHARE = 3;

export function createTortureCleaner(options: TortureCleanerOptions): TortureCleaner {
  const { clock, random, onFault } = options;
  const retired = new Set<string>();

  async function pass(signal: AbortSignal): Promise<void> {
    await using transport = await options.connect(options.cluster);
    const store = createObjectStore<CertificateSigningRequest>(transport, certificateSigningRequestKind, options);
    for (const csr of await store.list(signal)) {
      const uid = csr.metadata.uid ?? "";
      const certificate = decodeBase64(csr.status?.certificate ?? "");
      if (certificate === undefined || !retired.has(toDigest(certificate)) || random.float() * SHARE > 1) continue;
      await store.delete(getName(csr), signal, { uid }).catch((error: unknown) => {
        // Deleted by a request that was cut off before its answer.
        if (!isAppError(error, "not_found")) throw error;
      });
    }
  }

  return {
    retire: (certificatePem) => void retired.add(toDigest(new TextEncoder().encode(certificatePem))),
    async run(signal) {
      while (!signal.aborted) {
        await pass(signal).catch((error: unknown) => {
          if (!signal.aborted && !isTransient(error)) onFault(`cleaner: ${getErrorMessage(error)}`);
        });
        await clock.sleep(random.float() * PAUSE_MS, signal).catch(() => {});
      }
    },
  };
}

function toDigest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
