/** Reads a signer's CA from two files, again when they change (`pkg/controller/certificates/signer/ca_provider.go`). */
import { AppError, getErrorMessage } from "../core/errors.ts";
import {
  type Authority,
  joinAuthority,
  parseAuthorityCertificate,
  parseAuthorityCertificates,
} from "../core/pki/authority.ts";
import { parsePemBlocks } from "../core/pki/pem.ts";
import type { Clock, Logger } from "../core/ports.ts";
import { type CaKeySource, createKeyFileSource } from "./ca_key_file.ts";
import { createReloader } from "./reloader.ts";

/** The file operations that a CA provider needs. */
export interface CaFiles {
  /** Reads the text of a file; rejects when the file does not exist. */
  read(path: string): Promise<string>;
  /** Returns the permission bits, such as 0o600. */
  mode(path: string): Promise<number>;
}

/** The files of a CA, and how to read them. */
export interface FileAuthorityOptions {
  readonly files: CaFiles;
  readonly certFile: string;
  readonly keyFile: string;
  /** The source of the key when it is not a plain file; `keyFile` then only names it. */
  readonly key?: CaKeySource;
  /**
   * Accept a certificate file that holds the CA followed by its issuers, and append the intermediates to each issued
   * certificate. Without it the file holds one certificate, and issued certificates come alone, as in
   * kube-controller-manager.
   */
  readonly withIssuers?: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Provides the CA as it is on disk. */
export interface FileAuthoritySource {
  /** Returns the newest valid pair; files are compared at most once a second. Never fails once the source exists. */
  current(): Promise<Authority>;
}

interface Loaded {
  readonly authority: Authority;
  readonly content: string;
}

/**
 * Reads the pair for the first time. Throws AppError `ca_invalid` with kube-controller-manager's text when it is not a
 * CA, and `file_permissions` when others may read the key; an encrypted key adds `passphrase_missing` and
 * `passphrase_wrong`. Later faults are logged and the old pair stays in use.
 */
export async function createFileAuthoritySource(options: FileAuthorityOptions): Promise<FileAuthoritySource> {
  const { certFile, keyFile, clock, logger } = options;
  const current = createReloader({
    first: await load(options),
    load: (known) => load(options, known),
    clock,
    onChange({ authority }) {
      logger.info("CA reloaded", { certFile, fingerprint: authority.certificate.sha256Fingerprint });
    },
    onFault: (error) =>
      logger.error("CA files changed but are no CA, the old one stays in use", { certFile, keyFile, error }),
  });
  return { current: async () => (await current()).authority };
}

/** Reads and checks the pair; returns `known` itself when the files have not changed since. */
async function load(options: FileAuthorityOptions, known?: Loaded): Promise<Loaded> {
  const { certFile, keyFile, files } = options;
  // Upstream names its loader like this in errors about content that it could read.
  const loader = `csr-controller::${certFile}::${keyFile}`;
  if (certFile === "" || keyFile === "") {
    throw invalidCa(`error reading CA cert file "${certFile}": missing filename for serving cert`);
  }
  const source = options.key ?? createKeyFileSource(files, keyFile);
  const certificatePem = await read(certFile, () => files.read(certFile));
  const state = await read(certFile, () => source.state());
  const content = `${certificatePem}\0${state}`;
  if (content === known?.content) return known;
  const key = await source.open(state);
  const { withIssuers = false } = options;
  const count = parsePemBlocks(certificatePem).filter((block) => block.label === "CERTIFICATE").length;
  if (count === 0 || (count > 1 && !withIssuers)) {
    const hint = count === 0
      ? "give a PEM file with the CA certificate"
      : "give a file with the CA certificate alone, or --cluster-signing-chain to send its intermediates along";
    throw invalidCa(`error reading CA cert file "${loader}": expected 1 certificate, found ${count}`, { hint });
  }
  if (!key.ok) throw invalidCa(`error reading CA key file "${loader}": ${key.error}`);
  const certificates = withIssuers
    ? parseAuthorityCertificates(certificatePem)
    : parseAuthorityCertificate(certificatePem);
  const authority = certificates.ok ? await joinAuthority(certificates.value, key.value) : certificates;
  if (!authority.ok) throw invalidCa(`error reading CA cert file "${certFile}": ${inUpstreamWords(authority.error)}`);
  return { authority: authority.value, content };
}

/** Names the certificate file in every error, as upstream does; an error that has its own hint passes unchanged. */
async function read(certFile: string, action: () => Promise<string>): Promise<string> {
  try {
    return await action();
  } catch (cause) {
    if (cause instanceof AppError && cause.hint !== undefined) throw cause;
    throw invalidCa(`error reading CA cert file "${certFile}": ${getErrorMessage(cause)}`, { cause });
  }
}

/** Adds the prefix of Go's `tls.X509KeyPair`, which upstream uses to find a pair that does not match. */
function inUpstreamWords(fault: string): string {
  return fault.startsWith("private key does not match") ? `tls: ${fault}` : fault;
}

function invalidCa(message: string, options: { readonly hint?: string; readonly cause?: unknown } = {}): AppError {
  return new AppError("ca_invalid", message, options);
}
