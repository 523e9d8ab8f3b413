/**
 * What `/livez` and `/readyz` ask: kube-apiserver's checks, by its names, as far as there is something to ask here.
 * Probes name some of them, such as `/livez?exclude=etcd`.
 */
import type { HealthCheck } from "./http/health.ts";
import type { Storage } from "./storage/storage.ts";

/** Builds the checks in kube-apiserver's order. */
export function createHealthChecks(
  { storage, stopping, more = [] }: {
    readonly storage: Pick<Storage, "health">;
    readonly stopping: AbortSignal;
    /** What else is asked. */
    readonly more?: readonly HealthCheck[];
  },
): readonly HealthCheck[] {
  const askStorage = () => storage.health();
  return [
    { name: "ping", check: wellOnceStarted },
    { name: "log", check: wellOnceStarted },
    // The storage stands where kube-apiserver has etcd.
    { name: "etcd", check: askStorage },
    { name: "etcd-readiness", readyOnly: true, check: askStorage },
    // What follows is done before the server listens.
    { name: "informer-sync", readyOnly: true, check: wellOnceStarted },
    { name: "poststarthook/start-system-namespaces-controller", check: wellOnceStarted },
    { name: "poststarthook/rbac/bootstrap-roles", check: wellOnceStarted },
    ...more,
    { name: "shutdown", readyOnly: true, check: () => refuseWhenStopping(stopping) },
  ];
}

function wellOnceStarted(): Promise<void> {
  return Promise.resolve();
}

function refuseWhenStopping(stopping: AbortSignal): Promise<void> {
  return stopping.aborted ? Promise.reject(new Error("process is shutting down")) : Promise.resolve();
}
