/**
 * The CRLs of an instance: one for each CA whose key it has, in `pki/<ca>.crl` and for `GET /pki/<ca>.crl`. Each is
 * created at the start, after each revocation, and once a day.
 */
import { basename } from "node:path";
import { setImmediate } from "node:timers/promises";
import { type FilePort, PUBLIC_MODE } from "../../client/files.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { createCrl, type CrlFacts, findCrlSignFault, isCrlOf, parseCrl } from "../../core/pki/authority/crl.ts";
import { encodePem, findPemBlock } from "../../core/pki/asn1/pem.ts";
import type { Clock, Logger, Random } from "../../core/ports.ts";
import { isCrlDue, planNextCrl, type RevokedCertificate } from "../../core/revocation/crl_plan.ts";
import type { PublishedCrls, Storage } from "../../server/mod.ts";
import { followRevokedCertificates } from "../../server/revocation/revocations.ts";
import { type AuthorityPaths, getCrlPath } from "../authority/layout.ts";

/** The adapters for creating CRLs. */
interface CrlDeps {
  readonly files: Pick<FilePort, "readText" | "writeAtomic" | "unlink">;
  readonly clock: Pick<Clock, "now" | "sleep">;
  readonly random: Random;
  readonly logger: Logger;
}

/** The CRLs of a running instance. Disposing it waits for a CRL that is being created. */
export interface CrlFiles extends PublishedCrls, AsyncDisposable {
  /**
   * Begins to create and serve the CRLs of a CA; the first one is created now. The CA is read for each CRL, and none is
   * created while it is missing.
   */
  add(paths: AuthorityPaths, authority: () => Promise<Authority | undefined>): Promise<void>;
  /** Stops creating and serving the CRLs of a CA that is no longer trusted, and removes its file. */
  remove(paths: AuthorityPaths): Promise<void>;
  /** Creates the CRLs that are due or have failed. Called each minute. */
  renew(): Promise<void>;
}

/** The label of a CRL in PEM (RFC 7468 §5). */
export const CRL_LABEL = "X509 CRL";
/** The pause after each CRL, so that a burst of revocations does not create a CRL for each. */
const PAUSE_MS = 1_000;

/** A CRL that was written. */
interface WrittenCrl {
  /** The SHA-256 (hex) of its CA's certificate. */
  readonly issuer: string;
  readonly der: Uint8Array<ArrayBuffer>;
  readonly facts: Pick<CrlFacts, "number" | "thisUpdate">;
}

/** The CA and the contents of a CRL. */
interface CrlSource {
  /** The path of the CRL. The number of the next CRL follows the one in this file. */
  readonly path: string;
  readonly authority: Authority;
  /** The revoked certificates of the CA. */
  readonly revoked: readonly RevokedCertificate[];
  /** The number and time of the previous CRL. If absent, they are read from the file. */
  readonly previous?: Pick<CrlFacts, "number" | "thisUpdate"> | undefined;
}

/** Creates the next CRL of a CA and writes it to its file as PEM. Rejects as the key and the file do. */
export async function writeNextCrl(
  { path, authority, revoked, previous }: CrlSource,
  { files, clock, random }: Pick<CrlDeps, "files" | "random"> & { readonly clock: Pick<Clock, "now"> },
): Promise<WrittenCrl> {
  // Other work runs between the steps: each takes up to 30 ms for a hundred thousand entries.
  const pause = (): Promise<void> => setImmediate();
  const before = previous ?? readPrevious(authority, await files.readText(path));
  await pause();
  const plan = planNextCrl({ revoked, previous: before, now: clock.now(), random: random.bytes(2) });
  const der = await createCrl(plan, authority, pause);
  await pause();
  await files.writeAtomic(path, encodePem(CRL_LABEL, der), PUBLIC_MODE);
  return { issuer: authority.certificate.sha256Fingerprint, der, facts: plan };
}

/** Reads the CRL of a CA from the text of its file; undefined when there is none or it is another CA's. */
function readPrevious({ certificate }: Authority, text: string | undefined): CrlFacts | undefined {
  const found = text === undefined ? undefined : findPemBlock(text);
  if (found === undefined || found.block.label !== CRL_LABEL) return undefined;
  const facts = parseCrl(found.block.bytes);
  return facts.ok && isCrlOf(facts.value, certificate) ? facts.value : undefined;
}

