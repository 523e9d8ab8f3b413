/** What lies where below `--data-dir`: the contract of design section 2. */
import { join } from "node:path";
import { authorityPaths } from "../authority/layout.ts";

/** Paths of one data directory. */
export interface DataDir {
  readonly root: string;
  readonly pki: string;
  readonly caCertificate: string;
  readonly caKey: string;
  readonly servingCertificate: string;
  readonly servingKey: string;
  readonly database: string;
  /** Says in which etcd the objects are, where they are in none of the folder's own database. */
  readonly etcdPlace: string;
  /** What was issued and has not ended, from one run to the next. */
  readonly issued: string;
  readonly adminKubeconfig: string;
  readonly bootstrapKubeconfig: string;
  /** A demo's nodes. */
  readonly nodes: string;
}

/** The name of `etcdPlace`, which belongs to the place of a folder and not to what is moved. */
export const ETCD_PLACE_NAME = "etcd.yaml";

/** Modes of folders, and of everything that holds a secret. */
export const FOLDER_MODE = 0o700;
export const SECRET_MODE = 0o600;
/** Certificates are public. */
export const PUBLIC_MODE = 0o644;

/** The layout below an absolute path. */
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
