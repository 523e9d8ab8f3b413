/**
 * Opens the keys of CAs, which are in files that may be encrypted, or are held by a program. The program prints its
 * public key and creates signatures, so that an HSM can hold the key (docs/guides/ca.md has the protocol).
 */
import { resolve } from "node:path";
import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import type { FilePort } from "../../client/files.ts";
import {
  type CaFiles,
  type CaKeySource,
  createKeyFileSource,
  openPrivateKey,
  type PassphrasePort,
} from "../../controllers/signer/ca_provider.ts";
import type { Secret } from "../../core/lib/brand.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import { encryptPrivateKey } from "../../core/pki/keys/encrypted_key.ts";
import type { PrivateKey } from "../../core/pki/keys/keys.ts";
import type { CaKey, Random, SignatureAlgorithm } from "../../core/ports.ts";
import type { AuthorityPaths } from "./layout.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import { findModeFault } from "../../client/private_file.ts";
import { toResult } from "../../core/pki/asn1/der.ts";
import { parsePemBlocks } from "../../core/pki/asn1/pem.ts";
import { parsePublicKey, type PublicKeyFacts } from "../../core/pki/keys/public_key.ts";
import { isValidSignature } from "../../core/pki/keys/signature.ts";
import { createKeyedMutex } from "../../core/lib/waiting.ts";

/** The source of the passphrase of encrypted keys. */
export interface Passphrases {
  /** True when a file or shares are given; new keys are then encrypted with that passphrase. */
  readonly isGiven: boolean;
  /**
   * Returns the passphrase for opening a key. The user is prompted once; a file is read each time. Throws AppError
   * `passphrase_missing`.
   */
  getForOpening(keyName: string): Promise<Secret<string>>;
  /** Returns the passphrase for a new key, which the user types twice. Throws AppError `passphrase_missing` and `invalid`. */
  getForCreating(keyName: string): Promise<Secret<string>>;
  /** Stops all prompts, because a prompt in the middle of a server's log would block the server. */
  stopPrompting(): void;
}

/** Access to the keys of CAs. */
export interface CaKeys {
  readonly passphrases: Passphrases;
  /** True when a program replaces the key files of the instance's CAs. */
  readonly hasProgram: boolean;
  /**
   * Opens a private key, with the passphrase if it is encrypted. The error describes the fault of the text. Throws
   * AppError `passphrase_missing` and `passphrase_wrong`.
   */
  openKey(pem: string, name: string): Promise<Result<PrivateKey, string>>;
  encryptKey(key: PrivateKey, passphrase: Secret<string>, random: Random): Promise<string>;
  /** Returns the source of the key for one of the instance's CAs. */
  getSource(paths: AuthorityPaths): CaKeySource;
  /** Returns the source of the key for another CA. Without a key file, the program holds the key. */
  getNamedSource(certificate: string, keyFile: string | undefined): CaKeySource;
}

/** The location of the keys, and the means to open them. */
interface CaKeyOptions {
  readonly passphrases: Passphrases;
  readonly files: FilePort;
  /** The current folder, from which relative paths of key files start. */
  readonly cwd: string;
  /** The path of the program that holds the keys; undefined for key files. */
  readonly program: string | undefined;
  /** The environment of the program. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Shows that a key is derived from a passphrase, which takes up to two seconds, until the result is disposed. */
  readonly showDerivation: () => Disposable;
  /** The iterations of PBKDF2 in a new encrypted key; undefined for the default. Only tests set it. */
  readonly keyIterations?: number | undefined;
}

