/** The CA for signing without an API: the CA of a data directory, or one that flags name. */
import { resolve } from "node:path";
import { AppError } from "../../core/errors.ts";
import type { Authority } from "../../core/pki/authority.ts";
import type { CertificateFacts } from "../../core/pki/certificate.ts";
import { decideClientTrust, findClientTrust } from "../../core/signing/client_trust.ts";
import type { ClientTrust } from "../../core/signing/plan.ts";
import type { FilePort } from "../../client/files.ts";
import { authorityPaths } from "../authority/layout.ts";
import { readClientCas } from "../authority/instance_authorities.ts";
import { openInstanceCas, openSigningCas, type SigningCaDeps } from "./signing_cas.ts";

/** The data directory, and the flags of a CA. */
export interface OfflineCaSettings {
  readonly dataDir: string;
  readonly clusterSigningCertFile: string | undefined;
  readonly clusterSigningKeyFile: string | undefined;
}

/** A CA, and whether the server of the data directory trusts it for client certificates. */
export interface OfflineCa {
  readonly authority: Authority;
  readonly clientTrust: ClientTrust;
}

const NONE = { certFile: undefined, keyFile: undefined };

/** Opens the CA as `up` does. UsageError for half a pair; AppError `not_found`, `ca_invalid`, `file_permissions`. */
export async function openOfflineCa(
  settings: OfflineCaSettings,
  signerName: string,
  deps: SigningCaDeps & { readonly cwd: string },
): Promise<OfflineCa> {
  const dataDir = resolve(deps.cwd, settings.dataDir);
  const all = { certFile: settings.clusterSigningCertFile, keyFile: settings.clusterSigningKeyFile };
  const none = { kubeletServing: NONE, kubeletClient: NONE, kubeApiserverClient: NONE, legacyUnknown: NONE };
  const { authorities } = all.certFile === undefined && all.keyFile === undefined
    ? await openInstanceCas(dataDir, [signerName], deps)
    // Kubernetes has no such command, so a file with issuers is allowed.
    : await openSigningCas({ all, ...none, withIssuers: true }, [signerName], deps);
  const authority = await authorities(signerName);
  if (authority === undefined) throw new AppError("internal", `no CA for "${signerName}"`);
  // Only the server of the data directory can be checked here; no remote API is called.
  const isTrusted = findClientTrust(authority, await readTrustedCas(dataDir, deps.files));
  return { authority, clientTrust: decideClientTrust(signerName, isTrusted) };
}

async function readTrustedCas(dataDir: string, files: FilePort): Promise<readonly CertificateFacts[]> {
  if (await files.lstat(authorityPaths(dataDir).certificate) === undefined) return [];
  return (await readClientCas(dataDir, files)).map(({ chain }) => chain.certificate);
}
