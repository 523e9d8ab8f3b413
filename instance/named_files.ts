/** Reads the files that settings refer to, which must exist. */
import { resolve } from "node:path";
import type { FilePort } from "../client/files.ts";
import { AppError } from "../core/errors.ts";
import { parseCredentialPair } from "../core/machine/credential_pair.ts";
import { parseCaBundle } from "../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../core/pki/x509/certificate.ts";

/** The folder that relative paths start from, and the access to files. */
interface FilePlace {
  readonly files: Pick<FilePort, "readText">;
  readonly cwd: string;
}

/** Reads the text of a file. AppError `io` when it does not exist; `use` describes the file, as in `audit policy`. */
export async function readRequiredFile(path: string, { files, cwd }: FilePlace, use?: string): Promise<string> {
  const text = await files.readText(resolve(cwd, path));
  if (text !== undefined) return text;
  throw new AppError("io", `cannot read ${use === undefined ? "" : `${use} `}"${path}": no such file`, {
    hint: "check the path",
  });
}

/** Reads the bundle of a CA file. AppError `io` and `ca_invalid`; `use` describes the file, as in `client CA file`. */
export async function readCaFile(path: string, use: string, place: FilePlace): Promise<readonly CertificateFacts[]> {
  const bundle = parseCaBundle(await readRequiredFile(path, place));
  if (bundle.ok) return bundle.value;
  throw new AppError("ca_invalid", `cannot use ${use} "${path}": ${bundle.error}`, {
    hint: "give a file with one or more PEM CERTIFICATE blocks",
  });
}

/**
 * Reads a certificate and its key, PEM. AppError `io` and `key_invalid`; `verb` describes their use, as in `serve
 * with`.
 */
export async function readPairFiles(
  certificatePath: string,
  keyPath: string,
  verb: string,
  place: FilePlace,
): Promise<{ readonly certificatePem: string; readonly keyPem: string }> {
  const certificatePem = await readRequiredFile(certificatePath, place);
  const keyPem = await readRequiredFile(keyPath, place);
  const pair = parseCredentialPair(certificatePem, keyPem);
  if (pair.ok) return { certificatePem, keyPem };
  throw new AppError("key_invalid", `cannot ${verb} "${certificatePath}" and "${keyPath}": ${pair.error}`, {
    hint: "give a certificate and the unencrypted key that belongs to it, both PEM",
  });
}