/** Creates the access to CA keys. */
export function openCaKeys(
  { passphrases, files, cwd, program, env, showDerivation, keyIterations }: CaKeyOptions,
): CaKeys {
  const caFiles = createCaFiles(files);

  /** Shows that a key is being derived, but only after the user has typed the passphrase. */
  async function derive<T>(action: (passphrase: PassphrasePort) => Promise<T>): Promise<T> {
    let shown: Disposable | undefined;
    try {
      return await action(async (name) => {
        const secret = await passphrases.getForOpening(name);
        shown = showDerivation();
        return secret;
      });
    } finally {
      shown?.[Symbol.dispose]();
    }
  }

  function createFileSource(path: string): CaKeySource {
    const open = (state: string) => derive((passphrase) => createKeyFileSource(caFiles, path, passphrase).open(state));
    return { ...createKeyFileSource(caFiles, path), open };
  }

  function sourceIn(certificate: string, keyFile: string): CaKeySource {
    return program === undefined ? createFileSource(keyFile) : createKeyProgramSource({ program, certificate, env });
  }

  return {
    passphrases,
    hasProgram: program !== undefined,
    openKey: (pem, name) => derive((passphrase) => openPrivateKey(pem, name, passphrase)),
    async encryptKey(key, passphrase, random) {
      using _ = showDerivation();
      return await encryptPrivateKey(key, passphrase.reveal(), random, keyIterations);
    },
    getSource: ({ certificate, key }) => sourceIn(certificate, key),
    getNamedSource: (certificate, keyFile) =>
      keyFile === undefined ? sourceIn(certificate, "") : createFileSource(resolve(cwd, keyFile)),
  };
}

/** Opens the key that a program holds for the CA of a certificate file. Throws AppError `key_invalid`. */
export async function openProgramKey(certificate: string, keys: CaKeys): Promise<CaKey> {
  const source = keys.getNamedSource(certificate, undefined);
  const key = await source.open(await source.state());
  if (key.ok) return key.value;
  throw new AppError("key_invalid", `cannot use the key of the CA "${certificate}": ${key.error}`, {
    hint: "docs/guides/ca.md describes what the program must answer",
  });
}

/** Creates access to files and their modes. A missing file is AppError `io`. */
export function createCaFiles(files: FilePort): CaFiles {
  return {
    async read(path) {
      const text = await files.readText(path);
      if (text === undefined) throw new AppError("io", `open ${path}: no such file or directory`);
      return text;
    },
    async mode(path) {
      const facts = await files.stat(path);
      return facts === undefined || findModeFault(facts) === undefined ? 0 : facts.mode;
    },
  };
}

/** A program that holds the key of a CA. */
interface KeyProgram {
  /** The absolute path of the program, which is run without a shell. */
  readonly program: string;
  /** The path of the CA's certificate, for programs that hold several keys. */
  readonly certificate: string;
  /** The environment of the program; the path of the certificate is added to it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The timeout of one run, in milliseconds. */
  readonly timeoutMs?: number;
}

type Bytes = Uint8Array<ArrayBuffer>;

const TIMEOUT_MS = 10_000;
/** An RSA-4096 signature has 512 bytes, a PEM public key of that size 800. */
const MAX_OUTPUT_BYTES = 16_384;
const MAX_STDERR_BYTES = 4_096;
/** The number of concurrent runs: an HSM has few sessions, and starting a process costs more than a signature. */
const MAX_CONCURRENT_RUNS = 5;

/** Creates a key source over a program. Its public key is read once, when the source is opened. */
export function createKeyProgramSource(options: KeyProgram): CaKeySource {
  return {
    name: options.program,
    // If the key changes without its certificate, the next signature does not match and fails.
    state: () => Promise.resolve(options.program),
    open: () => openKeyProgram(options),
  };
}

/**
 * Reads the public key from the program. An error result explains a wrong answer. Throws AppError `key_program_failed`.
 */
export async function openKeyProgram(options: KeyProgram): Promise<Result<CaKey, string>> {
  const output = await runProgram(options, ["public-key"]);
  const blocks = parsePemBlocks(Buffer.from(output).toString("latin1"));
  const [block] = blocks;
  if (block === undefined || blocks.length > 1 || block.label !== "PUBLIC KEY") {
    return err(
      `${quoteCommand(options, "public-key")} must print one PEM block PUBLIC KEY, and printed ${
        describeOutput(output)
      }`,
    );
  }
  const facts = toResult(() => parsePublicKey(block.bytes));
  if (!facts.ok) return err(`${quoteCommand(options, "public-key")} printed a malformed key: ${facts.error}`);
  if (facts.value.weakness !== undefined) return err(facts.value.weakness);
  return ok(createProgramKey(options, block.bytes, facts.value));
}

