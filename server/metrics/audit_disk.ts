/** What the disk of the audit log has left. */
import { Gauge } from "prom-client";
import type { MetricsRegistry } from "./registry.ts";

/** Adds it; `readFree` is asked at each scrape. */
export function gaugeAuditDisk(registry: MetricsRegistry, readFree: () => Promise<number>): void {
  new Gauge({
    name: "tlsboot_audit_disk_free_bytes",
    help: "Bytes that the disk of the audit log has left for it.",
    registers: [registry],
    async collect() {
      // What cannot be told stays as it was.
      const free = await readFree().catch(() => undefined);
      if (free !== undefined) this.set(free);
    },
  });
}
