/** The cluster and credentials for the first certificate, and for a new one after that has expired. */
import { AppError } from "../core/errors.ts";
import type { ResolvedCluster } from "../core/kube/kubeconfig_context.ts";
import { readCluster } from "./transport/connect.ts";
import type { FilePort } from "./files.ts";

/**
 * Finds the cluster and the bootstrap credentials. It is called each time they are needed, so a new file takes effect.
 */
export type FindBootstrapCluster = (signal: AbortSignal) => Promise<ResolvedCluster>;

/** Finds the cluster in a bootstrap kubeconfig. AppError `kubeconfig_invalid`. */
export function bootstrapKubeconfig(path: string, files: FilePort): FindBootstrapCluster {
  return async () => {
    try {
      return await readCluster(path, files);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      throw new AppError(error.code, `unable to load bootstrap kubeconfig: ${error.message}`, {
        cause: error,
        hint: "create one with: tlsboot kubeconfig bootstrap",
      });
    }
  };
}

/**
 * Always fails with AppError `credentials_missing`: only `kubeconfigPath` was given, and its certificate is not valid.
 */
export function noBootstrapCredentials(kubeconfigPath: string): FindBootstrapCluster {
  return () =>
    Promise.reject(
      new AppError(
        "credentials_missing",
        `cannot request a certificate: "${kubeconfigPath}" has no valid one, and there are no bootstrap credentials`,
        { hint: "make a token with: tlsboot token create --print-join-command, and run the command it prints" },
      ),
    );
}
