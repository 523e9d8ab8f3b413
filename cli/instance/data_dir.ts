/** The layout of a data directory (`--data-dir`). */
import { join } from "node:path";
import { authorityPaths } from "../authority/layout.ts";

/** The paths in one data directory. */
export interface DataDir {
  readonly root: string;
  readonly pki: string;
  readonly caCertificate: string;
  readonly caKey: string;
  readonly servingCertificate: string;
  readonly servingKey: string;
  readonly database: string;
  /** Names the etcd that holds the objects, when they are not in the database. */
  readonly etcdPlace: string;
  /** The issued certificates that have not expired, kept between runs. */
  readonly issued: string;
  readonly adminKubeconfig: string;
  readonly bootstrapKubeconfig: string;
  /** The folder with the nodes of a demo. */
  readonly nodes: string;
}

/** The file name of `etcdPlace`. A restore does not take this file from a backup, because it belongs to one place. */
export const ETCD_PLACE_NAME = "etcd.yaml";

/** The mode of folders in a data directory. */
export const FOLDER_MODE = 0o700;
/** The mode of files that hold a secret. */
export const SECRET_MODE = 0o600;
/** The mode of certificates and other public files. */
export const PUBLIC_MODE = 0o644;

/** Returns the paths in the data directory at an absolute path. */
export function dataDirAt(root: string): DataDir {
  const pki = join(root, "pki");
  const ca = authorityPaths(root);
  return {
    root,
    pki,
    caCertificate: ca.certificate,
    caKey: ca.key,
    servingCertificate: join(pki, "apiserver.crt"),
    servingKey: join(pki, "apiserver.key"),
    database: join(root, "tlsboot.db"),
    etcdPlace: join(root, ETCD_PLACE_NAME),
    issued: join(root, "issued-certificates.jsonl"),
    adminKubeconfig: join(root, "admin.kubeconfig"),
    bootstrapKubeconfig: join(root, "bootstrap.kubeconfig"),
    nodes: join(root, "nodes"),
  };
}
