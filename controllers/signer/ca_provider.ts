/**
 * Reads a signer's CA from two files, and reloads it when they change
 * (`pkg/controller/certificates/signer/ca_provider.go`). Profiles use the same reloader.
 */
import { AppError, getErrorMessage } from "../../core/errors.ts";
import type { Secret } from "../../core/lib/brand.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import { shellWord } from "../../core/lib/printable.ts";
import {
  type Authority,
  joinAuthority,
  parseAuthorityCertificate,
  parseAuthorityCertificates,
} from "../../core/pki/authority/authority.ts";
import { decryptPrivateKey, detectKeyEncryption } from "../../core/pki/keys/encrypted_key.ts";
import { createCaKey, parsePrivateKey, type PrivateKey } from "../../core/pki/keys/keys.ts";
import { parsePemBlocks } from "../../core/pki/asn1/pem.ts";
import type { CaKey, Clock, Logger } from "../../core/ports.ts";

/** The file operations that a CA provider needs. */
export interface CaFiles {
  /** Reads the text of a file; rejects when the file does not exist. */
  read(path: string): Promise<string>;
  /** Returns the permission bits, such as 0o600; 0 for a file that is private although its group may read it. */
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
   * Accepts a certificate file with the CA followed by its issuers, and appends the intermediates to each issued
   * certificate. By default the file must contain exactly one certificate, and nothing is appended, as in
   * kube-controller-manager.
   */
  readonly withIssuers?: boolean;
  /** The URL of the CA's CRL, which is added to every issued certificate. */
  readonly crlUrl?: string | undefined;
  /** Returns a number that grows when the files are known to have changed. */
  readonly version?: (() => number) | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Provides the CA that is on disk. */
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
    version: options.version,
    onChange({ authority }) {
      logger.info("CA reloaded", { certFile, fingerprint: authority.certificate.sha256Fingerprint });
    },
    onFault: (error) =>
      logger.error("CA files changed but do not hold a CA, the old one stays in use", { certFile, keyFile, error }),
  });
  return { current: async () => (await current()).authority };
}

/** Reads and checks the pair; returns `known` itself when the files have not changed since. */
async function load(options: FileAuthorityOptions, known?: Loaded): Promise<Loaded> {
  const { certFile, keyFile, files, crlUrl, withIssuers = false } = options;
  // Upstream prefixes errors about the content of a file with the name of its loader.
  const loader = `csr-controller::${certFile}::${keyFile}`;
  if (certFile === "" || keyFile === "") {
    throw createCaError(`error reading CA cert file "${certFile}": missing filename for serving cert`);
  }
  const source = options.key ?? createKeyFileSource(files, keyFile);
  const certificatePem = await read(certFile, () => files.read(certFile));
  const state = await read(certFile, () => source.state());
  const content = `${certificatePem}\0${state}`;
  if (content === known?.content) return known;
  const key = await source.open(state);
  const count = parsePemBlocks(certificatePem).filter((block) => block.label === "CERTIFICATE").length;
  if (count === 0 || (count > 1 && !withIssuers)) {
    const hint = count === 0
      ? "give a PEM file with the CA certificate"
      : "give a file with the CA certificate alone, or use the setting clusterSigningChain to append its intermediates";
    throw createCaError(`error reading CA cert file "${loader}": expected 1 certificate, found ${count}`, { hint });
  }
  if (!key.ok) throw createCaError(`error reading CA key file "${loader}": ${key.error}`);
  const certificates = withIssuers
    ? parseAuthorityCertificates(certificatePem)
    : parseAuthorityCertificate(certificatePem);
  const authority = certificates.ok ? await joinAuthority(certificates.value, key.value) : certificates;
  if (!authority.ok) {
    throw createCaError(`error reading CA cert file "${certFile}": ${inUpstreamWords(authority.error)}`);
  }
  return { authority: crlUrl === undefined ? authority.value : { ...authority.value, crlUrl }, content };
}

/** Adds the path of the certificate file to every error, as upstream does. An error with a hint passes unchanged. */
async function read(certFile: string, action: () => Promise<string>): Promise<string> {
  try {
    return await action();
  } catch (cause) {
    if (cause instanceof AppError && cause.hint !== undefined) throw cause;
    throw createCaError(`error reading CA cert file "${certFile}": ${getErrorMessage(cause)}`, { cause });
  }
}

/** Adds the prefix of Go's `tls.X509KeyPair`, which upstream calls to check that the key matches the certificate. */
function inUpstreamWords(fault: string): string {
  return fault.startsWith("private key does not match") ? `tls: ${fault}` : fault;
}

