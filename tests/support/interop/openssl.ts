/** OpenSSL as the judge of written files. */
import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { runProgram } from "../child.ts";

/** The purpose of a certificate, in OpenSSL's words. */
export type Purpose = "sslclient" | "sslserver";

/** Runs openssl; it must succeed. */
export async function openssl(args: readonly string[], stdin?: string): Promise<string> {
  // The input of a child of Node is a socket, which cannot be opened as /dev/stdin; that of `cat` becomes a pipe.
  const { code, stdout, stderr } = stdin === undefined
    ? await runProgram("openssl", args)
    : await runProgram("sh", ["-c", 'cat | openssl "$@"', "sh", ...args], { stdin });
  assert.equal(code, 0, `openssl ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

/** The first certificate of a PEM file leads to the CA, may be used so, and obeys RFC 5280 strictly; `flags` change that. */
export async function assertChain(
  caPath: string,
  certificatePath: string,
  purpose?: Purpose,
  ...flags: readonly string[]
): Promise<void> {
  await openssl([
    ...["verify", "-x509_strict", "-check_ss_sig", "-CAfile", caPath, ...flags],
    ...(purpose === undefined ? [] : ["-purpose", purpose]),
    certificatePath,
  ]);
}

/** The key is sound and belongs to the certificate; both may be in one file. */
export async function assertKeyMatches(certificatePath: string, keyPath: string): Promise<void> {
  await openssl(["pkey", "-in", keyPath, "-check", "-noout"]);
  assert.equal(
    await openssl(["x509", "-in", certificatePath, "-noout", "-pubkey"]),
    await openssl(["pkey", "-in", keyPath, "-pubout"]),
    `${keyPath} is not the key of ${certificatePath}`,
  );
}

/** Subject of the first certificate, as `CN=…,O=…`. */
export async function readSubject(certificatePath: string): Promise<string> {
  const text = await openssl(["x509", "-in", certificatePath, "-noout", "-subject", "-nameopt", "RFC2253"]);
  return text.trim().replace(/^subject=/, "");
}

/** Permission bits of a file, links followed. */
export async function readMode(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}

/** Everything a kubelet-style pair file must be: for this node, from this CA, of its owner only. */
export async function assertNodePair(
  caPath: string,
  pairPath: string,
  node: string,
  ...flags: readonly string[]
): Promise<void> {
  await assertChain(caPath, pairPath, "sslclient", ...flags);
  await assertKeyMatches(pairPath, pairPath);
  assert.equal(await readSubject(pairPath), `CN=system:node:${node},O=system:nodes`);
  assert.equal(await readMode(pairPath), 0o600, `mode of ${pairPath}`);
}
