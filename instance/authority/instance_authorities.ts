/**
 * Loads the CAs of an instance: one for everything or one for each purpose, and the CAs that replace them in a
 * rotation.
 */
import type { CaRotation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { DAY_MS } from "../../core/lib/duration.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { type CertificateChain, encodeTrust, getIntermediates } from "../../core/pki/x509/ca_bundle.ts";
import { parseRotatedCas } from "../../core/ca_rotation/rotation_rules.ts";
import { getTrustStep, listTrustedCas } from "../../core/ca_rotation/trust.ts";
import type { FilePort } from "../../client/files.ts";
import { completeCaSwap, readCasOnDisk, toSlotPaths } from "./ca_swap.ts";
import { type AuthorityDeps, createSingleAuthority, hasSplitAuthorities, readAuthority } from "./files.ts";
import { assertCrlUrls, authorityPaths, CA_PURPOSES, type CaPurpose, getCaName, toCrlUrl } from "./layout.ts";

/** A CA whose client certificates the API accepts. Its key may be elsewhere. */
export interface ClientCa {
  readonly chain: CertificateChain;
  readonly certificateFile: string;
}

/** The current CAs of a server, by their use. */
export interface InstanceAuthorities {
  /** The CA that signs the server's own certificate. */
  readonly serving: Authority;
  /** The CA that signs certificates of administrators. */
  readonly client: Authority;
  /**
   * The certificates that clients trust for the server, as PEM: both CAs during a rotation, beginning with the one that
   * signs.
   */
  readonly trustPem: string;
  readonly clientCas: readonly ClientCa[];
}

/** The rotations of CAs by the name of the CA, such as `ca`. */
export type CaRotations = ReadonlyMap<string, CaRotation>;

const NEW_CA = {
  commonName: "tlsboot-ca",
  keyAlgorithm: "ecdsa-p256",
  lifetimeMs: 3650 * DAY_MS,
  isEncrypted: false,
} as const;
const CLIENT_PURPOSES: readonly CaPurpose[] = ["client", "kubelet-client"];

/** The current CAs of a running server. `reload` changes each property, so read it at each use. */
export class LiveAuthorities implements InstanceAuthorities {
  /** The purposes that have a CA; only `serving` if that CA is used for everything. */
  readonly purposes: readonly CaPurpose[];
  readonly #root: string;
  readonly #deps: Pick<AuthorityDeps, "files" | "keys">;
  readonly #crlUrl: string | undefined;
  readonly #listeners = new Set<() => void>();
  #now: InstanceAuthorities | undefined;
  #version = 0;

  constructor(
    root: string,
    purposes: readonly CaPurpose[],
    deps: Pick<AuthorityDeps, "files" | "keys">,
    crlUrl: string | undefined,
  ) {
    this.#root = root;
    this.purposes = purposes;
    this.#deps = deps;
    this.#crlUrl = crlUrl;
  }

  /** The number of reloads so far. */
  get version(): number {
    return this.#version;
  }

  get serving(): Authority {
    return this.#loaded.serving;
  }

  get client(): Authority {
    return this.#loaded.client;
  }

  get trustPem(): string {
    return this.#loaded.trustPem;
  }

  get clientCas(): readonly ClientCa[] {
    return this.#loaded.clientCas;
  }

  /** Calls the listener after each reload, until the result is disposed. */
  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Reads the CAs again, for the current state of their rotations. Throws as `readAuthority`. */
  async reload(rotations: CaRotations): Promise<void> {
    const single = await this.#read("serving");
    const client = this.purposes.includes("client") ? await this.#read("client") : single;
    const trusted = await listTrusted(this.#root, "serving", rotations, this.#deps.files);
    this.#now = {
      serving: withCrossSigned(single, rotations.get(getCaName("serving"))),
      client,
      trustPem: encodeTrust(...trusted.map(({ chain }) => chain)),
      clientCas: await readClientCas(this.#root, this.#deps.files, rotations),
    };
    this.#version += 1;
    for (const listener of this.#listeners) listener();
  }

  get #loaded(): InstanceAuthorities {
    if (this.#now === undefined) throw new Error("the CAs of the instance are not loaded");
    return this.#now;
  }

  async #read(purpose: CaPurpose): Promise<Authority> {
    const paths = authorityPaths(this.#root, purpose);
    const authority = await readAuthority(paths, this.#deps.files, this.#deps.keys);
    const crlUrl = toCrlUrl(this.#crlUrl, paths.certificate);
    return crlUrl === undefined ? authority : { ...authority, crlUrl };
  }
}

/**
 * Adds the cross-signed CA to the intermediates of the new CA while both are trusted, so that a client that trusts only
 * the old one accepts the server's certificate.
 */
function withCrossSigned(authority: Authority, rotation: CaRotation | undefined): Authority {
  if (rotation === undefined || getTrustStep(rotation.spec) !== "Switch") return authority;
  const cas = parseRotatedCas(rotation.spec);
  if (!cas.ok || cas.value.crossSigned === undefined) return authority;
  const { newCa, oldCa, crossSigned } = cas.value;
  if (authority.certificate.sha256Fingerprint !== newCa.certificate.sha256Fingerprint) return authority;
  const intermediates = [...authority.intermediates, crossSigned.certificate, ...getIntermediates(oldCa)];
  return { ...authority, intermediates };
}

/**
 * Reads the CAs of a data directory, and creates one for everything if there is none. A swap of a CA's files that a
 * killed process left unfinished is completed first. With `crlUrl`, issued certificates refer to a CRL. Throws as
 * `readAuthority`, AppError `io`, and AppError `usage` for CAs that would share a CRL.
 */
export async function ensureAuthorities(
  root: string,
  deps: AuthorityDeps,
  crlUrl?: string,
): Promise<{ readonly authorities: LiveAuthorities; readonly created: boolean }> {
  const { files } = deps;
  for (const purpose of CA_PURPOSES) {
    await completeCaSwap(authorityPaths(root, purpose), files);
  }
  const isNew = await files.lstat(authorityPaths(root).certificate) === undefined;
  if (isNew) await createSingleAuthority(root, NEW_CA, deps);
  const split = await hasSplitAuthorities(root, files);
  assertCrlUrls(crlUrl, split ? [authorityPaths(root).certificate, authorityPaths(root, "client").certificate] : []);
  const authorities = new LiveAuthorities(root, split ? CA_PURPOSES : ["serving"], deps, crlUrl);
  await authorities.reload(new Map());
  return { authorities, created: isNew };
}

/**
 * Reads the CAs whose client certificates the API of a data directory accepts. Without `rotations`, the files show
 * which CAs are being replaced. Throws AppError `not_found` and `ca_invalid`.
 */
export async function readClientCas(
  root: string,
  files: FilePort,
  rotations: CaRotations = new Map(),
): Promise<readonly ClientCa[]> {
  const clientCas: ClientCa[] = [];
  for (const purpose of await hasSplitAuthorities(root, files) ? CLIENT_PURPOSES : ["serving"] as const) {
    clientCas.push(...await listTrusted(root, purpose, rotations, files));
  }
  return clientCas;
}

/** Reads the certificates that clients of the API trust, as PEM; those of both CAs during a rotation. */
export async function readTrustPem(root: string, files: FilePort): Promise<string> {
  const trusted = await listTrusted(root, "serving", new Map(), files);
  return encodeTrust(...trusted.map(({ chain }) => chain));
}

async function listTrusted(
  root: string,
  purpose: CaPurpose,
  rotations: CaRotations,
  files: FilePort,
): Promise<readonly ClientCa[]> {
  const paths = authorityPaths(root, purpose);
  const disk = await readCasOnDisk(paths, files);
  return listTrustedCas(rotations.get(getCaName(purpose)), disk).map((chain) => ({
    chain,
    certificateFile: findFile(chain),
  }));

  function findFile({ certificate: { sha256Fingerprint } }: CertificateChain): string {
    const slot = (["next", "old"] as const).find((one) =>
      disk[one]?.certificate.sha256Fingerprint === sha256Fingerprint &&
      disk.current.certificate.sha256Fingerprint !== sha256Fingerprint
    );
    return (slot === undefined ? paths : toSlotPaths(paths, slot)).certificate;
  }
}
