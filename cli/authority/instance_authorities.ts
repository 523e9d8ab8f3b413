/** The CAs of an instance: one for everything, or one for each purpose. */
import type { Authority } from "../../core/pki/authority.ts";
import type { CertificateChain } from "../../core/pki/authority_chain.ts";
import type { FilePort } from "../../client/files.ts";
import { type AuthorityDeps, createSingleAuthority, hasSplitAuthorities, readAuthority, readChain } from "./files.ts";
import { assertCrlUrls, authorityPaths, type CaPurpose, toCrlUrl } from "./layout.ts";

/** A CA whose client certificates the API accepts; its key may be elsewhere. */
export interface ClientCa {
  readonly chain: CertificateChain;
  readonly certificateFile: string;
}

/** The CAs of a server, by their use. */
export interface InstanceAuthorities {
  /** The CA that signs the server's own certificate; clients of the API trust it. */
  readonly serving: Authority;
  /** The CA that signs certificates of administrators. */
  readonly client: Authority;
  readonly clientCas: readonly ClientCa[];
}

const DAY_MS = 86_400_000;
const NEW_CA = {
  commonName: "tlsboot-ca",
  keyAlgorithm: "ecdsa-p256",
  lifetimeMs: 3650 * DAY_MS,
  isEncrypted: false,
} as const;
const CLIENT_PURPOSES: readonly CaPurpose[] = ["client", "kubelet-client"];

/**
 * Reads the CAs of a data directory, and creates one for everything where there is none. With `crlUrl`, what they issue
 * names their CRL. Throws as `readAuthority`, AppError `io`, and UsageError for CAs that would share a CRL.
 */
export async function ensureAuthorities(
  root: string,
  deps: AuthorityDeps,
  crlUrl?: string,
): Promise<{ readonly authorities: InstanceAuthorities; readonly created: boolean }> {
  const { files, keys } = deps;
  const isNew = await files.lstat(authorityPaths(root).certificate) === undefined;
  if (isNew) await createSingleAuthority(root, NEW_CA, deps);
  const split = await hasSplitAuthorities(root, files);
  assertCrlUrls(crlUrl, split ? [authorityPaths(root).certificate, authorityPaths(root, "client").certificate] : []);
  const read = async (purpose: CaPurpose): Promise<Authority> => {
    const paths = authorityPaths(root, purpose);
    const authority = await readAuthority(paths, files, keys);
    const url = toCrlUrl(crlUrl, paths.certificate);
    return url === undefined ? authority : { ...authority, crlUrl: url };
  };
  const serving = await read("serving");
  const client = split ? await read("client") : serving;
  return { authorities: { serving, client, clientCas: await readClientCas(root, files) }, created: isNew };
}

/** Reads the CAs whose client certificates the API of a data directory accepts. Throws AppError `not_found` and `ca_invalid`. */
export async function readClientCas(root: string, files: FilePort): Promise<readonly ClientCa[]> {
  const clientCas: ClientCa[] = [];
  for (const purpose of await hasSplitAuthorities(root, files) ? CLIENT_PURPOSES : ["serving"] as const) {
    const paths = authorityPaths(root, purpose);
    clientCas.push({ chain: await readChain(paths, files), certificateFile: paths.certificate });
  }
  return clientCas;
}
