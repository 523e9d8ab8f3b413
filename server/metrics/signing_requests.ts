/**
 * Metrics of certificate signing requests: the issued certificates, and the ages of waiting requests. They follow the
 * storage, so they include the work of every approver and signer.
 */
import { Counter, Gauge } from "prom-client";
import { classifyDuration } from "../../core/request/issued_certificate.ts";
import { findCondition, getCsrPhase } from "../../core/request/phase.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { Clock } from "../../core/ports.ts";
import { followResource } from "../storage/follow.ts";
import type { Storage, Stored } from "../storage/storage.ts";
import type { IssuedCertificates } from "./issued_certificates.ts";
import type { MetricsRegistry } from "./registry.ts";

const PREFIX = "/registry/certificatesigningrequests/";

/** The ages by which waiting requests are counted, as labels and in seconds. */
const AGES: readonly (readonly [label: string, seconds: number])[] = [
  ["0s", 0],
  ["1m", 60],
  ["5m", 300],
  ["1h", 3600],
  ["1d", 86_400],
];
const WAITS = ["approval", "signature"] as const;
type Wait = (typeof WAITS)[number];

interface Waiting {
  readonly wait: Wait;
  readonly since: number;
}

/** Follows the requests in a storage until it is disposed; `labels` names signers. */
export async function followRequests(
  storage: Storage,
  registry: MetricsRegistry,
  clock: Pick<Clock, "now">,
  labels: Pick<IssuedCertificates, "getSignerLabel" | "signerLabels">,
): Promise<Disposable> {
  const waiting = new Map<string, Waiting>();
  const counts = createCounts(registry, labels.signerLabels);
  gaugeWaiting(registry, clock, waiting);

  // Changes between two watches are not counted. The figures stay unchanged while the store cannot be read.
  const watch = await followResource(storage, PREFIX, {
    clear: () => waiting.clear(),
    added(name, { object: csr }: Stored<CertificateSigningRequest>, change) {
      const { kind } = getCsrPhase(csr);
      if (kind === "pending" || kind === "approved") waiting.set(name, toWaiting(csr, kind));
      else waiting.delete(name);
      if (change === undefined || csr.status.certificate === undefined) return;
      if (change.previous?.object.status.certificate !== undefined) return;
      counts.issued(csr, labels.getSignerLabel(csr.spec.signerName));
    },
    removed: (name) => waiting.delete(name),
  });
  return { [Symbol.dispose]: () => watch.stop() };
}

function toWaiting(csr: CertificateSigningRequest, phase: "pending" | "approved"): Waiting {
  const created = Date.parse(csr.metadata.creationTimestamp ?? "");
  if (phase === "pending") return { wait: "approval", since: created };
  const approved = Date.parse(findCondition(csr, "Approved")?.lastUpdateTime ?? "");
  return { wait: "signature", since: Number.isNaN(approved) ? created : approved };
}

function createCounts(registry: MetricsRegistry, signers: Iterable<string>) {
  const counter = (name: string, help: string, label: string) =>
    new Counter({ name, help, labelNames: [label], registers: [registry] });
  const certificates = counter("tlsboot_certificates_issued_total", "Certificates issued, by signer.", "signer");
  // Prometheus sees no increase when a series begins with one, so it begins with zero.
  for (const signer of signers) certificates.inc({ signer }, 0);
  const requested = counter(
    "apiserver_certificates_registry_csr_requested_duration_total",
    "Certificates issued to requests that specified a duration.",
    "signerName",
  );
  const honored = counter(
    "apiserver_certificates_registry_csr_honored_duration_total",
    "Certificates issued with the requested duration.",
    "signerName",
  );
  return {
    issued(csr: CertificateSigningRequest, signer: string): void {
      certificates.inc({ signer });
      const verdict = classifyDuration(csr);
      if (verdict === "unrequested") return;
      const label = { signerName: csr.spec.signerName.startsWith("kubernetes.io/") ? csr.spec.signerName : "other" };
      requested.inc(label);
      if (verdict === "honored") honored.inc(label);
    },
  };
}

function gaugeWaiting(
  registry: MetricsRegistry,
  clock: Pick<Clock, "now">,
  waiting: ReadonlyMap<string, Waiting>,
): void {
  new Gauge({
    name: "tlsboot_waiting_requests",
    help: "Requests that have been waiting at least so long: for an approval, or approved and for their certificate.",
    labelNames: ["waits_for", "at_least"],
    registers: [registry],
    collect() {
      const now = clock.now().getTime();
      const ages = [...waiting.values()].map(({ wait, since }) => ({ wait, seconds: (now - since) / 1000 }));
      for (const wait of WAITS) {
        for (const [label, least] of AGES) {
          const count = ages.filter((age) => age.wait === wait && (least === 0 || age.seconds >= least)).length;
          this.set({ waits_for: wait, at_least: label }, count);
        }
      }
    },
  });
}
