/** CAs and certificates that openssl made, so that no code of ours vouches for itself. */
import { writeFile } from "node:fs/promises";
import type { TempFolder } from "../temp.ts";
import { openssl } from "./openssl.ts";

/** Extensions of a CA, as openssl's configuration has them. */
export const CA_EXTENSIONS = [
  "basicConstraints=critical,CA:TRUE",
  "keyUsage=critical,keyCertSign,cRLSign",
  "subjectKeyIdentifier=hash",
] as const;

export interface OpensslCertificate {
  readonly name: string;
  /** The name of an earlier certificate that signs it; itself when absent. */
  readonly issuer?: string;
  readonly extensions: readonly string[];
  /** The number of days that it is valid; 30 when absent. */
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
