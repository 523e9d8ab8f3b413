/**
 * Opens the keys of service account tokens, by the settings and rules of kube-apiserver
 * (`pkg/kubeapiserver/options/authentication.go`, `pkg/controlplane/apiserver/options/options.go`). By default the keys
 * are in the data directory, under kubeadm's names.
 */
import { resolve } from "node:path";
import { AppError } from "../../core/errors.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { checkDiscoverableIssuer, KEY_SET_PATH } from "../../core/service_accounts/issuer_documents.ts";
import { parseTokenKeys, parseTokenSigner, type TokenKey, type TokenSigner } from "../../core/service_accounts/jwt.ts";
import { checkPrivateFile } from "../../client/private_file.ts";
import type { ServiceAccountOptions } from "../../server/mod.ts";
import { FOLDER_MODE, PUBLIC_MODE, SECRET_MODE } from "../../client/files.ts";
import type { DataDir } from "../data_dir.ts";
import type { InstanceDeps } from "../deps.ts";
import type { ServiceAccountSettings } from "../settings.ts";
import { readRequiredFile } from "../named_files.ts";

/** The keys of tokens, and whether a new signing key was created. */
interface TokenKeys {
  readonly signer: TokenSigner;
  readonly keys: readonly TokenKey[];
  readonly isNew: boolean;
}

/** The dependencies of the options in addition to the settings. */
interface ServiceAccountPlace {
  readonly dir: DataDir;
  /** Whether other servers may use the same objects, and must accept the same tokens. */
  readonly isShared: boolean;
  /** Returns the URL at which clients reach this server. */
  readonly url: () => string;
}

/**
 * Opens the keys and reads the settings of service account tokens. AppError `usage`, `io`, `key_invalid`,
 * `file_permissions`.
 */
export async function openServiceAccounts(
  settings: ServiceAccountSettings,
  { dir, isShared, url }: ServiceAccountPlace,
  deps: InstanceDeps,
): Promise<ServiceAccountOptions> {
  const issuers = checkIssuers(settings.serviceAccountIssuer);
  const maxExpirationSeconds = checkMaxExpiration(settings.serviceAccountMaxTokenExpiration);
  const { signer, keys, isNew } = await openKeys(settings, dir, deps);
  const { apiAudiences, serviceAccountJwksUri } = settings;
  if (isNew && isShared) {
    deps.logger.warn(
      "this server made its own key for service account tokens, which other servers refuse; if there are others, copy " +
        "pki/sa.key and pki/sa.pub of the first one to all and start them again",
      { key: dir.tokenKey },
    );
  }
  const discoverable = checkDiscoverableIssuer(issuers[0]);
  if (!discoverable.ok) {
    deps.logger.info("the issuer of service account tokens is not discoverable", { reason: discoverable.error });
  }
  return {
    issuers,
    apiAudiences: apiAudiences.length === 0 ? issuers : apiAudiences,
    signer,
    keys,
    maxExpirationSeconds,
    extendsExpiration: settings.serviceAccountExtendTokenExpiration,
    jwksUri: discoverable.ok ? () => serviceAccountJwksUri ?? `${url()}${KEY_SET_PATH}` : undefined,
  };
}

function checkIssuers(issuers: readonly string[]): readonly [string, ...string[]] {
  const setting = "the setting serviceAccountIssuer";
  const [first, ...more] = issuers;
  if (first === undefined) {
    throw new AppError("usage", `${setting} is empty`, {
      hint: "give the name of the issuer, preferably an https URL",
    });
  }
  for (const [index, issuer] of issuers.entries()) {
    if (issuers.indexOf(issuer) < index) {
      throw new AppError("usage", `${setting}: "${issuer}" is given twice`, { hint: "give it once" });
    }
    if (!issuer.includes(":") || URL.canParse(issuer)) continue;
    throw new AppError("usage", `${setting}: "${issuer}" contains a colon but is not a URL`, {
      hint: "give an https URL",
    });
  }
  return [first, ...more];
}

