/** The steps after a new certificate: a PKCS#12 file, and a command. Both are repeated until they have succeeded once. */
import { join, resolve } from "node:path";
import type { FilePort } from "../../../client/files.ts";
import { type CredentialPair, parseCredentialPair } from "../../../core/bootstrap/credential_pair.ts";
import { AppError } from "../../../core/errors.ts";
import { parseCaBundle } from "../../../core/pki/ca_bundle.ts";
import { encodePkcs12 } from "../../../core/pki/pkcs12.ts";
import { createPassphrases } from "../../authority/passphrase.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Io } from "../../io.ts";
import { displayPath } from "../../output/display_path.ts";
import { startProgress } from "../../output/progress.ts";
import { runHooks } from "../bootstrap/hooks.ts";
import type { RequestFlags } from "./flags.ts";

/** The settings about what follows. */
export type FollowUpSettings = Pick<Settings<RequestFlags>, "exec" | "pkcs12" | "pkcs12PasswordFile">;

/** A folder with a certificate, and the adapters. */
export interface FollowUp {
  readonly settings: FollowUpSettings;
  /** The name of the web server, or any other title of the certificate. */
  readonly name: string;
  readonly folder: string;
  readonly paths: { readonly certificate: string; readonly key: string; readonly ca?: string };
  readonly files: FilePort;
  readonly io: Io;
}

const SECRET_MODE = 0o600;

/** Throws UsageError for a password file without a file to protect. */
export function checkFollowUp({ pkcs12, pkcs12PasswordFile }: FollowUpSettings): void {
  if (pkcs12 === undefined && pkcs12PasswordFile !== undefined) {
    throw new UsageError("--pkcs12-password-file needs --pkcs12, the file to protect");
  }
}

/**
 * Does what the settings ask for after a new certificate, unless an earlier run has done so for the same certificate.
 * Returns what has failed.
 */
export async function followUp(options: FollowUp, signal: AbortSignal): Promise<readonly string[]> {
  const { settings: { exec, pkcs12 }, folder, paths, name, files, io } = options;
  if (exec === undefined && pkcs12 === undefined) return [];
  const pair = await readPair(paths, files);
  const marker = join(folder, ".followed");
  const fingerprint = `${pair.leaf.sha256Fingerprint}\n`;
  const isDone = await files.readText(marker) === fingerprint;
  const target = pkcs12 === undefined ? undefined : resolve(io.cwd, pkcs12);
  if (target !== undefined && (!isDone || await files.stat(target) === undefined)) {
    await writePkcs12(target, pair, options, signal);
  }
  if (isDone) return [];
  const change = { purpose: "serving" as const, pair, certificatePath: paths.certificate };
  const faults = await runHooks({ exec, signals: [] }, change, { io, files, nodeName: name }, signal);
  if (faults.length === 0) await files.writeAtomic(marker, fingerprint, SECRET_MODE);
  return faults;
}

async function readPair({ certificate, key }: FollowUp["paths"], files: FilePort): Promise<CredentialPair> {
  const pair = parseCredentialPair(await files.readText(certificate) ?? "", await files.readText(key) ?? "");
  if (pair.ok) return pair.value;
  throw new AppError("pki_invalid", `cannot use "${certificate}": ${pair.error}`);
}

async function writePkcs12(
  path: string,
  pair: CredentialPair,
  { settings: { pkcs12PasswordFile }, paths, name, files, io }: FollowUp,
  signal: AbortSignal,
): Promise<void> {
  const words = { what: "PKCS#12 file", flag: "--pkcs12-password-file" };
  const passwords = createPassphrases(pkcs12PasswordFile, io, files, signal, words);
  const password = await passwords.getForCreating(displayPath(path, io.cwd));
  if (!/^[\x20-\x7e]*$/.test(password.reveal())) {
    throw new AppError("invalid", `cannot write "${path}": the password has characters outside of ASCII`, {
      hint: "Java cannot open such a file; choose letters, digits and punctuation of ASCII",
    });
  }
  const bundle = parseCaBundle(paths.ca === undefined ? "" : await files.readText(paths.ca) ?? "");
  const [leaf, ...above] = pair.chain;
  const known = new Set(pair.chain.map(({ sha256Fingerprint }) => sha256Fingerprint));
  const roots = bundle.ok ? bundle.value.filter(({ sha256Fingerprint }) => !known.has(sha256Fingerprint)) : [];
  const issuers = [...above, ...roots].map(({ der }) => der);
  using _progress = startProgress(io, "encrypting the key");
  const contents = { key: pair.key, certificate: (leaf ?? pair.leaf).der, issuers, name };
  const bytes = await encodePkcs12(contents, password.reveal(), io.random);
  await files.writeAtomic(path, bytes, SECRET_MODE);
}
