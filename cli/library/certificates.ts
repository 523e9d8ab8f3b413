/** `loadAuthority` and `signCertificate` of `mod.ts`: a CA in a folder, and certificates from it, without an API. */
import { resolve } from "node:path";
import { AppError } from "../../core/errors.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { decideClientTrust, DEFAULT_SIGNING_SECONDS } from "../../core/signing/plan.ts";
import { BUILTIN_SIGNERS, type SigningProfile } from "../../core/signing/profile.ts";
import { hasSplitAuthorities, readAuthority } from "../../instance/authority/files.ts";
import { ensureAuthorities } from "../../instance/authority/instance_authorities.ts";
import { authorityPaths, getSignerPurpose } from "../../instance/authority/layout.ts";
import { signRequest } from "../sign_request.ts";
import { createLibraryDeps, createSystemPorts, type SystemPorts } from "./defaults.ts";

/** How a CA is found and opened. */
export interface AuthoritySettings extends Partial<SystemPorts> {
  /** Creates the CA, valid for ten years, where there is none. */
  readonly create?: boolean;
  /** The signer whose CA is wanted, for a folder with a CA for each purpose (`tlsboot ca init --split`). */
  readonly signerName?: string;
  /** The path of a file with the passphrase of the key. */
  readonly passphraseFile?: string;
}

/**
 * Loads the CA of a data directory: `pki/ca.crt` and `pki/ca.key`, as `tlsboot ca init` writes them. Throws AppError
 * `not_found`, `ca_invalid`, `file_permissions`, `passphrase_missing` or `passphrase_wrong`.
 */
export async function loadAuthority(dir: string, settings: AuthoritySettings = {}): Promise<Authority> {
  const { create = false, signerName, passphraseFile } = settings;
  const root = resolve(dir);
  const deps = createLibraryDeps(settings, passphraseFile, new AbortController().signal);
  if (create) await ensureAuthorities(root, deps);
  const isSplit = await hasSplitAuthorities(root, deps.files);
  const purpose = isSplit && signerName !== undefined ? getSignerPurpose(signerName) : "serving";
  return await readAuthority(authorityPaths(root, purpose), deps.files, deps.keys);
}

/** A request, and the rules for its certificate. */
export interface SignSettings extends Partial<SystemPorts> {
  /** The request (PKCS#10): PEM, or DER. */
  readonly request: string | Uint8Array;
  /** One of Kubernetes' signers, or the signer of `profile`. */
  readonly signerName: string;
  /** The rules of a custom signer. */
  readonly profile?: SigningProfile;
  /** The usages of the certificate; by default those of the signer. */
  readonly usages?: readonly string[];
  /** The requested lifetime; by default the longest that the signer grants. */
  readonly expirationSeconds?: number;
  /** The longest lifetime that the signer grants; a year by default. */
  readonly signingDurationSeconds?: number;
  /**
   * Whether an API accepts client certificates of this CA. A custom signer with such a CA issues none for clients, because
   * they would name any user of that API. By default it is unknown, and treated as yes.
   */
  readonly isTrustedForClients?: boolean;
  /** Whether requests for ML-DSA keys are signed. Default: false. */
  readonly allowMlDsa?: boolean;
}

/**
 * Signs a request by the rules of a signer, without approval, and returns the certificate and its intermediates, PEM.
 * Throws AppError `csr_denied` with the reason when the rules refuse the request, `invalid` when it is none, `ca_expired`.
 */
export async function signCertificateFor(authority: Authority, settings: SignSettings): Promise<string> {
  const { request, signerName, usages = [], expirationSeconds, isTrustedForClients } = settings;
  const profile = settings.profile ?? BUILTIN_SIGNERS.get(signerName);
  if (profile === undefined) throw new AppError("invalid", `cannot sign for "${signerName}": it has no profile`);
  return await signRequest(
    typeof request === "string" ? new TextEncoder().encode(request) : request,
    "request",
    {
      profile,
      authority,
      clientTrust: decideClientTrust(signerName, isTrustedForClients),
      asked: { signerName, usages, expirationSeconds },
      signingDurationSeconds: settings.signingDurationSeconds ?? DEFAULT_SIGNING_SECONDS,
      allowMlDsa: settings.allowMlDsa ?? false,
      chain: profile.chain !== false,
    },
    createSystemPorts(settings),
  );
}
