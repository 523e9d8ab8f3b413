/** Checks files that tlsboot writes, and makes CAs, certificates and CSRs, with OpenSSL alone. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { stat, writeFile } from "node:fs/promises";
import { runProgram } from "../child.ts";
import type { TempFolder } from "../temp.ts";

/** The purpose of a certificate, in OpenSSL's words. */
type Purpose = "sslclient" | "sslserver";

/** Runs openssl; it must succeed. */
export async function openssl(args: readonly string[], stdin?: string): Promise<string> {
  // The input of a child of Node is a socket, which cannot be opened as /dev/stdin; that of `cat` becomes a pipe.
  const { code, stdout, stderr } = stdin === undefined
    ? await runProgram("openssl", args)
    : await runProgram("sh", ["-c", 'cat | openssl "$@"', "sh", ...args], { stdin });
  assert.equal(code, 0, `openssl ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

/** Asserts that the first certificate of a PEM file chains to the CA, has the purpose and strictly follows RFC 5280. */
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

/** Asserts that a key is valid and belongs to the certificate. Both may be in one file. */
export async function assertKeyMatches(certificatePath: string, keyPath: string): Promise<void> {
  await openssl(["pkey", "-in", keyPath, "-check", "-noout"]);
  assert.equal(
    await openssl(["x509", "-in", certificatePath, "-noout", "-pubkey"]),
    await openssl(["pkey", "-in", keyPath, "-pubout"]),
    `${keyPath} is not the key of ${certificatePath}`,
  );
}

/** Reads the subject of the first certificate, as `CN=…,O=…`. */
export async function readSubject(certificatePath: string): Promise<string> {
  const text = await openssl(["x509", "-in", certificatePath, "-noout", "-subject", "-nameopt", "RFC2253"]);
  return text.trim().replace(/^subject=/, "");
}

/** Reads the permission bits of a file; links are followed. */
export async function readMode(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}

/** Asserts that a pair file is like a kubelet's: for this node, from this CA, and private to its owner. */
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

/** The extensions of a CA in OpenSSL's syntax. */
export const CA_EXTENSIONS = [
  "basicConstraints=critical,CA:TRUE",
  "keyUsage=critical,keyCertSign,cRLSign",
  "subjectKeyIdentifier=hash",
] as const;

interface OpensslCertificate {
  readonly name: string;
  /** The name of an earlier certificate that signs it; by default it is self-signed. */
  readonly issuer?: string;
  readonly extensions: readonly string[];
  /** The number of days that it is valid; by default 30. */
  readonly days?: number;
  /** Additional arguments for `openssl genpkey`. */
  readonly key?: readonly string[];
}

const P256 = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"] as const;

/** Creates `<name>.crt` and `<name>.key` in the folder. */
export async function makeCertificate(folder: TempFolder, certificate: OpensslCertificate): Promise<void> {
  const { name, issuer, extensions, days = 30, key = P256 } = certificate;
  const at = (suffix: string) => folder.join(`${name}.${suffix}`);
  await openssl(["genpkey", ...key, "-out", at("key")]);
  await openssl(["req", "-new", "-key", at("key"), "-subj", `/CN=${name}`, "-out", at("csr")]);
  await writeFile(at("ext"), `${extensions.join("\n")}\n`);
  const signer = issuer === undefined
    ? ["-signkey", at("key")]
    : ["-CA", folder.join(`${issuer}.crt`), "-CAkey", folder.join(`${issuer}.key`), "-set_serial", "7"];
  await openssl([
    ...["x509", "-req", "-in", at("csr"), "-days", String(days), "-extfile", at("ext"), "-out", at("crt"), ...signer],
  ]);
}

/** The fields of a manifest; by default a client's, for the built-in client signer. */
interface ManifestOptions {
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly subject?: string;
}

const keys = new Map<string, Promise<string>>();

/** Creates a request for `spec.request`, in base64 of PEM. Each subject has one key. */
export async function createRequest(subject: string): Promise<string> {
  const key = keys.get(subject) ?? openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
  keys.set(subject, key);
  const request = await openssl(["req", "-new", "-key", "/dev/stdin", "-subj", subject], await key);
  return Buffer.from(request).toString("base64");
}

/** Formats the manifest of a CSR. */
export async function csrManifest(name: string, options: ManifestOptions = {}): Promise<string> {
  return JSON.stringify({
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { name, ...options.metadata },
    spec: {
      request: await createRequest(options.subject ?? `/CN=${name}`),
      signerName: "kubernetes.io/kube-apiserver-client",
      usages: ["digital signature", "client auth"],
      ...options.spec,
    },
  });
}
