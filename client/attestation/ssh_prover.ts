/** Proves a machine's identity with its SSH host key. */
import { parseSshPrivateKey } from "../../core/attestation/ssh_private_key.ts";
import {
  parseSshKeyText,
  PROOF_NAMESPACE,
  signSsh,
  type SshPublicKey,
  verifySshSignature,
} from "../../core/attestation/ssh_signature.ts";
import { AppError, findErrorCode } from "../../core/errors.ts";
import type { Result } from "../../core/lib/result.ts";
import type { Bytes } from "../../core/pki/asn1/der.ts";
import { parsePemBlocks } from "../../core/pki/asn1/pem.ts";
import type { FilePort } from "../files.ts";
import type { Prover } from "./attest.ts";

export interface SshProverOptions {
  /** The absolute path of the key, or of a `.pub` file whose key an agent holds. Default: the first of sshd's keys. */
  readonly path?: string | undefined;
  readonly files: Pick<FilePort, "readText">;
  /** Runs a program; returns its stdout, or the reason why it failed. */
  readonly run: (
    program: string,
    args: readonly string[],
    options: { readonly input: Uint8Array; readonly timeout: number },
  ) => Promise<Result<string, string>>;
}

/** sshd's default keys, in the order in which they are tried. */
const HOST_KEYS: readonly string[] = ["ed25519", "ecdsa", "rsa"].map((name) => `/etc/ssh/ssh_host_${name}_key`);

/** The timeout of a signature by ssh-keygen, in milliseconds: a token may wait for a touch. */
const SIGN_TIMEOUT_MS = 60_000;

/** A key that can sign a proof. */
interface HostKey {
  readonly publicKey: SshPublicKey;
  sign(message: Bytes): Promise<Bytes>;
}

/**
 * Creates a prover that reads the key for each step, so that a replaced key takes effect. The steps reject with
 * AppError `not_found`, `io` or `key_invalid` when there is no usable key, and with `key_program_failed`.
 */
export function createSshProver(options: SshProverOptions): Prover<"ssh"> {
  return {
    kind: "ssh",
    async evidence() {
      return { kind: "ssh", hostKey: (await readHostKey(options)).publicKey.wire };
    },
    async prove(_challenge, message) {
      return { kind: "ssh", signature: await (await readHostKey(options)).sign(message) };
    },
  };
}

async function readHostKey(options: SshProverOptions): Promise<HostKey> {
  for (const path of options.path === undefined ? HOST_KEYS : [options.path]) {
    const text = await readKeyText(path, options.files);
    if (text !== undefined) return path.endsWith(".pub") ? toProgramKey(path, text, options) : toFileKey(path, text);
  }
  if (options.path !== undefined) {
    throw new AppError("not_found", `cannot read the SSH host key "${options.path}": file does not exist`);
  }
  throw new AppError("not_found", "cannot prove by an SSH host key: there is none in /etc/ssh", {
    hint: "create the host keys with: ssh-keygen -A",
  });
}

async function readKeyText(path: string, files: SshProverOptions["files"]): Promise<string | undefined> {
  try {
    return await files.readText(path);
  } catch (error) {
    if (!(error instanceof AppError) || findErrorCode(error.cause) !== "EACCES") throw error;
    throw new AppError("io", error.message, { cause: error, hint: "run as root: only root can read an SSH host key" });
  }
}

/** Parses the text of a private key file. */
function toFileKey(path: string, text: string): HostKey {
  const pair = parseSshPrivateKey(text);
  if (!pair.ok) throw refuseKey(path, pair.error);
  const { publicKey } = pair.value;
  return {
    publicKey,
    sign: (message) => Promise.resolve(signSsh({ ...pair.value, namespace: PROOF_NAMESPACE, message })),
  };
}

/** Returns a key that ssh-keygen finds in an agent by its public key; the agent may use a hardware token. */
function toProgramKey(path: string, text: string, { run }: SshProverOptions): HostKey {
  const [type = "", base64 = ""] = text.trim().split(/\s+/);
  const parsed = parseSshKeyText(type, base64);
  if (!parsed.ok) throw refuseKey(path, parsed.error);
  const publicKey = parsed.value;
  return {
    publicKey,
    async sign(message) {
      const args = ["-Y", "sign", "-n", PROOF_NAMESPACE, "-f", path];
      const armored = await run("ssh-keygen", args, { input: message, timeout: SIGN_TIMEOUT_MS });
      if (!armored.ok) throw refuseProgram(path, armored.error);
      const signature = parsePemBlocks(armored.value).find(({ label }) => label === "SSH SIGNATURE")?.bytes;
      if (signature === undefined) throw refuseProgram(path, "it printed no signature");
      const verified = verifySshSignature({ publicKey, signature, namespace: PROOF_NAMESPACE, message });
      if (!verified.ok) throw refuseProgram(path, verified.error);
      return signature;
    },
  };
}

function refuseKey(path: string, why: string): AppError {
  return new AppError("key_invalid", `cannot use the SSH host key "${path}": ${why}`, {
    hint: "give a key without a passphrase, or the .pub file of a key that ssh-add -l lists",
  });
}

function refuseProgram(path: string, why: string): AppError {
  return new AppError("key_program_failed", `cannot sign with the key of "${path}" by ssh-keygen: ${why}`, {
    hint: "check with ssh-add -l that the agent has the key",
  });
}
