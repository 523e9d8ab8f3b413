/** The metric for the free space on the disk of the audit log. */
import { Gauge } from "prom-client";
import type { MetricsRegistry } from "./registry.ts";

/** Adds the gauge to a registry; `readFree` is called at each scrape. */
export function gaugeAuditDisk(registry: MetricsRegistry, readFree: () => Promise<number>): void {
  new Gauge({
    name: "tlsboot_audit_disk_free_bytes",
    help: "Bytes that the disk of the audit log has left for it.",
    registers: [registry],
    async collect() {
      // The gauge keeps its value while the disk cannot be read.
      const free = await readFree().catch(() => undefined);
      if (free !== undefined) this.set(free);
    },
  });
}
