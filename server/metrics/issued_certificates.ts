/**
 * Tracks issued certificates, each until it expires or the same subject gets a newer one from the same signer, because their
 * requests are cleaned up within an hour or two. A certificate is renewed by a new request for the same subject, so one that
 * is still tracked late in its life has not been renewed.
 */
import { createHash } from "node:crypto";
import { Counter, Gauge } from "prom-client";
import type { CertificateFacts } from "../../core/pki/certificate.ts";
import { formatName } from "../../core/pki/names.ts";
import type { Clock } from "../../core/ports.ts";
import { BUILTIN_SIGNERS } from "../../core/signing/profile.ts";
import type { MetricsRegistry } from "./registry.ts";

/** An issued certificate as it is tracked, and saved in a file. Times are in seconds since 1970. */
export interface KnownCertificate {
  readonly signerName: string;
  /** The subject, or the alternative names when it is empty; a long text is cut and ends with its digest. */
  readonly subject: string;
  readonly since: number;
  readonly until: number;
}

/** The figures about the certificates of one signer. */
export interface IssuedSummary {
  /** The number that expires within each of `TERMS`. */
  readonly within: readonly number[];
  readonly overdue: number;
  /** The soonest expiry in seconds since 1970; Infinity when there are none. */
  readonly soonest: number;
}

type Life = Pick<KnownCertificate, "since" | "until">;

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
/** The limit, at about 150 bytes each: otherwise a client with an approver could fill the memory with names. */
const MAX_CERTIFICATES = 250_000;
const MAX_SUBJECT_LENGTH = 200;

/** The tracked certificates. They are in memory only; `entries` and `restore` save and load them. */
export class IssuedCertificates {
  readonly #bySigner = new Map<string, Map<string, Life>>();
  readonly #labels: ReadonlySet<string>;
  readonly #maxCertificates: number;
  /** The labels of signers that were reported before, so that a signer without certificates is reported as zero. */
  readonly #reported = new Set<string>();
  #size = 0;
  /** How many certificates were not tracked because there were too many. */
  untracked = 0;
  /** A counter that grows with each new certificate. */
  version = 0;
  /** Adds the certificates of existing requests that were not parsed yet; set by `followRequests`, and may fail. */
  catchUp: () => Promise<void> = () => Promise.resolve();

  /** Signers that are neither built in nor in `ownSigners` have the label `other`. */
  constructor(ownSigners: readonly string[] = [], most: number = MAX_CERTIFICATES) {
    this.#labels = new Set([...BUILTIN_SIGNERS.keys(), ...ownSigners]);
    this.#maxCertificates = most;
  }

  get size(): number {
    return this.#size;
  }

  /** Returns the label of a signer. */
  getSignerLabel(signerName: string): string {
    return this.#labels.has(signerName) ? signerName : "other";
  }

  /** Adds an issued certificate in place of an older one of the same subject. */
  add(signerName: string, leaf: CertificateFacts): void {
    const [since, until] = [leaf.notBefore, leaf.notAfter].map((date) => Math.floor(date.getTime() / 1000));
    this.restore({ signerName, subject: toSubjectText(leaf), since: since ?? 0, until: until ?? 0 });
  }

  /** Adds a certificate that was saved before, in the same way. */
  restore({ signerName, subject, since, until }: KnownCertificate): void {
    const own = this.#bySigner.get(signerName) ?? new Map<string, Life>();
    const known = own.get(subject);
    if (known === undefined && this.#size >= this.#maxCertificates) {
      this.untracked += 1;
      return;
    }
    if (known !== undefined && (known.since > since || (known.since === since && known.until >= until))) return;
    if (known === undefined) this.#size += 1;
    this.#bySigner.set(signerName, own.set(subject, { since, until }));
    this.version += 1;
  }

  /** Drops the expired certificates and sums up the others. */
  summarize(now: Date): ReadonlyMap<string, IssuedSummary> {
    const seconds = now.getTime() / 1000;
    for (const signerName of this.#bySigner.keys()) this.#reported.add(this.getSignerLabel(signerName));
    const summaries = new Map([...this.#reported].map((label) => [label, createEmptySummary()]));
    for (const [signerName, own] of this.#bySigner) {
      const summary = summaries.get(this.getSignerLabel(signerName)) ?? createEmptySummary();
      for (const [subject, life] of own) {
        const left = life.until - seconds;
        if (left <= 0) {
          own.delete(subject);
          this.#size -= 1;
          continue;
        }
        // Each is counted in its shortest term, and the terms are accumulated below.
        const term = TERMS.findIndex(([, atMost]) => left <= atMost);
        summary.within[term] = (summary.within[term] ?? 0) + 1;
        if (getDueTime(life) <= seconds) summary.overdue += 1;
        if (life.until < summary.soonest) summary.soonest = life.until;
      }
      if (own.size === 0) this.#bySigner.delete(signerName);
    }
    for (const { within } of summaries.values()) {
      within.forEach((count, index) => within[index] = count + (within[index - 1] ?? 0));
    }
    return summaries;
  }

  /** Yields the unexpired certificates whose renewal became overdue between two moments. */
  *becameOverdue(after: Date, now: Date): Generator<KnownCertificate> {
    const [from, to] = [after.getTime() / 1000, now.getTime() / 1000];
    for (const entry of this.entries()) {
      const due = getDueTime(entry);
      if (from < due && due <= to && entry.until > to) yield entry;
    }
  }

  /** Yields every tracked certificate, to be saved. */
  *entries(): Generator<KnownCertificate> {
    for (const [signerName, own] of this.#bySigner) {
      for (const [subject, { since, until }] of own) yield { signerName, subject, since, until };
    }
  }
}

function createEmptySummary() {
  return { within: TERMS.map(() => 0), overdue: 0, soonest: Infinity };
}

function getDueTime({ since, until }: Life): number {
  return since + (until - since) * RENEWED_BY;
}

function toSubjectText({ subject, dnsNames, ipAddresses, emailAddresses, uris }: CertificateFacts): string {
  const name = formatName(subject) || [...dnsNames, ...ipAddresses, ...emailAddresses, ...uris].sort().join(",");
  if (name.length <= MAX_SUBJECT_LENGTH) return name;
  return `${name.slice(0, MAX_SUBJECT_LENGTH)}… ${createHash("sha256").update(name).digest("hex")}`;
}

/** Adds the metrics of issued certificates to a registry. If the store cannot be read, they cover the known ones. */
export function addIssuedMetrics(
  registry: MetricsRegistry,
  clock: Pick<Clock, "now">,
  issued: IssuedCertificates,
): void {
  let asked: Promise<ReadonlyMap<string, IssuedSummary>> | undefined;
  // All gauges are collected at the same time, so they share one summary.
  const summaries = () =>
    asked ??= issued.catchUp().catch(() => undefined).then(() => {
      asked = undefined;
      return issued.summarize(clock.now());
    });
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
      async collect() {
        const bySigner = await summaries();
        this.reset();
        for (const [signer, summary] of bySigner) report((labels, value) => this.set(labels, value), signer, summary);
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
    "Those of them that are past nine tenths of their life: kubelets have been given another one by then.",
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
  new Counter({
    name: "tlsboot_issued_certificates_unreported_total",
    help: "Issued certificates that are not reported, because there are too many.",
    registers: [registry],
    collect() {
      this.reset();
      this.inc(issued.untracked);
    },
  });
}
