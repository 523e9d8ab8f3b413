/** Examines a data directory: its secrets, its CAs, and the certificates that the server and the administrator use. */
import { join } from "node:path";
import {
  checkAuthorities,
  checkChains,
  checkExpiry,
  checkKeyPairs,
  checkStrictly,
  type StoredPair,
} from "../../../core/doctor/certificates.ts";
import { type Finding, reportCheck } from "../../../core/doctor/finding.ts";
import { checkSecretFiles, checkSecretFolders } from "../../../core/doctor/secrets.ts";
import { isSelfSigned } from "../../../core/pki/authority_chain.ts";
import { shellWord } from "../../../core/lib/shell_word.ts";
import { dataDirAt } from "../../instance/data_dir.ts";
import { type Examined, type ExamineDeps, showPath } from "./examine.ts";
import {
  type FoundFile,
  inspectSecret,
  inspectSecretFolder,
  readFolder,
  readKubeconfigParts,
  toKeys,
  toPairs,
  toSeen,
} from "./files.ts";

/** Examines the data directory at an absolute path. */
export async function examineDataDir(root: string, deps: ExamineDeps): Promise<Examined> {
  const dir = dataDirAt(root);
  const word = shellWord(showPath(root, deps));
  const files = [...await readFolder(root, deps), ...await readFolder(dir.pki, deps)];
  const renew = (file: FoundFile): Pick<StoredPair, "renewal" | "isRenewed"> => {
    // A running server makes a missing serving certificate within a minute, and a stopped one when it starts.
    if (file.path === dir.servingCertificate) {
      return {
        isRenewed: true,
        renewal: `rm -f ${shellWord(showPath(dir.servingCertificate, deps))} ${
          shellWord(showPath(dir.servingKey, deps))
        }`,
      };
    }
    if (file.path === dir.adminKubeconfig) return { isRenewed: true, renewal: renewAdmin(file, word) };
    return {};
  };
  return await examineStored({
    target: showPath(root, deps),
    files,
    folders: [root, dir.pki],
    extraSecrets: [dir.database, `${dir.database}-wal`],
    renew,
  }, deps);
}

/** The command that writes the administrator's kubeconfig anew, for the same server. */
function renewAdmin({ kubeconfig }: FoundFile, dataDirWord: string): string {
  const server = kubeconfig?.clusters[0]?.cluster.server;
  return `tlsboot kubeconfig admin --data-dir ${dataDirWord} --force` +
    (server === undefined ? "" : ` --server ${shellWord(server)}`);
}

/** Examines a folder of CAs and certificates that is not a data directory, such as `/etc/kubernetes/pki`. */
export async function examineCaFolder(root: string, deps: ExamineDeps): Promise<Examined> {
  const folders = [root, join(root, "etcd")];
  const files = (await Promise.all(folders.map((folder) => readFolder(folder, deps)))).flat();
  return await examineStored(
    { target: showPath(root, deps), files, folders, extraSecrets: [], renew: () => ({}) },
    deps,
  );
}

/** The files of one target. */
export interface StoredFiles {
  readonly target: string;
  readonly files: readonly FoundFile[];
  /** The folders that only their owner may write to. */
  readonly folders: readonly string[];
  /** Secrets that are neither PEM files nor kubeconfigs. */
  readonly extraSecrets: readonly string[];
  readonly renew: (file: FoundFile) => Pick<StoredPair, "renewal" | "isRenewed">;
}

/** Runs the checks of certificates, keys and modes over the files of a target. */
export async function examineStored(
  { target, files, folders, extraSecrets, renew }: StoredFiles,
  deps: ExamineDeps,
): Promise<Examined> {
  const now = deps.io.clock.now();
  const pairs = toPairs(files, renew);
  const parts = await Promise.all(
    files.filter(({ kubeconfig }) => kubeconfig !== undefined).map((file) =>
      readKubeconfigParts(file, deps, renew(file))
    ),
  );
  const users = parts.flatMap((part) => part.users);
  const authorities = pairs.filter(({ chain: [first] }) => first?.isCa === true);
  const leaves = [...pairs.filter(({ chain: [first] }) => first?.isCa === false), ...users];
  // The top of each CA file is what its clients trust, whether it is a root or not.
  const trusted = authorities.flatMap(({ chain }) =>
    chain.filter((one, index) => isSelfSigned(one) || index === chain.length - 1)
  );
  const secrets = await Promise.all(
    [...files.filter(({ isSecret }) => isSecret).map(({ path }) => path), ...extraSecrets].map((path) =>
      inspectSecret(path, deps)
    ),
  );
  const openFolders = (await Promise.all(folders.map((folder) => inspectSecretFolder(folder, deps)))).flat();
  const report = (check: string, faults: Parameters<typeof reportCheck>[1], okMessage: string): readonly Finding[] =>
    reportCheck({ check, target }, faults, okMessage);
  const unreadable = files.filter(({ error }) => error !== undefined);
  return {
    findings: [
      ...report(
        "readable",
        unreadable.map(({ shown, error = "" }) => ({
          severity: "error",
          message: `"${shown}" cannot be read: ${error}`,
        })),
        `${files.length} files with certificates and keys can be read`,
      ),
      ...report("secret-files", checkSecretFiles(secrets), `${secrets.length} files with secrets are private`),
      ...report("secret-folders", checkSecretFolders(openFolders), "only the owner may write to the folders"),
      ...report("key-pair", checkKeyPairs([...pairs, ...users], toKeys(files)), "each key belongs to its certificate"),
      ...report(
        "chain",
        // A file of CAs without a key is a bundle, whose order does not matter.
        checkChains([...leaves, ...authorities.filter(({ keyFile }) => keyFile !== undefined)], trusted, pairs),
        "each certificate is followed by its issuers",
      ),
      ...report("expiry", checkExpiry(leaves, now), "no certificate has ended or is renewed too late"),
      ...report(
        "ca-expiry",
        checkAuthorities(authorities, leaves, now),
        "each CA lasts for more than a year and longer than what it signed",
      ),
      ...report(
        "strict-verifiers",
        checkStrictly([...authorities, ...leaves]),
        "strict verifiers such as Python 3.13 accept the certificates",
      ),
    ],
    certificates: [...toSeen(files), ...parts.flatMap(({ seen }) => seen)],
    unreadable: unreadable.map(({ path }) => path),
  };
}
