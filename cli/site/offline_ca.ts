/** The CA that signs without an API: that of a data directory, or one that flags name. */
import { resolve } from "node:path";
import { AppError } from "../../core/errors.ts";
import type { Authority } from "../../core/pki/authority.ts";
import { parseCaBundle } from "../../core/pki/ca_bundle.ts";
import { findClientTrust } from "../../core/signing/client_trust.ts";
import type { ClientTrust } from "../../core/signing/plan.ts";
import { isSplit, readAuthority } from "../authority/files.ts";
import { authorityPaths, purposeOfSigner } from "../authority/layout.ts";
import { openSigningCas, type SigningCaDeps } from "./signing_cas.ts";

/** Which CA. */
export interface OfflineCaSettings {
  readonly dataDir: string;
  readonly clusterSigningCertFile: string | undefined;
  readonly clusterSigningKeyFile: string | undefined;
}

/** A CA, and whether the server of the data directory believes it for clients. */
export interface OfflineCa {
  readonly authority: Authority;
  readonly clientTrust: ClientTrust;
}

const NONE = { certFile: undefined, keyFile: undefined };

/** Loads it. UsageError for half a pair; AppError `not_found`, `ca_invalid`, `file_permissions`. */
export async function openOfflineCa(
  settings: OfflineCaSettings,
  signerName: string,
  deps: SigningCaDeps & { readonly cwd: string },
): Promise<OfflineCa> {
  const dataDir = resolve(deps.cwd, settings.dataDir);
  const all = { certFile: settings.clusterSigningCertFile, keyFile: settings.clusterSigningKeyFile };
  if (all.certFile === undefined && all.keyFile === undefined) {
    const purpose = await isSplit(dataDir, deps.files) ? purposeOfSigner(signerName) : "serving";
    const authority = await readAuthority(authorityPaths(dataDir, purpose), deps.files, deps.keys);
    const isForClients = ["serving", "client", "kubelet-client"].includes(purpose);
    return { authority, clientTrust: isForClients ? "trusted" : "distrusted" };
  }
  const none = { kubeletServing: NONE, kubeletClient: NONE, kubeApiserverClient: NONE, legacyUnknown: NONE };
  // Kubernetes has no such command, so that nothing forbids to send the intermediates along.
  const flags = { all, ...none, withIssuers: true };
  const authority = await (await openSigningCas(flags, [signerName], deps)).authorities(signerName);
  if (authority === undefined) throw new AppError("internal", `no CA for "${signerName}"`);
  const own = parseCaBundle(await deps.files.readText(authorityPaths(dataDir).certificate) ?? "");
  // A distant API cannot be asked here: whoever names a CA of another one knows whose clients it makes.
  const isTrusted = own.ok && findClientTrust(authority, own.value) === true;
  return { authority, clientTrust: isTrusted ? "trusted" : "distrusted" };
}
