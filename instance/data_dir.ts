/** The layout of a data directory (`dataDir`), and the format of its files. */
import { join } from "node:path";
import { authorityPaths } from "./authority/layout.ts";
import { type FilePort, PUBLIC_MODE } from "../client/files.ts";
import { AppError } from "../core/errors.ts";

/** The paths in one data directory. */
export interface DataDir {
  readonly root: string;
  readonly pki: string;
  readonly caCertificate: string;
  readonly caKey: string;
  readonly servingCertificate: string;
  readonly servingKey: string;
  /** The key that signs service account tokens, under kubeadm's name. */
  readonly tokenKey: string;
  /** The public keys of the accepted tokens, under kubeadm's name. */
  readonly tokenPublicKeys: string;
  /** The key that seals the exchange of proofs. */
  readonly attestationKey: string;
  readonly database: string;
  /** The file that names the etcd with the objects, when they are not in the database. */
  readonly etcdPlace: string;
  /** The issued certificates of earlier builds, until they are in the register. */
  readonly issued: string;
  /** The records of certificates that commands signed without the server (`instance/authority/issued_log.ts`). */
  readonly issuedLog: string;
  readonly adminKubeconfig: string;
  readonly bootstrapKubeconfig: string;
  /** The bootstrap kubeconfig of web servers (the setting `webDomain`). */
  readonly webKubeconfig: string;
  /** The folder with the nodes of a demo. */
  readonly nodes: string;
}

/** The file name of `etcdPlace`. A backup omits this file, because it is valid for one place only. */
export const ETCD_PLACE_NAME = "etcd.yaml";

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
    tokenKey: join(pki, "sa.key"),
    tokenPublicKeys: join(pki, "sa.pub"),
    attestationKey: join(pki, "attestation.key"),
    database: join(root, "tlsboot.db"),
    etcdPlace: join(root, ETCD_PLACE_NAME),
    issued: join(root, "issued-certificates.jsonl"),
    issuedLog: join(root, "issued.jsonl"),
    adminKubeconfig: join(root, "admin.kubeconfig"),
    bootstrapKubeconfig: join(root, "bootstrap.kubeconfig"),
    webKubeconfig: join(root, "web.kubeconfig"),
    nodes: join(root, "nodes"),
  };
}

/**
 * The format that this build writes: a number in the file `format` of a data directory, for the layout and the content of
 * its files. The database has its own number (`server/storage`). A build opens the format of every earlier build and
 * refuses a later one (docs/decisions/0015-data-format.md).
 */
export const DATA_FORMAT = 1;

/** Refuses a data directory of a newer build, without changing it. AppError `format_unknown`. */
export async function assertKnownFormat(root: string, files: Pick<FilePort, "readText">): Promise<void> {
  await readFormat(root, files);
}

/**
 * Like `assertKnownFormat`, but writes a missing number: the directory is new, or older than the number. AppError
 * `invalid` when an interrupted restore has moved the old directory aside, because a new one would get another CA.
 */
export async function ensureFormat(root: string, files: Pick<FilePort, "readText" | "writeAtomic">): Promise<void> {
  if (await readFormat(root, files) !== undefined) return;
  const restoring = toRestoringPath(root);
  if (await readFormat(restoring, files) !== undefined) {
    throw new AppError("invalid", `cannot use data directory "${root}": a restore into it was interrupted`, {
      hint: `run tlsboot restore again, or remove "${restoring}"; the folder that it replaces may be next to it`,
    });
  }
  await files.writeAtomic(formatPath(root), `${DATA_FORMAT}\n`, PUBLIC_MODE);
}

/** Returns the path of the folder in which a restore builds a data directory. */
export function toRestoringPath(root: string): string {
  return `${root}.restoring`;
}

/** Reads the number; undefined when there is none. */
async function readFormat(root: string, files: Pick<FilePort, "readText">): Promise<number | undefined> {
  const text = (await files.readText(formatPath(root)))?.trim();
  if (text === undefined) return undefined;
  if (/^[1-9]\d*$/.test(text)) {
    const format = Number(text);
    if (format <= DATA_FORMAT) return format;
    throw new AppError(
      "format_unknown",
      `cannot use data directory "${root}": it has format ${format}, but this program knows only ${DATA_FORMAT}`,
      { hint: "use the newer tlsboot that wrote it, or another folder with the setting dataDir" },
    );
  }
  throw new AppError("format_unknown", `cannot use data directory "${root}": its file "format" has no number`, {
    hint:
      `write ${DATA_FORMAT} into it if this tlsboot made the folder, or choose another folder with the setting dataDir`,
  });
}

function formatPath(root: string): string {
  return join(root, "format");
}
