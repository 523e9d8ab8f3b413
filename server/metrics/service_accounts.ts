/** Counts the uses of service account tokens that should not be used any longer (`pkg/serviceaccount/metrics.go`). */
import { Counter } from "prom-client";
import type { MetricsRegistry } from "./registry.ts";

/** A use of a token without an audience, or of a pod's token before or after it should have been renewed. */
export type AccountTokenUse = "legacy" | "valid" | "stale";

export function countTokenUses(registry: MetricsRegistry): (use: AccountTokenUse) => void {
  const createCounter = (use: AccountTokenUse, help: string) =>
    new Counter({ name: `serviceaccount_${use}_tokens_total`, help, registers: [registry] });
  const counters = {
    legacy: createCounter("legacy", "Uses of service account tokens without an audience."),
    valid: createCounter("valid", "Uses of extended tokens of pods before the time at which they should be renewed."),
    stale: createCounter("stale", "Uses of extended tokens of pods after the time at which they should be renewed."),
  };
  return (use) => counters[use].inc();
}
