/**
 * Whether a kubeconfig makes bootstrapping unnecessary: kubelet's `isClientConfigStillValid`
 * (`pkg/kubelet/certificate/bootstrap/bootstrap.go`).
 */
import type { CredentialPair } from "../core/bootstrap/credential_pair.ts";
import { AppError } from "../core/errors.ts";
import type { ResolvedCluster } from "../core/kube/kubeconfig_context.ts";
import { formatTime } from "../core/kube/meta.ts";
import type { Clock } from "../core/ports.ts";
import { err, ok, type Result } from "../core/lib/result.ts";
import { type Connect, readClientPair, readCluster } from "./transport/connect.ts";
import type { FilePort } from "./files.ts";

/** Whether a kubeconfig exists, and whether its credentials can be used. */
export type KubeconfigValidity =
  | { readonly kind: "missing" }
  /** `reason` is a sentence that names the file. */
  | { readonly kind: "invalid"; readonly reason: string }
  | { readonly kind: "valid"; readonly cluster: ResolvedCluster; readonly pair: CredentialPair };

/**
 * Checks a kubeconfig. It is valid when it and its files load, it has a client certificate, and no certificate of the
 * chain has expired. notBefore, issuer, subject and server are not checked. AppError `io` when the path cannot be read.
 */
export async function checkKubeconfig(
  path: string,
  deps: { readonly files: FilePort; readonly clock: Clock; readonly connect: Connect },
): Promise<KubeconfigValidity> {
  const { files, clock } = deps;
  if (await files.stat(path) === undefined) return { kind: "missing" };
  const cluster = await attempt(() => readCluster(path, files));
  if (!cluster.ok) return invalid(cluster.error);
  if (cluster.value.clientCertificate === undefined) {
    return invalid(`kubeconfig "${path}" names no client certificate`);
  }
  const pair = await attempt(() => readClientPair(cluster.value, files));
  const transport = await attempt(async () => await (await deps.connect(cluster.value))[Symbol.asyncDispose]());
  if (!pair.ok) return invalid(pair.error);
  if (!transport.ok) return invalid(transport.error);
  const now = clock.now();
  const expired = pair.value.chain.find((certificate) => certificate.notAfter < now);
  if (expired !== undefined) {
    const time = formatTime(expired.notAfter);
    return invalid(`the client certificate of kubeconfig "${path}" expired at ${time}`);
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
