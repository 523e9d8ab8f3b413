/** Whom to ask for the first certificate, and again once it has expired: a bootstrap kubeconfig, or nobody. */
import { AppError } from "../core/errors.ts";
import type { ResolvedCluster } from "../core/kube/kubeconfig_context.ts";
import { readCluster } from "./connect.ts";
import type { FilePort } from "./files.ts";

/** Finds the cluster with credentials that may ask; called each time they are needed, so that a new file counts. */
export type FindBootstrapCluster = (signal: AbortSignal) => Promise<ResolvedCluster>;

/** Reads a bootstrap kubeconfig. AppError `kubeconfig_invalid`. */
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

/** There are none: AppError `credentials_missing`, because of `kubeconfigPath`, which is all that was given. */
export function noBootstrapCredentials(kubeconfigPath: string): FindBootstrapCluster {
  return () =>
    Promise.reject(
      new AppError(
        "credentials_missing",
        `cannot ask for a certificate: "${kubeconfigPath}" has none that is valid, and there are no bootstrap credentials`,
        { hint: "make a token with: tlsboot token create --print-join-command, and run the command it prints" },
      ),
    );
}
