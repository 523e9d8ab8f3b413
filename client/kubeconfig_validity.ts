/** Is there anything left to do? kubelet's `isClientConfigStillValid` (`kubelet-bootstrap.md` §3). */
import type { CredentialPair } from "../core/bootstrap/credential_pair.ts";
import { AppError, messageOf } from "../core/errors.ts";
import type { ResolvedCluster } from "../core/kube/kubeconfig_context.ts";
import { formatTime } from "../core/kube/meta.ts";
import type { Clock } from "../core/ports.ts";
import { err, ok, type Result } from "../core/result.ts";
import { type Connect, readClientPair, readCluster } from "./connect.ts";
import type { FilePort } from "./files.ts";

/** What a kubeconfig is worth. */
export type KubeconfigValidity =
  | { readonly kind: "missing" }
  /** `reason` is kubelet's text. */
  | { readonly kind: "invalid"; readonly reason: string }
  | { readonly kind: "valid"; readonly cluster: ResolvedCluster; readonly pair: CredentialPair };

/**
 * Valid means: it loads, its files do too, it has a client certificate, and no certificate of the chain has expired.
 * notBefore, issuer, subject and server are not looked at. A path that cannot be looked at is AppError `io`.
 */
export async function checkKubeconfig(
  path: string,
  deps: { readonly files: FilePort; readonly clock: Clock; readonly connect: Connect },
): Promise<KubeconfigValidity> {
  const { files, clock } = deps;
  const facts = await files.stat(path).catch((error: unknown) => {
    throw new AppError("io", `error reading existing bootstrap kubeconfig ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  });
  if (facts === undefined) return { kind: "missing" };
  const cluster = await attempt(() => readCluster(path, files));
  if (!cluster.ok) return invalid(`unable to read existing bootstrap client config from ${path}: ${cluster.error}`);
  if (cluster.value.clientCertificate === undefined) {
    return invalid(
      `unable to load TLS certificates from existing bootstrap client config read from ${path}: ` +
        "data does not contain any valid RSA or ECDSA certificates",
    );
  }
  const pair = await attempt(() => readClientPair(cluster.value, files));
  const transport = await attempt(async () => await (await deps.connect(cluster.value))[Symbol.asyncDispose]());
  const fault = pair.ok ? transport.ok ? undefined : transport.error : pair.error;
  if (!pair.ok || fault !== undefined) {
    return invalid(
      `unable to load TLS configuration from existing bootstrap client config read from ${path}: ${fault}`,
    );
  }
  const now = clock.now();
  const expired = pair.value.chain.find((certificate) => certificate.notAfter < now);
  if (expired !== undefined) {
    const time = formatTime(expired.notAfter);
    return invalid(`part of the existing bootstrap client certificate in ${path} is expired: ${time}`);
  }
  return { kind: "valid", cluster: cluster.value, pair: pair.value };
}

function invalid(reason: string): KubeconfigValidity {
  return { kind: "invalid", reason };
}

async function attempt<T>(operation: () => Promise<T>): Promise<Result<T, string>> {
  try {
    return ok(await operation());
  } catch (error) {
    if (error instanceof AppError) return err(error.message);
    throw error;
  }
}
