/**
 * Stores a certificate and its key for any program. In a folder they are `tls.crt`, `tls.key` and, together, `tls.pem`:
 * all three are links through the link `..data`, as in a Secret volume, so replacing `..data` changes all three at
 * once. A kubeconfig is replaced as a whole.
 */
import { basename, dirname, join, resolve } from "node:path";
import { type FilePort, FOLDER_MODE, PUBLIC_MODE, SECRET_MODE, tryTemporaryNames } from "../files.ts";
import { checkSecretFolder } from "../private_file.ts";
import { readClientPair, readCluster } from "../transport/connect.ts";
import { AppError } from "../../core/errors.ts";
import { encodeKubeconfigEntry, type KubeconfigCluster } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { type CredentialPair, parseCredentialPair } from "../../core/machine/credential_pair.ts";
import type { ExistingCredentials } from "../../core/request/issued_certificate.ts";

/** A place for a certificate and its key, such as a folder or a kubeconfig. */
export interface CredentialTarget {
  /** The file that holds the key from before the request until its certificate is stored. */
  readonly pendingKeyPath: string;
  /** Reads the existing credentials, after completing an interrupted update. */
  existing(): Promise<ExistingCredentials>;
  /** Stores a pair in one step; the previous pair stays until then. */
  update(pair: CredentialPair): Promise<void>;
}

/** The absolute paths of the three files. */
export interface PairPaths {
  /** The certificate chain, leaf first. */
  readonly certificate: string;
  readonly key: string;
  /** The certificate chain, followed by the key. */
  readonly combined: string;
}

/** A folder that holds one pair. */
export interface PairFolder extends CredentialTarget {
  readonly paths: PairPaths;
}

const NAMES = { certificate: "tls.crt", key: "tls.key", combined: "tls.pem" } as const;
/** kubelet's name for this link (`pkg/volume/util/atomic_writer.go`). */
const DATA = "..data";
/** The folders of the current and the previous pair; each update writes to the other one. */
const SLOTS = ["..pair-1", "..pair-2"] as const;

/**
 * Opens a folder; nothing is created before `update`. `existing` refuses a world-writable folder: AppError
 * `file_permissions`.
 */
export function openPairFolder(folder: string, files: FilePort): PairFolder {
  const at = (name: string): string => join(resolve(folder), name);
  const paths = { certificate: at(NAMES.certificate), key: at(NAMES.key), combined: at(NAMES.combined) };
  return {
    paths,
    pendingKeyPath: at("tls.key.new"),
    async existing() {
      await checkSecretFolder(resolve(folder), files);
      if (await files.readLink(at(DATA)) !== undefined) await linkNames(at, files, "missing");
      const found = await Promise.all(Object.values(paths).map((path) => files.lstat(path)));
      if (found.every((facts) => facts === undefined)) return { kind: "none" };
      const [certificate, key] = [await files.readText(paths.certificate), await files.readText(paths.key)];
      if (certificate === undefined) return { kind: "unusable", reason: `"${paths.certificate}" is missing` };
      if (key === undefined) return { kind: "unusable", reason: `"${paths.key}" is missing` };
      const pair = parseCredentialPair(certificate, key);
      if (pair.ok) return { kind: "usable", leaf: pair.value.leaf };
      return { kind: "unusable", reason: `"${paths.certificate}" cannot be used: ${pair.error}` };
    },
    async update(pair) {
      const slot = await files.readLink(at(DATA)) === SLOTS[0] ? SLOTS[1] : SLOTS[0];
      const key = pair.keyPem.reveal();
      await files.makeDirectory(at(slot), FOLDER_MODE);
      await files.writeAtomic(join(at(slot), NAMES.key), key, SECRET_MODE);
      await files.writeAtomic(join(at(slot), NAMES.combined), pair.certificatePem + key, SECRET_MODE);
      await files.writeAtomic(join(at(slot), NAMES.certificate), pair.certificatePem, PUBLIC_MODE);
      await moveLink(slot, at(DATA), files);
      await linkNames(at, files, "all");
    },
  };
}

/** Links the file names through `..data`, except those that are linked already. */
async function linkNames(at: (name: string) => string, files: FilePort, which: "missing" | "all"): Promise<void> {
  for (const name of Object.values(NAMES)) {
    const target = `${DATA}/${name}`;
    if (which === "missing" && await files.lstat(at(name)) !== undefined) continue;
    if (await files.readLink(at(name)) !== target) await moveLink(target, at(name), files);
  }
}

/** Replaces whatever is at `path` with a link, in one rename. */
async function moveLink(target: string, path: string, files: FilePort): Promise<void> {
  const temporary = await tryTemporaryNames(path, async (number) => {
    const candidate = join(dirname(path), `.${basename(path)}.${number}.link`);
    await files.symlink(target, candidate);
    return candidate;
  });
  try {
    await files.rename(temporary, path);
  } catch (error) {
    // If this fails too, the link stays; the first error explains why.
    await files.unlink(temporary).catch(() => {});
    throw error;
  }
}

/** The contents of a kubeconfig apart from the certificate and its key. */
interface KubeconfigTargetOptions {
  /** The absolute path of the file. */
  readonly path: string;
  readonly clusterName: string;
  readonly cluster: KubeconfigCluster;
  readonly userName: string;
  readonly files: FilePort;
}

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
