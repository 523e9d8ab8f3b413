/**
 * Two admission plugins for certificate signing requests that kube-apiserver does not have: a limit of open requests for
 * one requester, and a warning about a signer that no known program runs. Both are off unless they are configured.
 */
import { shellWord } from "../../core/lib/shell_word.ts";
import { describeMissingSigner } from "../../core/request/missing_signer.ts";
import { getCsrPhase, hasCertificate } from "../../core/request/phase.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { certificateSigningRequestKind } from "../../core/kube/kinds/mod.ts";
import { goQuote } from "../../core/lib/quote.ts";
import { tooManyRequests } from "../../core/kube/status/status.ts";
import type { Clock } from "../../core/ports.ts";
import { followResource, type ResourceFollower } from "../storage/follow.ts";
import type { Storage, Stored } from "../storage/storage.ts";
import type { AdmissionPlugin } from "./admission.ts";

/** The settings of the two plugins. */
export interface SigningRequestLimits {
  /** The largest number of open requests of one requester; 0 for no limit. */
  readonly maxOpenPerRequester: number;
  /** Returns the signers that run in this process; undefined where none runs, and then nothing is warned about. */
  readonly servedSigners: (() => readonly string[]) | undefined;
}

/** The plugins, over an index of the stored requests that follows them until it is disposed. */
export interface SigningRequestPlugins extends Disposable {
  readonly plugins: readonly AdmissionPlugin[];
}

const PREFIX = "/registry/certificatesigningrequests/";

/** How long a creation that was admitted counts before its object is seen; some creations fail after admission. */
const RESERVED_MS = 5_000;
/** After this many seconds a refused requester may try again, as for other answers with 429. */
const RETRY_AFTER_SECONDS = 1;

/** Creates the plugins that the settings ask for, and follows the storage if there are any. */
export async function createSigningRequestPlugins(
  { maxOpenPerRequester, servedSigners }: SigningRequestLimits,
  { storage, clock }: { readonly storage: Storage; readonly clock: Clock },
): Promise<SigningRequestPlugins> {
  if (maxOpenPerRequester === 0 && servedSigners === undefined) return { plugins: [], [Symbol.dispose]: () => {} };
  const index = new RequestIndex(clock);
  const watch = await followResource(storage, PREFIX, index);
  return {
    plugins: [
      ...(maxOpenPerRequester === 0 ? [] : [createOpenRequestLimit(index, maxOpenPerRequester)]),
      ...(servedSigners === undefined ? [] : [createSignerWarning(index, servedSigners)]),
    ],
    [Symbol.dispose]: () => watch.stop(),
  };
}

/** The open requests of each requester, and the signers that have issued certificates. */
class RequestIndex implements ResourceFollower<CertificateSigningRequest> {
  readonly #clock: Pick<Clock, "elapsedMs">;
  readonly #requesters = new Map<string, string>();
  readonly #open = new Map<string, Set<string>>();
  /** Creations that were admitted and not seen yet, by requester: the name and when it stops to count. */
  readonly #reserved = new Map<string, Map<string, number>>();
  readonly #issuing = new Set<string>();

  constructor(clock: Pick<Clock, "elapsedMs">) {
    this.#clock = clock;
  }

  clear(): void {
    this.#requesters.clear();
    this.#open.clear();
  }

  added(name: string, { object: csr }: Stored<CertificateSigningRequest>): void {
    const { username = "", signerName } = csr.spec;
    this.#reserved.get(username)?.delete(name);
    if (hasCertificate(csr)) this.#issuing.add(signerName);
    this.removed(name);
    if (getCsrPhase(csr).kind !== "pending") return;
    const own = this.#open.get(username) ?? new Set();
    this.#open.set(username, own.add(name));
    this.#requesters.set(name, username);
  }

  removed(name: string): void {
    const requester = this.#requesters.get(name);
    if (requester === undefined) return;
    this.#requesters.delete(name);
    const own = this.#open.get(requester);
    own?.delete(name);
    if (own?.size === 0) this.#open.delete(requester);
  }

  countOpen(requester: string): number {
    const now = this.#clock.elapsedMs();
    const reserved = this.#reserved.get(requester);
    for (const [name, until] of reserved ?? []) if (until <= now) reserved?.delete(name);
    if (reserved?.size === 0) this.#reserved.delete(requester);
    return (this.#open.get(requester)?.size ?? 0) + (reserved?.size ?? 0);
  }

  reserve(requester: string, name: string): void {
    const own = this.#reserved.get(requester) ?? new Map<string, number>();
    this.#reserved.set(requester, own.set(name, this.#clock.elapsedMs() + RESERVED_MS));
  }

  hasIssued(signerName: string): boolean {
    return this.#issuing.has(signerName);
  }
}

/** Creates the limit: a creation beyond it is answered with 429 and Retry-After. */
function createOpenRequestLimit(index: RequestIndex, limit: number): AdmissionPlugin {
  return {
    name: "OpenRequestLimit",
    kinds: [certificateSigningRequestKind],
    validate({ operation, user, name }) {
      if (operation !== "CREATE") return undefined;
      const { username } = user;
      const open = index.countOpen(username);
      if (open >= limit) {
        throw tooManyRequests(
          `${goQuote(username)} has ${open} open certificate signing requests, and this server allows ${limit}: ` +
            `wait until one is decided; an administrator deletes them with tlsboot delete csr --pending --requester ${
              shellWord(username)
            }`,
          RETRY_AFTER_SECONDS,
        );
      }
      index.reserve(username, name);
      return undefined;
    },
  };
}

/**
 * Creates the warning. A signer that has issued a certificate while the server was running is known too, so that one
 * that runs elsewhere is warned about only until its first certificate.
 */
function createSignerWarning(index: RequestIndex, servedSigners: () => readonly string[]): AdmissionPlugin {
  return {
    name: "SignerWarning",
    kinds: [certificateSigningRequestKind],
    validate({ operation, object, onWarning }) {
      if (operation !== "CREATE") return undefined;
      const { signerName } = (object as CertificateSigningRequest).spec;
      if (!servedSigners().includes(signerName) && !index.hasIssued(signerName)) {
        onWarning?.(
          `no signer for ${goQuote(signerName)} runs in this server: without one the request gets no certificate; ` +
            describeMissingSigner(signerName),
        );
      }
      return undefined;
    },
  };
}