function createProgramKey(options: KeyProgram, publicKeyDer: Bytes, publicKey: PublicKeyFacts): CaKey {
  const turns = createKeyedMutex();
  let signatures = 0;
  return {
    publicKey: () => Promise.resolve(publicKeyDer.slice()),
    async sign(data: Bytes, algorithm: SignatureAlgorithm): Promise<Bytes> {
      const lane = String(signatures++ % MAX_CONCURRENT_RUNS);
      const signature = await turns.runExclusive(lane, () => runProgram(options, ["sign", algorithm], data));
      if (isValidSignature(algorithm, publicKey, data, signature)) return signature;
      throw createProgramError(
        options,
        `sign ${algorithm}`,
        `its answer (${describeOutput(signature)}) is not a signature by its public key`,
      );
    },
  };
}

/** Runs the program and resolves with its output. */
function runProgram(options: KeyProgram, args: readonly string[], input?: Bytes): Promise<Bytes> {
  const { program, certificate, env, timeoutMs = TIMEOUT_MS } = options;
  const words = args.join(" ");
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...env, TLSBOOT_CA_CERTIFICATE: certificate },
    });
    const output: Buffer[] = [];
    let size = 0;
    let errorOutput = "";
    let isSettled = false;
    const finish = (settle: () => void): void => {
      if (isSettled) return;
      isSettled = true;
      clearTimeout(timer);
      settle();
    };
    const fail = (why: string, cause?: unknown): void =>
      finish(() => {
        child.kill("SIGKILL");
        reject(createProgramError(options, words, why, cause));
      });
    const timer = setTimeout(
      () => fail(`it took longer than ${timeoutMs / 1000} s${formatErrorOutput(errorOutput)}`),
      timeoutMs,
    );
    child.once(
      "error",
      (error: NodeJS.ErrnoException) => fail(STARTING[error.code ?? ""] ?? getErrorMessage(error), error),
    );
    child.stdout.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_OUTPUT_BYTES) fail(`it printed more than ${MAX_OUTPUT_BYTES} bytes`);
      else output.push(chunk);
    });
    child.stderr.on("data", (chunk: Buffer) => {
      errorOutput = (errorOutput + chunk.toString("utf8")).slice(0, MAX_STDERR_BYTES);
    });
    child.once("close", (code, signal) => {
      if (code === 0) return finish(() => resolve(new Uint8Array(Buffer.concat(output))));
      const how = signal === null ? `exit code ${code}` : signal;
      fail(`it ended with ${how}${formatErrorOutput(errorOutput)}`);
    });
    // A program that does not read all of its input reports the reason with its exit code.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

const STARTING: Readonly<Record<string, string>> = {
  ENOENT: "there is no such program",
  EACCES: "it may not be run",
};

function createProgramError(options: KeyProgram, words: string, why: string, cause?: unknown): AppError {
  return new AppError("key_program_failed", `cannot use the CA key of ${quoteCommand(options, words)}: ${why}`, {
    hint: "run it by hand; docs/guides/ca.md describes what it must answer",
    retryable: true,
    cause,
  });
}

function quoteCommand({ program }: KeyProgram, words: string): string {
  return `"${program} ${words}"`;
}

/** Formats the program's error output as the end of a message, on one line. */
function formatErrorOutput(errorOutput: string): string {
  const text = errorOutput.trim().replace(/\s+/g, " ");
  return text === "" ? "" : `: ${text}`;
}

function describeOutput(output: Uint8Array): string {
  return output.length === 0 ? "nothing" : `${output.length} bytes`;
}
