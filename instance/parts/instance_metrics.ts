/** The metrics of an instance: one registry for the server, its storage, its controllers and its certificates. */
import { basename } from "node:path";
import type { Clock, Logger } from "../../core/ports.ts";
import { CA_ENDING_MS } from "../../core/report/notification.ts";
import { type ControllerMetrics, createControllerMetrics } from "../../server/metrics/controllers.ts";
import {
  createExpiryMetrics,
  createMetricsRegistry,
  type ExpiryMetrics,
  type MetricsRegistry,
} from "../../server/metrics/registry.ts";
import type { InstanceAuthorities } from "../authority/instance_authorities.ts";
import type { Part } from "./parts.ts";
import { parseLeaf } from "./register.ts";
import { chainNotAfter } from "../../core/pki/x509/ca_bundle.ts";

const DAY_MS = 86_400_000;

export interface InstanceMetrics {
  readonly registry: MetricsRegistry;
  readonly controllers: ControllerMetrics;
  readonly expiry: ExpiryMetrics;
}

/** Creates the metrics; the storage adds its own. */
export function createInstanceMetrics(clock: Pick<Clock, "elapsedMs">): InstanceMetrics {
  const registry = createMetricsRegistry();
  return {
    registry,
    controllers: createControllerMetrics(registry, clock),
    expiry: createExpiryMetrics(registry),
  };
}

/** Records when the CAs of an instance expire, also after they are replaced. The part also logs once a day that one expires soon. */
export function watchCaExpiry(
  expiry: ExpiryMetrics,
  authorities: Pick<InstanceAuthorities, "serving" | "clientCas">,
  { clock, logger }: { readonly clock: Pick<Clock, "now">; readonly logger: Logger },
): Part {
  let warnedAt = -Infinity;
  let recorded = new Set<string>();

  /** Records the ends and returns the earliest one. */
  function record(): Date {
    const ends = new Map([["serving CA", chainNotAfter(authorities.serving)]]);
    for (const { chain, certificateFile } of authorities.clientCas) {
      ends.set(basename(certificateFile), chainNotAfter(chain));
    }
    for (const name of recorded) if (!ends.has(name)) expiry.remove(name);
    for (const [name, notAfter] of ends) expiry.set(name, notAfter);
    recorded = new Set(ends.keys());
    return new Date(Math.min(...[...ends.values()].map((end) => end.getTime())));
  }

  record();
  return {
    renew() {
      const notAfter = record();
      const now = clock.now().getTime();
      if (notAfter.getTime() - now < CA_ENDING_MS && now - warnedAt >= DAY_MS) {
        warnedAt = now;
        logger.warn("the CA expires soon, and its certificates expire with it", { notAfter });
      }
      return Promise.resolve();
    },
  };
}

/** Records when the serving certificate expires. */
export function recordServingExpiry(
  expiry: ExpiryMetrics,
  { certificatePem }: { readonly certificatePem: string },
): void {
  expiry.set("serving", parseLeaf(certificatePem).notAfter);
}
