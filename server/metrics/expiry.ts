/** When the certificates end that this instance itself stands on. */
import { Gauge } from "prom-client";
import type { MetricsRegistry } from "./registry.ts";

/** Is told of each certificate, also of those that replace another. */
export interface ExpiryMetrics {
  /** `serving`, or the file name of a CA. */
  set(certificate: string, notAfter: Date): void;
}

/** Adds them to a registry. */
export function createExpiryMetrics(registry: MetricsRegistry): ExpiryMetrics {
  const gauge = new Gauge({
    name: "tlsboot_own_certificate_expiry_timestamp_seconds",
    help: "When a certificate of this instance itself ends, in seconds since 1970.",
    labelNames: ["certificate"],
    registers: [registry],
  });
  return { set: (certificate, notAfter) => gauge.set({ certificate }, notAfter.getTime() / 1000) };
}
