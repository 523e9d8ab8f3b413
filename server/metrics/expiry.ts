/** The metric for the expiry of this instance's own certificates. */
import { Gauge } from "prom-client";
import type { MetricsRegistry } from "./registry.ts";

/** Records the expiry of certificates. */
export interface ExpiryMetrics {
  /** Records a certificate, also one that replaces another; `certificate` is `serving` or the file name of a CA. */
  set(certificate: string, notAfter: Date): void;
}

/** Adds the gauge to a registry. */
export function createExpiryMetrics(registry: MetricsRegistry): ExpiryMetrics {
  const gauge = new Gauge({
    name: "tlsboot_own_certificate_expiry_timestamp_seconds",
    help: "When a certificate of this instance itself ends, in seconds since 1970.",
    labelNames: ["certificate"],
    registers: [registry],
  });
  return { set: (certificate, notAfter) => gauge.set({ certificate }, notAfter.getTime() / 1000) };
}