const MIN_EXPIRATION_MS = 3_600_000;
const MAX_EXPIRATION_MS = 2 ** 32 * 1000;

function checkMaxExpiration(milliseconds: number): number {
  if (milliseconds === 0) return 0;
  if (milliseconds >= MIN_EXPIRATION_MS && milliseconds <= MAX_EXPIRATION_MS) return Math.floor(milliseconds / 1000);
  throw new AppError("usage", "the setting serviceAccountMaxTokenExpiration: want a duration from 1h to 2^32 seconds", {
    hint: "give such a duration, or 0 for no limit",
  });
}

/** Opens the keys of the settings and of the data directory. The list has each key once, including the signing key. */
async function openKeys(settings: ServiceAccountSettings, dir: DataDir, deps: InstanceDeps): Promise<TokenKeys> {
  const given: TokenKey[] = [];
  for (const path of settings.serviceAccountKeyFile) {
    given.push(...readKeys(await readRequiredFile(path, deps), path));
  }
  const { serviceAccountSigningKeyFile: path } = settings;
  const own = path === undefined ? await openOwnKeys(dir, deps) : await openGivenSigner(path, deps);
  const keys = new Map([...given, ...own.keys].map((key) => [key.id, key]));
  return { ...own, keys: [...keys.values()] };
}

async function openGivenSigner(path: string, deps: InstanceDeps): Promise<TokenKeys> {
  await checkPrivateFile(resolve(deps.cwd, path), deps.files);
  const signer = readSigner(await readRequiredFile(path, deps), path);
  return { signer, keys: [signer.key], isNew: false };
}

/**
 * Opens the keys of the data directory, and creates a signing key if there is none. The file of public keys also has
 * earlier keys: a new signing key is added to it, so that tokens of the previous one stay valid.
 */
async function openOwnKeys(dir: DataDir, deps: InstanceDeps): Promise<TokenKeys> {
  const { files, logger } = deps;
  const stored = await files.readText(dir.tokenKey);
  if (stored !== undefined) await checkPrivateFile(dir.tokenKey, files);
  const keyPem = stored ?? (await generatePrivateKey("ecdsa-p256")).toPem();
  const signer = readSigner(keyPem, dir.tokenKey);
  if (stored === undefined) {
    await files.makeDirectory(dir.pki, FOLDER_MODE);
    await files.writeAtomic(dir.tokenKey, keyPem, SECRET_MODE);
    logger.info("key for service account tokens created", { path: dir.tokenKey });
  }
  const publicPem = await files.readText(dir.tokenPublicKeys) ?? "";
  const known = publicPem === "" ? [] : readKeys(publicPem, dir.tokenPublicKeys);
  if (known.some(({ id }) => id === signer.key.id)) return { signer, keys: known, isNew: stored === undefined };
  await files.writeAtomic(dir.tokenPublicKeys, signer.key.toPem() + publicPem, PUBLIC_MODE);
  return { signer, keys: [signer.key, ...known], isNew: stored === undefined };
}

/** Creates a signing key in memory. */
export async function createTokenSigner(): Promise<TokenSigner> {
  return readSigner((await generatePrivateKey("ecdsa-p256")).toPem(), "a new key");
}

function readSigner(pem: string, path: string): TokenSigner {
  const signer = parseTokenSigner(pem);
  if (signer.ok) return signer.value;
  throw new AppError("key_invalid", `cannot sign service account tokens with "${path}": ${signer.error}`, {
    hint: "give an unencrypted RSA key, or an ECDSA key of the curve P-256, P-384 or P-521, as PEM",
  });
}

function readKeys(pem: string, path: string): readonly TokenKey[] {
  const keys = parseTokenKeys(pem);
  if (keys.ok) return keys.value;
  throw new AppError("key_invalid", `cannot verify service account tokens with "${path}": ${keys.error}`, {
    hint: "give RSA or ECDSA keys, public or private, as PEM",
  });
}
