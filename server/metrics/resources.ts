/** The metric for the number of stored objects of each resource. */
import { Gauge } from "prom-client";
import type { Resource } from "../registry/resource.ts";
import { toKeyPrefix } from "../registry/keys.ts";
import type { Storage } from "../storage/storage.ts";
import type { MetricsRegistry } from "./registry.ts";

/** Adds `apiserver_resource_objects`, counted at each scrape. */
export function countObjects(
  registry: MetricsRegistry,
  storage: Pick<Storage, "list">,
  resources: readonly Resource[],
): void {
  // Another version of a stored kind is counted with that kind.
  const stored = resources.filter(({ conversion }) => conversion === undefined);
  new Gauge({
    name: "apiserver_resource_objects",
    help: "Objects that are stored, by resource.",
    labelNames: ["group", "resource"],
    registers: [registry],
    async collect() {
      for (const resource of stored) {
        const { group, plural } = resource.kind;
        // The gauge keeps its value while the store cannot be read; other metrics show why.
        const page = await storage.list(toKeyPrefix(resource, ""), { limit: 1 }).catch(() => undefined);
        if (page !== undefined) this.set({ group, resource: plural }, page.items.length + page.remaining);
      }
    },
  });
}
