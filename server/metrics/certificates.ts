/**
 * Metrics of requests and certificates. The requests are followed in the storage, so the figures include the work of
 * every approver and signer. The figures of issued certificates come from the register: for each signer and subject,
 * only the newest certificate counts, until it expires or is revoked. A renewal is a new request for the same subject,
 * so a certificate that is still the newest late in its lifetime has not been renewed.
 */
import { Counter, Gauge } from "prom-client";
import { classifyDuration } from "../../core/request/issued_certificate.ts";
import { findCondition, getCsrPhase } from "../../core/request/phase.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { Clock } from "../../core/ports.ts";
import { certificateSigningRequests } from "../registry/certificates_v1.ts";
import { toKeyPrefix } from "../registry/registry.ts";
import { followResource } from "../storage/follow.ts";
import type { Storage, Stored } from "../storage/storage.ts";
import type { MetricsRegistry } from "./registry.ts";
import { BUILTIN_SIGNERS } from "../../core/signing/profile.ts";
import type { NewestCertificate, RegisterIndex } from "../register/index.ts";

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

/** Follows the requests in a storage until it is disposed; `labels` provides the labels of signers. */
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
  const watch = await followResource(storage, toKeyPrefix(certificateSigningRequests, ""), {
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
    help: "Requests that have been waiting for at least some time, for an approval or for their certificate.",
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

/** A certificate that was not renewed in time. Times are in seconds since 1970. */
export interface OverdueCertificate extends NewestCertificate {
  readonly signerName: string;
  /** The subject, or the alternative names if it is empty. A long text is truncated, and ends with its digest. */
  readonly subject: string;
}

/** The figures about the certificates of one signer. */
export interface IssuedSummary {
  /** The number of certificates that expire within each of `TERMS`. */
  readonly within: readonly number[];
  readonly overdue: number;
  /** The soonest expiry in seconds since 1970; Infinity without certificates. */
  readonly soonest: number;
}

const HOUR = 3600;
const DAY = 24 * HOUR;
/** The terms by which certificates are counted, as labels and in seconds. */
const TERMS: readonly (readonly [label: string, seconds: number])[] = [
  ["1h", HOUR],
  ["1d", DAY],
  ["7d", 7 * DAY],
  ["30d", 30 * DAY],
  ["90d", 90 * DAY],
  ["any", Infinity],
];
/** Kubelets renew after 70 to 90 percent of the lifetime (client-go `certificate_manager.go`, `jitteryDuration`). */
const RENEWED_BY = 0.9;

export class IssuedCertificates {
  readonly #index: Pick<RegisterIndex, "newest">;
  readonly #labels: ReadonlySet<string>;
  /** The reported signers, so that a signer without any more certificates is reported as zero. */
  readonly #reported = new Set<string>();

  /** Signers that are neither built in nor in `customSigners` have the label `other`. */
  constructor(index: Pick<RegisterIndex, "newest">, customSigners: readonly string[] = []) {
    this.#index = index;
    this.#labels = new Set([...BUILTIN_SIGNERS.keys(), ...customSigners]);
  }

  /** The labels of known signers. */
  get signerLabels(): Iterable<string> {
    return this.#labels;
  }

  getSignerLabel(signerName: string): string {
    return this.#labels.has(signerName) ? signerName : "other";
  }

  /** Sums up the certificates that have not expired. */
  summarize(now: Date): ReadonlyMap<string, IssuedSummary> {
    const seconds = now.getTime() / 1000;
    const summaries = new Map([...this.#reported].map((label) => [label, createEmptySummary()]));
    for (const certificate of this.#entries()) {
      const left = certificate.until - seconds;
      if (left <= 0) continue;
      const label = this.getSignerLabel(certificate.signerName);
      let summary = summaries.get(label);
      if (summary === undefined) summaries.set(label, summary = createEmptySummary());
      // Each certificate is counted in its shortest term; the terms are accumulated below.
      const term = TERMS.findIndex(([, atMost]) => left <= atMost);
      summary.within[term] = (summary.within[term] ?? 0) + 1;
      if (getDueTime(certificate) <= seconds) summary.overdue += 1;
      if (certificate.until < summary.soonest) summary.soonest = certificate.until;
    }
    for (const [label, { within }] of summaries) {
      this.#reported.add(label);
      within.forEach((count, index) => within[index] = count + (within[index - 1] ?? 0));
    }
    return summaries;
  }

  /** Yields the unexpired certificates whose renewal became overdue between two moments. */
  *becameOverdue(after: Date, now: Date): Generator<OverdueCertificate> {
    const [from, to] = [after.getTime() / 1000, now.getTime() / 1000];
    for (const entry of this.#entries()) {
      const due = getDueTime(entry);
      if (from < due && due <= to && entry.until > to) yield entry;
    }
  }

  *#entries(): Generator<OverdueCertificate> {
    for (const [signerName, bySubject] of this.#index.newest) {
      // Certificates without a signer, such as those of the server, have the source of their record instead of a name.
      if (!signerName.includes("/")) continue;
      for (const [subject, newest] of bySubject) {
        if (!newest.isRevoked) yield { signerName, subject, ...newest };
      }
    }
  }
}

function createEmptySummary() {
  return { within: TERMS.map(() => 0), overdue: 0, soonest: Infinity };
}

function getDueTime({ since, until }: Pick<NewestCertificate, "since" | "until">): number {
  return since + (until - since) * RENEWED_BY;
}

export function addIssuedMetrics(
  registry: MetricsRegistry,
  clock: Pick<Clock, "now">,
  issued: IssuedCertificates,
): void {
  let summarized: ReadonlyMap<string, IssuedSummary> | undefined;
  // All gauges are collected at the same time, so they share one summary.
  const summaries = (): ReadonlyMap<string, IssuedSummary> => {
    if (summarized === undefined) {
      summarized = issued.summarize(clock.now());
      queueMicrotask(() => summarized = undefined);
    }
    return summarized;
  };
  const gauge = (
    name: string,
    help: string,
    labelNames: readonly string[],
    report: (
      set: (labels: Record<string, string>, value: number) => void,
      signer: string,
      summary: IssuedSummary,
    ) => void,
  ) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const [signer, summary] of summaries()) {
          report((labels, value) => this.set(labels, value), signer, summary);
        }
      },
    });
  gauge(
    "tlsboot_issued_certificates",
    "Issued certificates that have not expired and have been neither replaced nor revoked, by remaining lifetime.",
    ["signer", "ends_within"],
    (set, signer, { within }) => {
      for (const [index, [term]] of TERMS.entries()) set({ signer, ends_within: term }, within[index] ?? 0);
    },
  );
  gauge(
    "tlsboot_issued_certificates_overdue",
    "Those that are past nine tenths of their lifetime. A kubelet renews before that.",
    ["signer"],
    (set, signer, { overdue }) => set({ signer }, overdue),
  );
  gauge(
    "tlsboot_issued_certificate_expiry_timestamp_seconds",
    "When the next of them expires, in seconds since 1970.",
    ["signer"],
    (set, signer, { soonest }) => {
      if (soonest !== Infinity) set({ signer }, soonest);
    },
  );
}