function createCaError(message: string, options: { readonly hint?: string; readonly cause?: unknown } = {}): AppError {
  return new AppError("ca_invalid", message, options);
}

/** The source of a CA's private key. */
export interface CaKeySource {
  /** The path of a file or a program, for messages. */
  readonly name: string;
  /** Returns a text that changes whenever the key may have changed. Rejects when the key does not exist. */
  state(): Promise<string>;
  /**
   * Opens the key in a given state; the error result describes what is wrong with the key. Rejects with AppError when
   * the key is refused.
   */
  open(state: string): Promise<Result<CaKey, string>>;
}

/** Prompts for the passphrase of the named key. Throws AppError `passphrase_missing`. */
export type PassphrasePort = (keyName: string) => Promise<Secret<string>>;

const GROUP_AND_OTHERS = 0o077;

/**
 * Creates the source for a key file. Opening it throws AppError `file_permissions`, `passphrase_missing` or
 * `passphrase_wrong`.
 */
export function createKeyFileSource(files: CaFiles, path: string, passphrase?: PassphrasePort): CaKeySource {
  return {
    name: path,
    state: () => files.read(path),
    async open(pem) {
      refuseOpenKey(path, await files.mode(path));
      const key = await openPrivateKey(pem, path, passphrase);
      return key.ok ? ok(createCaKey(key.value)) : key;
    },
  };
}

/** Parses a private key, and decrypts an encrypted one; the error describes what is wrong with the text. */
export async function openPrivateKey(
  pem: string,
  name: string,
  passphrase?: PassphrasePort,
): Promise<Result<PrivateKey, string>> {
  if (detectKeyEncryption(pem) !== "pkcs8") return parsePrivateKey(pem);
  if (passphrase === undefined) return err("the private key is encrypted, and there is no passphrase");
  const plain = await decryptPrivateKey(pem, (await passphrase(name)).reveal());
  if (plain.ok) return parsePrivateKey(plain.value);
  if (plain.error.kind === "unreadable") return err(plain.error.message);
  throw new AppError("passphrase_wrong", `cannot open the key "${name}": the passphrase does not fit`, {
    hint: "give the passphrase of this key with the setting caPassphraseFile, or its shares, or type it again",
  });
}

function refuseOpenKey(path: string, mode: number): void {
  if ((mode & GROUP_AND_OTHERS) === 0) return;
  throw new AppError(
    "file_permissions",
    `cannot use CA key "${path}": its mode ${(mode & 0o777).toString(8).padStart(4, "0")} lets other users access it`,
    { hint: `chmod 600 ${shellWord(path)}` },
  );
}

/** How a value is reloaded, and how changes and faults are reported. */
interface ReloaderOptions<T> {
  readonly first: T;
  /** Loads the value from the files; returns `known` itself when they have not changed since. */
  readonly load: (known: T) => Promise<T>;
  readonly clock: Pick<Clock, "elapsedMs">;
  /** Returns a number that grows when the files are known to have changed, so that they are compared at once. */
  readonly version?: (() => number) | undefined;
  readonly onChange: (value: T) => void;
  /** Called with the reason why the files cannot be used, once for consecutive equal reasons. */
  readonly onFault: (fault: string) => void;
}

/** Files are compared at most once a second. */
const CHECK_INTERVAL_MS = 1_000;

/**
 * Creates a function that returns the newest valid value, or the previous one while the files are unusable. It never
 * rejects.
 */
export function createReloader<T>(
  { first, load, clock, version = () => 0, onChange, onFault }: ReloaderOptions<T>,
): () => Promise<T> {
  let current = first;
  let checkedVersion = version();
  let checkedAt = clock.elapsedMs();
  let refused = "";
  let check: Promise<void> | undefined;

  async function reload(): Promise<void> {
    try {
      const next = await load(current);
      const isNew = next !== current;
      current = next;
      refused = "";
      if (isNew) onChange(next);
    } catch (error) {
      const fault = getErrorMessage(error);
      if (fault !== refused) onFault(fault);
      refused = fault;
    }
  }

  return async function getCurrent(): Promise<T> {
    const [now, wanted] = [clock.elapsedMs(), version()];
    if (check === undefined && (now - checkedAt >= CHECK_INTERVAL_MS || wanted !== checkedVersion)) {
      checkedAt = now;
      checkedVersion = wanted;
      check = reload().finally(() => {
        check = undefined;
      });
    }
    await check;
    // The check may have begun before the files changed.
    return checkedVersion < wanted ? await getCurrent() : current;
  };
}
