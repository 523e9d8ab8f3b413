/**
 * Metrics of certificate signing requests: what was issued, and who has been waiting for how long. They follow the
 * storage, so they tell of whoever approves and signs.
 */
import { setImmediate } from "node:timers/promises";
import { Counter, Gauge } from "prom-client";
import { findLeafCertificate } from "../../core/csr/certificate.ts";
import { judgeDuration } from "../../core/csr/honored_duration.ts";
import { findCondition, getCsrPhase } from "../../core/csr/phase.ts";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import type { Clock } from "../../core/ports.ts";
import { followStorage } from "../storage/follow.ts";
import type { Storage, StorageEvent, Stored } from "../storage/storage.ts";
import { addIssuedMetrics, IssuedCertificates } from "./issued_certificates.ts";
import type { MetricsRegistry } from "./registry.ts";

const PREFIX = "/registry/certificatesigningrequests/";

/** Ages of waiting requests that are counted, in seconds, as labels. */
const AGES: readonly (readonly [label: string, seconds: number])[] = [
  ["0s", 0],
  ["1m", 60],
  ["5m", 300],
  ["1h", 3600],
  ["1d", 86_400],
];
/** What a request can wait for. */
const WAITS = ["approval", "signature"] as const;
type Wait = (typeof WAITS)[number];

const decoder = new TextDecoder();

/** Certificates are read when somebody asks, so many at a time. */
const READ_AT_ONCE = 100;

interface Waiting {
  readonly wait: Wait;
  readonly since: number;
}

/**
 * Follows the requests in a storage until it is disposed. What they get goes into `issued`; a certificate that was there
 * before is read when somebody asks, or when its request goes.
 */
export async function followRequests(
  storage: Storage,
  registry: MetricsRegistry,
  clock: Pick<Clock, "now">,
  issued: IssuedCertificates = new IssuedCertificates(),
): Promise<Disposable> {
  const waiting = new Map<string, Waiting>();
  const unread = new Set<string>();
  const counts = createCounts(registry);
  gaugeWaiting(registry, clock, waiting);
  issued.catchUp = () => readAll(unread, storage, add);
  addIssuedMetrics(registry, clock, issued);

  function add({ spec, status }: CertificateSigningRequest): void {
    const leaf = findLeafCertificate(status.certificate ?? "");
    if (leaf !== undefined) issued.add(spec.signerName, leaf);
  }

  function see(key: string, csr: CertificateSigningRequest | undefined): void {
    const phase = csr === undefined ? undefined : getCsrPhase(csr);
    if (csr === undefined || phase === undefined || (phase.kind !== "pending" && phase.kind !== "approved")) {
      waiting.delete(key);
    } else waiting.set(key, toWaiting(csr, phase.kind));
  }

  function observe({ key, current, previous }: StorageEvent): void {
    // What lies under this prefix passed the strategy of CSRs.
    const csr = current?.object as CertificateSigningRequest | undefined;
    const before = previous?.object as CertificateSigningRequest | undefined;
    see(key, csr);
    if (csr?.status.certificate !== undefined && before?.status.certificate === undefined) {
      counts.issued(csr, issued.getSignerLabel(csr.spec.signerName));
      // It was read a moment ago, when the write was validated.
      add(csr);
    }
    if (csr === undefined && unread.delete(key) && before !== undefined) add(before);
  }

  // What is lost between two watches is not counted; where the store cannot be read, the figures stay as they were.
  const watch = await followStorage(storage, PREFIX, {
    replace(items) {
      waiting.clear();
      unread.clear();
      for (const stored of items) {
        const csr = decode(stored);
        see(stored.key, csr);
        if (csr.status.certificate !== undefined) unread.add(stored.key);
      }
    },
    apply: (events) => events.forEach(observe),
  });
  return { [Symbol.dispose]: () => watch.stop() };
}

/** Read from the bytes: an object that is asked for once stays in memory. */
function decode({ bytes }: Stored): CertificateSigningRequest {
  return JSON.parse(decoder.decode(bytes)) as CertificateSigningRequest;
}

function toWaiting(csr: CertificateSigningRequest, phase: "pending" | "approved"): Waiting {
  const created = Date.parse(csr.metadata.creationTimestamp ?? "");
  if (phase === "pending") return { wait: "approval", since: created };
  const approved = Date.parse(findCondition(csr, "Approved")?.lastUpdateTime ?? "");
  return { wait: "signature", since: Number.isNaN(approved) ? created : approved };
}

function createCounts(registry: MetricsRegistry) {
  const counter = (name: string, help: string, label: string) =>
    new Counter({ name, help, labelNames: [label], registers: [registry] });
  const certificates = counter("tlsboot_certificates_issued_total", "Certificates issued, by signer.", "signer");
  const requested = counter(
    "apiserver_certificates_registry_csr_requested_duration_total",
    "Certificates issued to requests that asked for a duration.",
    "signerName",
  );
  const honored = counter(
    "apiserver_certificates_registry_csr_honored_duration_total",
    "Certificates issued with the duration that was asked for.",
    "signerName",
  );
  return {
    issued(csr: CertificateSigningRequest, signer: string): void {
      certificates.inc({ signer });
      const verdict = judgeDuration(csr);
      if (verdict === "unasked") return;
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

/** Reads the certificates that nobody has read yet; what has gone meanwhile was read as it went. */
async function readAll(
  unread: Set<string>,
  storage: Pick<Storage, "list">,
  add: (csr: CertificateSigningRequest) => void,
): Promise<void> {
  if (unread.size === 0) return;
  const { items } = await storage.list(PREFIX);
  let read = 0;
  for (const stored of items) {
    if (!unread.delete(stored.key)) continue;
    add(decode(stored));
    if (++read % READ_AT_ONCE === 0) await setImmediate();
  }
}
