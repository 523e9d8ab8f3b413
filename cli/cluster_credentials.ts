/** Finds the credentials of the first request: a bootstrap kubeconfig, or a token and the hash of the CA. */
import { resolve } from "node:path";
import { createKubeconfigFinder, type FindBootstrapCluster } from "../client/bootstrap.ts";
import { discoverCluster, type DiscoveryProgress } from "../client/discover_cluster.ts";
import type { FilePort } from "../client/files.ts";
import { AppError } from "../core/errors.ts";
import type { Secret } from "../core/lib/brand.ts";
import type { Tools } from "./io.ts";
import type { PublicKeyPin } from "../core/pki/keys/key_names.ts";
import { type BootstrapToken, parseBootstrapToken } from "../core/token/token_secret.ts";
import { UsageError } from "./exit_code.ts";

interface CredentialTools extends Tools {
  readonly onProgress: (event: DiscoveryProgress) => void;
}

interface CredentialSettings {
  readonly server: string | undefined;
  readonly token: Secret<string> | undefined;
  readonly tokenFile: string | undefined;
  readonly caCertHash: readonly PublicKeyPin[];
  /** How long to wait for the cluster, in milliseconds. */
  readonly timeout: number;
}

/** Removes the credentials that come from variables, in favour of a file. */
export function preferFile<S extends CredentialSettings>(settings: S): S {
  return { ...settings, server: undefined, token: undefined, tokenFile: undefined, caCertHash: [] };
}

/** kubeadm's time limit for discovery. The command as a whole may wait longer. */
export const DISCOVERY_SECONDS = 300;

/**
 * Chooses how to find the cluster: with the kubeconfig at `path`, with the settings, or with `otherwise`. Throws
 * UsageError for incomplete settings. Files are read only when the cluster is looked up.
 */
export function createClusterFinder(
  settings: CredentialSettings,
  { path, hint }: { readonly path: string | undefined; readonly hint?: string },
  otherwise: FindBootstrapCluster,
  tools: CredentialTools,
): FindBootstrapCluster {
  const { cwd, clock, files, connect, onProgress } = tools;
  const { server, caCertHash: pins } = settings;
  const hasToken = settings.token !== undefined || settings.tokenFile !== undefined;
  const hasCredentials = server !== undefined || hasToken || pins.length > 0;
  if (path !== undefined) return createKubeconfigFinder(resolve(cwd, path), files, hint);
  if (!hasCredentials) return otherwise;
  if (server === undefined) throw new UsageError("a token and a hash need --server, the address of the cluster");
  if (!hasToken) {
    throw new UsageError("--server needs --token or --token-file", "make a token with: tlsboot token create");
  }
  if (pins.length === 0) {
    throw new UsageError(
      "--server needs --ca-cert-hash, to verify the cluster",
      "tlsboot ca show prints it at the CA, and tlsboot token create -o command prints the whole command",
    );
  }
  const readToken = createTokenReader(settings, tools);
  return async (signal) => {
    const token = await readToken(signal);
    const waitSeconds = Math.min(settings.timeout / 1000, DISCOVERY_SECONDS);
    return await discoverCluster({ server, token, pins, connect, clock, waitSeconds, onProgress }, signal);
  };
}

function createTokenReader(
  { token, tokenFile }: CredentialSettings,
  { cwd, stdin, files }: Tools,
): (signal: AbortSignal) => Promise<BootstrapToken> {
  if (tokenFile !== undefined) return () => readTokenFile(resolve(cwd, tokenFile), files);
  const text = token?.reveal() ?? "";
  if (text !== "-") {
    const parsed = parseToken(text);
    return () => Promise.resolve(parsed);
  }
  let read: Promise<BootstrapToken> | undefined;
  return (signal) => read ??= stdin.readAll(signal).then((input) => parseToken(input.trim()));
}

function parseToken(text: string): BootstrapToken {
  const token = parseBootstrapToken(text);
  if (token.ok) return token.value;
  throw new UsageError(`cannot use --token: ${token.error}`);
}

async function readTokenFile(path: string, files: FilePort): Promise<BootstrapToken> {
  const text = await files.readText(path);
  const token = text === undefined ? undefined : parseBootstrapToken(text.trim());
  if (token?.ok === true) return token.value;
  const why = token === undefined ? "file does not exist" : token.error;
  throw new AppError("token_invalid", `cannot read the token in "${path}": ${why}`, {
    hint: "make a token with: tlsboot token create, and put it into the file",
  });
}
