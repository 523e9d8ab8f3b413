/**
 * Records the answers of a tortured server, and whether later answers agree with them. It has no sockets, files or
 * clock, so that a test can present a broken promise to it.
 */
import { createHash } from "node:crypto";
import type { KubeObject } from "../../core/kube/meta.ts";
import { findIssued, type IssuedFor } from "./register_audit.ts";

/** An object as an answer shows it; only requests have a certificate. */
export type Shown = KubeObject & { readonly status?: { readonly certificate?: string } };

export interface LedgerCounts {
  readonly certificates: number;
  readonly writes: number;
  readonly deletions: number;
  /** Different states of objects that were shown. */
  readonly states: number;
}

interface Promised {
  readonly resource: string;
  readonly what: string;
  readonly certificate: string | undefined;
}

/** The objects that must be in a list that is requested now. */
export interface Expectation {
  readonly present: ReadonlyMap<string, Promised>;
  readonly gone: ReadonlySet<string>;
}

/** The memory of all clients together. Each way to break a promise adds a line to `violations`. */
export class Ledger {
  readonly violations: string[] = [];
  /** The newest revision that a client has seen. */
  #newest = 0;
  #writes = 0;
  /** Digest of the state that each revision shows, by resource and revision. */
  readonly #states = new Map<string, string>();
  readonly #promised = new Map<string, Promised>();
  readonly #certificateDigests = new Map<string, string>();
  readonly #issued: IssuedFor[] = [];
  readonly #deleting = new Set<string>();
  readonly #deleted = new Set<string>();
  /** Revisions of acknowledged writes by resource, for the histories of the watchers. */
  readonly #acknowledged = new Map<string, number[]>();
  /** The newest revision by observer. */
  readonly #observed = new Map<string, number>();

  get newest(): number {
    return this.#newest;
  }

  get counts(): LedgerCounts {
    return {
      certificates: this.#certificateDigests.size,
      writes: this.#writes,
      deletions: this.#deleted.size,
      states: this.#states.size,
    };
  }

  /** Some client was shown an object: in a list, by a watch, or as an answer. */
  show(resource: string, object: Shown): void {
    const revision = parseObjectRevision(object);
    const uid = object.metadata.uid ?? "";
    const what = describe(resource, object);
    this.#newest = Math.max(this.#newest, revision);
    const state = toObjectDigest(object);
    const known = this.#states.get(`${resource} ${revision}`);
    if (known === undefined) this.#states.set(`${resource} ${revision}`, state);
    else if (known !== state) this.violations.push(`${what}: revision ${revision} shows two different states`);
    this.#showCertificate(uid, { resource, what, certificate: object.status?.certificate });
  }

  /** A write was acknowledged. `newestBefore` is `newest` from before it was requested. */
  acknowledge(resource: string, object: Shown, newestBefore: number): void {
    const revision = parseObjectRevision(object);
    const what = describe(resource, object);
    if (revision <= newestBefore) {
      this.violations.push(`${what}: was written at revision ${revision}, after ${newestBefore} had been seen`);
    }
    this.#writes++;
    this.show(resource, object);
    const uid = object.metadata.uid ?? "";
    if (!this.#promised.has(uid)) this.#promised.set(uid, { resource, what, certificate: undefined });
    const revisions = this.#acknowledged.get(resource);
    if (revisions === undefined) this.#acknowledged.set(resource, [revision]);
    else revisions.push(revision);
  }

  /** Announces a deletion: until its answer the object may exist or not. */
  beginDeletion(uid: string): void {
    this.#deleting.add(uid);
  }

  /** The deletion was acknowledged: the object must never come back. */
  acknowledgeDeletion(uid: string): void {
    this.#deleted.add(uid);
  }

  /** Records that an observer, which sends one request after the other, has seen a revision of a whole list. */
  observe(observer: string, revision: number): void {
    const before = this.#observed.get(observer) ?? 0;
    if (revision < before) this.violations.push(`${observer}: the revision went back from ${before} to ${revision}`);
    this.#observed.set(observer, Math.max(before, revision));
    this.#newest = Math.max(this.#newest, revision);
  }

  /** Returns the objects that a list of a resource must show from now on. */
  expect(resource: string): Expectation {
    const present = [...this.#promised].filter(([, promised]) => promised.resource === resource);
    return { present: new Map(present), gone: new Set(this.#deleted) };
  }

  /** Returns the certificates that were shown so far, also those of deleted requests. */
  listShownCertificates(): readonly IssuedFor[] {
    return [...this.#issued];
  }

  /** Compares a whole list with what was expected before it was requested. */
  compare({ present, gone }: Expectation, objects: readonly Shown[]): void {
    const found = new Map(objects.map((object) => [object.metadata.uid ?? "", object]));
    for (const uid of gone) {
      if (found.has(uid)) this.violations.push(`${present.get(uid)?.what ?? uid}: was deleted, and is back`);
    }
    for (const [uid, { what, certificate }] of present) {
      if (this.#deleting.has(uid)) continue;
      const object = found.get(uid);
      if (object === undefined) this.violations.push(`${what}: was acknowledged, and is lost`);
      else if (certificate !== undefined && object.status?.certificate !== certificate) {
        this.violations.push(`${what}: its certificate was shown, and is lost`);
      }
    }
  }

  /** The newest acknowledged write of a resource since the last `takeAcknowledged`; 0 for none. */
  newestAcknowledged(resource: string): number {
    return Math.max(0, ...this.#acknowledged.get(resource) ?? []);
  }

  /** Takes over revisions of acknowledged writes of a resource, up to one that is verified now. */
  takeAcknowledged(resource: string, upTo: number): readonly number[] {
    const all = this.#acknowledged.get(resource) ?? [];
    this.#acknowledged.set(resource, all.filter((revision) => revision > upTo));
    return all.filter((revision) => revision <= upTo);
  }

  #showCertificate(uid: string, promised: Promised): void {
    if (promised.certificate === undefined) return;
    const known = this.#certificateDigests.get(uid);
    const digest = createHash("sha256").update(promised.certificate).digest("hex");
    if (known === undefined) {
      this.#certificateDigests.set(uid, digest);
      this.#promised.set(uid, promised);
      this.#issued.push(findIssued(promised.what, uid, promised.certificate)!);
    } else if (known !== digest) {
      this.violations.push(`${promised.what}: was signed twice, two different certificates were shown`);
    }
  }
}

/** The `resourceVersion` as a number. */
export function parseObjectRevision(object: KubeObject): number {
  return Number(object.metadata.resourceVersion);
}

function describe(resource: string, { metadata: { namespace, name } }: KubeObject): string {
  return `${resource} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
}

/** Items of lists have neither kind nor version, so both are left out. */
function toObjectDigest({ kind: _kind, apiVersion: _apiVersion, ...rest }: Shown): string {
  return createHash("sha256").update(JSON.stringify(rest)).digest("base64");
}
