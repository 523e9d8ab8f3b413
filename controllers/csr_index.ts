/** Indexes the approved requests by requester from the changes of a store, for rate limits and renewals. */
import { isApproved } from "../core/csr/phase.ts";
import type { CertificateSigningRequest } from "../core/kube/certificates_v1.ts";
import { getName } from "../core/kube/meta.ts";
import type { CsrStore, ObjectChange } from "../core/ports.ts";

/** An index of the approved requests of each requester. */
export interface CsrIndex {
  /** Passes on the store's changes and records each in the index. */
  changes(signal: AbortSignal): AsyncIterable<ObjectChange<CertificateSigningRequest>>;
  /** Records an object that was just written, before its change arrives. */
  put(csr: CertificateSigningRequest): void;
  listApproved(username: string): Iterable<CertificateSigningRequest>;
}

/** Creates an index over a store. It holds no pending requests, so its size does not depend on their number. */
export function createCsrIndex(store: Pick<CsrStore, "changes">): CsrIndex {
  const approved = new Map<string, Map<string, CertificateSigningRequest>>();
  const requesters = new Map<string, string>();

  function put(csr: CertificateSigningRequest): void {
    const name = getName(csr);
    remove(name);
    if (!isApproved(csr)) return;
    const { username = "" } = csr.spec;
    const own = approved.get(username) ?? new Map<string, CertificateSigningRequest>();
    own.set(name, csr);
    approved.set(username, own);
    requesters.set(name, username);
  }

  function remove(name: string): void {
    const username = requesters.get(name);
    if (username === undefined) return;
    requesters.delete(name);
    const own = approved.get(username);
    own?.delete(name);
    if (own?.size === 0) approved.delete(username);
  }

  return {
    put,
    listApproved: (username) => approved.get(username)?.values() ?? [],
    async *changes(signal) {
      // A watch that starts again reports the existing objects, but not those deleted in between.
      const missing = new Set(requesters.keys());
      for await (const change of store.changes(signal)) {
        if (change.kind === "synced") {
          missing.forEach(remove);
          missing.clear();
        } else {
          missing.delete(getName(change.object));
          if (change.kind === "deleted") remove(getName(change.object));
          else put(change.object);
        }
        yield change;
      }
    },
  };
}
