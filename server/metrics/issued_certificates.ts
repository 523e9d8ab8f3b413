/**
 * Figures about issued certificates from the register: of each signer and subject the newest certificate counts, until it
 * expires or is revoked. A certificate is renewed by a new request for the same subject, so one that is still the newest late in its
 * lifetime has not been renewed.
 */
import { Gauge } from "prom-client";
import type { Clock } from "../../core/ports.ts";
import { BUILTIN_SIGNERS } from "../../core/signing/profile.ts";
import type { NewestCertificate, RegisterIndex } from "../register/index.ts";
import type { MetricsRegistry } from "./registry.ts";

/** A certificate that was not renewed in time. Times are in seconds since 1970. */
export interface OverdueCertificate extends NewestCertificate {
  readonly signerName: string;
  /** The subject, or the alternative names when it is empty; a long text is cut and ends with its digest. */
  readonly subject: string;
}

/** The figures about the certificates of one signer. */
export interface IssuedSummary {
  /** The number that expires within each of `TERMS`. */
  readonly within: readonly number[];
  readonly overdue: number;
  /** The soonest expiry in seconds since 1970; Infinity when there are none. */
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
  /** The labels of signers that were reported before, so that a signer without certificates is reported as zero. */
  readonly #reported = new Set<string>();

  /** Signers that are neither built in nor in `customSigners` have the label `other`. */
  constructor(index: Pick<RegisterIndex, "newest">, customSigners: readonly string[] = []) {
    this.#index = index;
    this.#labels = new Set([...BUILTIN_SIGNERS.keys(), ...customSigners]);
  }

  /** The labels of signers, without that of unknown ones. */
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
      // Each is counted in its shortest term, and the terms are accumulated below.
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
    report: (set: (labels: Record<string, string>, value: number) => void, signer: string, all: IssuedSummary) => void,
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
    "Certificates that were issued, have not ended and were not replaced, by signer and by what they have left at most.",
    ["signer", "ends_within"],
    (set, signer, { within }) => {
      for (const [index, [term]] of TERMS.entries()) set({ signer, ends_within: term }, within[index] ?? 0);
    },
  );
  gauge(
    "tlsboot_issued_certificates_overdue",
    "Those that are past nine tenths of their life. A kubelet renews before that.",
    ["signer"],
    (set, signer, { overdue }) => set({ signer }, overdue),
  );
  gauge(
    "tlsboot_issued_certificate_expiry_timestamp_seconds",
    "When the one of them ends that ends soonest, by signer, in seconds since 1970.",
    ["signer"],
    (set, signer, { soonest }) => {
      if (soonest !== Infinity) set({ signer }, soonest);
    },
  );
}
