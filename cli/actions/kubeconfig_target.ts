/** A kubeconfig as the place where a certificate goes: cluster, certificate and key in one file, replaced in one rename. */
import { readClientPair, readCluster } from "../../client/connect.ts";
import type { CredentialTarget } from "../../client/credential_target.ts";
import type { FilePort } from "../../client/files.ts";
import { AppError } from "../../core/errors.ts";
import type { KubeconfigCluster } from "../../core/kube/kubeconfig.ts";
import { SECRET_MODE } from "../instance/data_dir.ts";
import { encodeEntry } from "./kubeconfig_file.ts";

/** What the file says beside the certificate. */
export interface KubeconfigTargetOptions {
  /** Absolute. */
  readonly path: string;
  readonly clusterName: string;
  readonly cluster: KubeconfigCluster;
  readonly userName: string;
  readonly files: FilePort;
}

/** The kubeconfig of one user. */
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
      await files.writeAtomic(path, encodeEntry(clusterName, { cluster, userName, user }), SECRET_MODE);
    },
  };
}
