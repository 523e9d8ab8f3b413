/** Reads the CAs that a command writes to a store or a kubeconfig. */
import { resolve } from "node:path";
import { AppError } from "../core/errors.ts";
import { parseCaBundle } from "../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../core/pki/x509/certificate.ts";
import { readTrustPem } from "../instance/authority/instance_authorities.ts";
import { authorityPaths } from "../instance/authority/layout.ts";
import { readCaFile } from "../instance/named_files.ts";
import type { Tools } from "./io.ts";

/**
 * Reads the CAs in the file of `--ca-cert`, or those of the data directory, which has two during a rotation. Throws
 * AppError `not_found` with the hint when the data directory has no CA, `io` or `ca_invalid`.
 */
export async function readCasToTrust(
  { caCert, dataDir }: { readonly caCert: string | undefined; readonly dataDir: string },
  hint: string,
  { files, cwd }: Pick<Tools, "files" | "cwd">,
): Promise<readonly CertificateFacts[]> {
  if (caCert !== undefined) return await readCaFile(caCert, "CA file", { files, cwd });
  const root = resolve(cwd, dataDir);
  const { certificate } = authorityPaths(root);
  if (await files.stat(certificate) === undefined) {
    throw new AppError("not_found", `cannot read the CA "${certificate}": no such file`, { hint });
  }
  const bundle = parseCaBundle(await readTrustPem(root, files));
  if (bundle.ok) return bundle.value;
  throw new AppError("ca_invalid", `cannot use the CA "${certificate}": ${bundle.error}`);
}
