/** Runs the checks of certificates, keys and modes over the files of any target. */
import {
  checkAuthorities,
  checkChains,
  checkExpiry,
  checkKeyPairs,
  checkStrictly,
  didIssue,
} from "../../../core/doctor/certificates.ts";
import { reportOn } from "../../../core/doctor/finding.ts";
import { checkSecretFiles, checkSecretFolders } from "../../../core/doctor/secrets.ts";
import { isSelfSigned } from "../../../core/pki/authority_chain.ts";
import type { Examined, ExamineDeps } from "../../../client/health/examine.ts";
import {
  checkReadable,
  type FoundFile,
  inspectSecret,
  inspectSecretFolder,
  readKubeconfigParts,
  type Renewal,
  toKeys,
  toPairs,
  toSeen,
} from "../../../client/health/files.ts";

/** The files of one target. */
export interface StoredFiles {
  readonly target: string;
  readonly files: readonly FoundFile[];
  /** The folders that only their owner may write to. */
  readonly folders: readonly string[];
  /** Secrets that are neither PEM files nor kubeconfigs. */
  readonly extraSecrets: readonly string[];
  readonly renew: (file: FoundFile) => Renewal;
}

/** Runs the checks of certificates, keys and modes over the files of a target. */
export async function examineStored(
  { target, files, folders, extraSecrets, renew }: StoredFiles,
  deps: ExamineDeps,
): Promise<Examined> {
  const now = deps.clock.now();
  const pairs = toPairs(files, renew);
  const parts = await Promise.all(
    files.filter(({ kubeconfig }) => kubeconfig !== undefined).map((file) =>
      readKubeconfigParts(file, deps, renew(file))
    ),
  );
  const users = parts.flatMap((part) => part.users);
  const authorities = pairs.filter(({ chain: [first] }) => first?.isCa === true);
  const leaves = [...pairs.filter(({ chain: [first] }) => first?.isCa === false), ...users];
  // Clients trust the roots, and an intermediate only where its issuer is not known.
  const known = authorities.flatMap(({ chain }) => chain);
  const trusted = known.filter((one) =>
    isSelfSigned(one) || !known.some((other) => other !== one && didIssue(other, one))
  );
  const secrets = await Promise.all(
    [...files.filter(({ isSecret }) => isSecret).map(({ path }) => path), ...extraSecrets].map((path) =>
      inspectSecret(path, deps)
    ),
  );
  const openFolders = (await Promise.all(folders.map((folder) => inspectSecretFolder(folder, deps)))).flat();
  const report = reportOn(target);
  const unreadable = files.filter(({ error }) => error !== undefined);
  return {
    findings: [
      ...report.check("readable", checkReadable(unreadable)),
      ...report.check("secret-files", checkSecretFiles(secrets)),
      ...report.check("secret-folders", checkSecretFolders(openFolders)),
      ...report.check("key-pair", checkKeyPairs([...pairs, ...users], toKeys(files))),
      ...report.check(
        "chain",
        // A file of CAs without a key is a bundle, whose order does not matter.
        checkChains([...leaves, ...authorities.filter(({ keyFile }) => keyFile !== undefined)], trusted, pairs),
      ),
      ...report.check("expiry", checkExpiry(leaves, now)),
      ...report.check("ca-expiry", checkAuthorities(authorities, leaves, now)),
      ...report.check("strict-verifiers", checkStrictly([...authorities, ...leaves])),
    ],
    certificates: [...toSeen(files), ...parts.flatMap(({ seen }) => seen)],
    unreadable: unreadable.map(({ path }) => path),
  };
}
