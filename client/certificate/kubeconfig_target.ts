/** A kubeconfig as the place of a client certificate: cluster, certificate and key in one file. */
import { AppError } from "../../core/errors.ts";
import { encodeKubeconfigEntry, type KubeconfigCluster } from "../../core/kube/kubeconfig/kubeconfig.ts";
import type { FilePort } from "../files.ts";
import { readClientPair, readCluster } from "../transport/connect.ts";
import type { CredentialTarget } from "./pair_folder.ts";

/** The contents of a kubeconfig apart from the certificate and its key. */
export interface KubeconfigTargetOptions {
  /** The absolute path of the file. */
  readonly path: string;
  readonly clusterName: string;
  readonly cluster: KubeconfigCluster;
  readonly userName: string;
  readonly files: FilePort;
}

const SECRET_MODE = 0o600;

/** Creates a target that stores cluster, certificate and key in one kubeconfig, replaced by one rename. */
export function createKubeconfigTarget(options: KubeconfigTargetOptions): CredentialTarget {
  const { path, clusterName, cluster, userName, files } = options;
  return {
    pendingKeyPath: `${path}.key.new`,
    async existing() {
      if (await files.lstat(path) === undefined) return { kind: "none" };
      try {
        return { kind: "usable", leaf: (await readClientPair(await readCluster(path, files), files)).leaf };
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        return { kind: "unusable", reason: `"${path}" exists` };
      }
    },
    async update(pair) {
      const user = { clientCertificateData: pair.certificatePem, clientKeyData: pair.keyPem };
      const text = encodeKubeconfigEntry(clusterName, { cluster, userName, user });
      await files.writeAtomic(path, text, SECRET_MODE);
    },
  };
}
