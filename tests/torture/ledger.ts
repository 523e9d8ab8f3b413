/**
 * Records what clients were shown if it is not in the history or must be known at once: certificates, counts and the
 * newest revision. All other promises are checked with the history.
 */
import { createHash } from "node:crypto";
import type { KubeObject } from "../../core/kube/meta.ts";
import { findIssued, type IssuedFor } from "./register_audit.ts";

/** An object as an answer shows it; only requests have a certificate. */
export type Shown = KubeObject & {
  readonly status?: {
    readonly certificate?: string;
    readonly conditions?: readonly { readonly type: string; readonly reason?: string; readonly message?: string }[];
  };
};

const BY_HAND = "ByHand";

/**
 * Creates the text of a manual decision, with the uid of its request and the client. If two clients wrote the same text
 * in the same second, the second write would change nothing and have an old revision.
 */
export function toManualDecision(uid: string, client: string): { readonly reason: string; readonly message: string } {
  return { reason: BY_HAND, message: `${uid} by ${client}` };
}

export interface LedgerCounts {
  readonly certificates: number;
  readonly writes: number;
  readonly deletions: number;
}

export class Ledger {
  /** The broken promises, one line each. */
  readonly violations: string[] = [];
  #newest = 0;
  #writes = 0;
  #deletions = 0;
  readonly #certificateDigests = new Map<string, string>();
  readonly #issued: IssuedFor[] = [];

  /** The newest revision that a client has seen. */
  get newest(): number {
    return this.#newest;
  }

  get counts(): LedgerCounts {
    return { certificates: this.#certificateDigests.size, writes: this.#writes, deletions: this.#deletions };
  }

  see(revision: number): void {
    this.#newest = Math.max(this.#newest, revision);
  }

  /** Records an object that a client was shown. */
  show(object: Shown): void {
    this.see(Number(object.metadata.resourceVersion));
    const { uid = "", name } = object.metadata;
    const { certificate, conditions = [] } = object.status ?? {};
    for (const { type, reason, message } of conditions) {
      if (reason === BY_HAND && !message?.startsWith(`${uid} `)) {
        this.violations.push(`${name}: was ${type} in the place of ${message}`);
      }
    }
    if (certificate === undefined) return;
    if (!conditions.some(({ type }) => type === "Approved")) {
      this.violations.push(`${name}: has a certificate, and was not approved`);
    }
    const known = this.#certificateDigests.get(uid);
    const digest = createHash("sha256").update(certificate).digest("hex");
    if (known === undefined) {
      this.#certificateDigests.set(uid, digest);
      this.#issued.push(findIssued(`certificatesigningrequests ${name}`, uid, certificate)!);
    } else if (known !== digest) {
      this.violations.push(`${name}: was signed twice, two different certificates were shown`);
    }
  }

  /** Counts a write or a deletion that was acknowledged. */
  acknowledge(kind: "write" | "deletion"): void {
    if (kind === "write") this.#writes++;
    else this.#deletions++;
  }

  /** Lists the certificates that were shown, including those of deleted requests. */
  listShownCertificates(): readonly IssuedFor[] {
    return [...this.#issued];
  }
}
