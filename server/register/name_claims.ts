/**
 * An index of the names in valid certificates, from the register in the same storage and from requests that are
 * approved but not signed yet. The register is read when a policy needs it for the first time, and followed from then
 * on.
 */
import { listRecordedClaims, listRequestClaims } from "../../core/approval/evidence/claims.ts";
import type { NameClaim } from "../../core/approval/evidence/ownership.ts";
import { hasCertificate } from "../../core/request/phase.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { getName } from "../../core/kube/meta.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { Clock } from "../../core/ports.ts";
import { followResource, type ResourceFollower } from "../storage/follow.ts";
import type { Storage, StorageWatch, Stored } from "../storage/storage.ts";
import { REGISTER_PREFIX } from "./register.ts";

/** The prefix of a request's key; a record's key is its name, which has no space. */
const REQUEST_PREFIX = "request ";

/** The names that machines hold. Disposing it stops following the register. */
export class NameClaims implements Disposable, ResourceFollower<IssuedCertificate> {
  readonly #storage: Pick<Storage, "list" | "watch">;
  readonly #clock: Pick<Clock, "now">;
  /** The claims by name, and then by the key of the record or the request. */
  readonly #byName = new Map<string, Map<string, NameClaim>>();
  readonly #namesByKey = new Map<string, readonly string[]>();
  #following: Promise<StorageWatch> | undefined;

  constructor(storage: Pick<Storage, "list" | "watch">, clock: Pick<Clock, "now">) {
    this.#storage = storage;
    this.#clock = clock;
  }

  /** Lists the claims of names. Rejects when the register cannot be read; the next call tries again. */
  async list(names: readonly string[]): Promise<readonly NameClaim[]> {
    this.#following ??= followResource(this.#storage, REGISTER_PREFIX, this).catch((error: unknown) => {
      this.#following = undefined;
      throw error;
    });
    await this.#following;
    return names.flatMap((name) => [...this.#byName.get(name)?.values() ?? []]);
  }

  /** Records a request from the watch or one just written. Its claims stay until the register has its certificate. */
  put(csr: CertificateSigningRequest): void {
    const key = REQUEST_PREFIX + getName(csr);
    if (!hasCertificate(csr)) this.#set(key, listRequestClaims(csr));
    else if (!this.#isUnrecorded(key)) this.#set(key, []);
  }

  remove(name: string): void {
    this.#set(REQUEST_PREFIX + name, []);
  }

  clear(): void {
    for (const key of [...this.#namesByKey.keys()]) if (!key.startsWith(REQUEST_PREFIX)) this.#set(key, []);
  }

  added(name: string, { object }: Stored<IssuedCertificate>): void {
    const now = this.#clock.now();
    const claims = listRecordedClaims(object);
    this.#set(name, claims.filter(({ notAfter }) => notAfter === undefined || now < notAfter));
  }

  removed(name: string): void {
    this.#set(name, []);
  }

  [Symbol.dispose](): void {
    this.#following?.then((watch) => watch.stop(), () => {});
  }

  /** True while the register lacks a certificate with the request's key for one of its claims. */
  #isUnrecorded(key: string): boolean {
    return this.#namesByKey.get(key)?.some((name) => {
      const claims = this.#byName.get(name);
      const fingerprint = claims?.get(key)?.publicKeyFingerprint;
      return ![...claims ?? []].some(([other, claim]) => other !== key && claim.publicKeyFingerprint === fingerprint);
    }) ?? false;
  }

  #set(key: string, claims: readonly NameClaim[]): void {
    for (const name of this.#namesByKey.get(key) ?? []) {
      const known = this.#byName.get(name);
      known?.delete(key);
      if (known?.size === 0) this.#byName.delete(name);
    }
    this.#namesByKey.delete(key);
    if (claims.length === 0) return;
    this.#namesByKey.set(key, claims.map(({ name }) => name));
    for (const claim of claims) {
      const known = this.#byName.get(claim.name) ?? new Map<string, NameClaim>();
      this.#byName.set(claim.name, known.set(key, claim));
    }
  }
}