/** Opens the CRLs over the revoked certificates of a storage, which it follows. */
export async function openCrlFiles(storage: Pick<Storage, "list" | "watch">, deps: CrlDeps): Promise<CrlFiles> {
  const published = new Map<string, CrlFile>();
  const revoked = await followRevokedCertificates(storage, () => {
    for (const file of published.values()) void file.update();
  });
  return {
    find: (name) => published.get(name)?.der,
    async add(paths, authority) {
      const path = getCrlPath(paths);
      const file = new CrlFile(
        {
          path,
          authority,
          listRevoked: ({ certificate }) => revoked.list(certificate.sha256Fingerprint),
        },
        deps,
      );
      published.set(basename(path), file);
      const ca = await authority();
      const fault = ca === undefined ? undefined : findCrlSignFault(ca.certificate);
      if (fault !== undefined) deps.logger.info("other programs refuse the CRL of a CA", { path, reason: fault });
      await file.update();
    },
    async remove(paths) {
      const path = getCrlPath(paths);
      const file = published.get(basename(path));
      published.delete(basename(path));
      await file?.[Symbol.asyncDispose]();
      // On a read-only file system, even removing a missing file fails.
      if (await deps.files.readText(path) !== undefined) await deps.files.unlink(path);
    },
    async renew() {
      for (const file of published.values()) await file.renew();
    },
    async [Symbol.asyncDispose]() {
      revoked[Symbol.dispose]();
      for (const file of published.values()) await file[Symbol.asyncDispose]();
    },
  };
}

interface CrlFileOptions {
  readonly path: string;
  readonly authority: () => Promise<Authority | undefined>;
  readonly listRevoked: (authority: Authority) => readonly RevokedCertificate[];
}

/** The CRL of one CA. Only one is created at a time; a change in the meantime leads to another one afterwards. */
class CrlFile implements AsyncDisposable {
  readonly #options: CrlFileOptions;
  readonly #deps: CrlDeps;
  readonly #stopping = new AbortController();
  #current: WrittenCrl | undefined;
  /** True when something was revoked after the current CRL was created. */
  #isOutdated = false;
  /** True when the last attempt failed; the next check, within a minute, tries again. */
  #isFailed = false;
  #making: Promise<void> = Promise.resolve();
  #isMaking = false;

  constructor(options: CrlFileOptions, deps: CrlDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  get der(): Uint8Array | undefined {
    return this.#current?.der;
  }

  /**
   * Creates a new CRL and resolves when that is done. While one is being created, it resolves at once, and the new one
   * follows.
   */
  update(): Promise<void> {
    this.#isOutdated = true;
    if (this.#isMaking) return Promise.resolve();
    this.#isMaking = true;
    const first = this.#make();
    this.#making = first.then(() => this.#makeMore());
    return first;
  }

  async renew(): Promise<void> {
    const isDue = this.#current === undefined || isCrlDue(this.#current.facts, this.#deps.clock.now());
    if (this.#isFailed || isDue || await this.#isOfOtherCa()) await this.update();
  }

  /** Reports whether the CA was replaced after the current CRL was created. */
  async #isOfOtherCa(): Promise<boolean> {
    try {
      const ca = await this.#options.authority();
      return ca !== undefined && ca.certificate.sha256Fingerprint !== this.#current?.issuer;
    } catch {
      // The next CRL that is due reports the fault.
      return false;
    }
  }

  /** Waits for a CRL that is being created. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error("the CRL files are closed"));
    await this.#making;
  }

  async #make(): Promise<void> {
    const { path, authority, listRevoked } = this.#options;
    // A failed attempt may have replaced the file, which is read again so that no two CRLs get the same number.
    const previous = this.#isFailed ? undefined : this.#current?.facts;
    this.#isOutdated = false;
    this.#isFailed = false;
    try {
      const ca = await authority();
      if (ca === undefined) return;
      this.#current = await writeNextCrl({ path, authority: ca, revoked: listRevoked(ca), previous }, this.#deps);
      this.#deps.logger.debug("CRL written", { path });
    } catch (error) {
      this.#isFailed = true;
      this.#deps.logger.error("cannot make a CRL, trying again", { path, error });
    }
  }

  async #makeMore(): Promise<void> {
    const stopping = this.#stopping.signal;
    try {
      await this.#deps.clock.sleep(PAUSE_MS, stopping);
      // No await may come between the last check and the end, or a change in between would be missed.
      while (this.#isOutdated) {
        await this.#make();
        await this.#deps.clock.sleep(PAUSE_MS, stopping);
      }
    } catch (error) {
      if (!stopping.aborted) throw error;
    } finally {
      this.#isMaking = false;
    }
  }
}
