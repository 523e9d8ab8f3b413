/** Examines files: certificates, keys, modes, and whether the server of a kubeconfig accepts its user. */
import { askServer, type Examined, type ExamineDeps, examineName } from "../../../client/health/examine.ts";
import {
  checkReadable,
  type FoundFile,
  inspectSecret,
  inspectSecretFolder,
  readFound,
  readKubeconfigParts,
  type Renewal,
  toKeys,
  toPairs,
  toSeen,
} from "../../../client/health/files.ts";
import { readCluster } from "../../../client/transport/connect.ts";
import {
  checkAuthorities,
  checkChains,
  checkExpiry,
  checkKeyPairs,
  checkStrictly,
} from "../../../core/report/health/certificates.ts";
import { type Finding, reportOn } from "../../../core/report/health/finding.ts";
import { checkAccess, checkClock, type ServerAnswer } from "../../../core/report/health/machine.ts";
import { checkSecretFiles, checkSecretFolders } from "../../../core/report/health/host.ts";
import { AppError } from "../../../core/errors.ts";
import { didIssue, isSelfSigned } from "../../../core/pki/x509/ca_bundle.ts";

interface StoredFiles {
  readonly target: string;
  readonly files: readonly FoundFile[];
  /** Folders in which only the owner may create files. */
  readonly folders?: readonly string[];
  /** Secrets that are neither PEM files nor kubeconfigs. */
  readonly extraSecrets?: readonly string[];
  readonly renew?: (file: FoundFile) => Renewal;
}

/** Runs the checks of certificates, keys and modes on the files of a target. */
export async function examineStored(
  { target, files, folders = [], extraSecrets = [], renew = () => ({}) }: StoredFiles,
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
  // Clients trust the roots, and also those intermediates whose issuers are not among the files.
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
        // A file of CAs without a key is a bundle, in which the order does not matter.
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

/** Examines one file. For a kubeconfig, also asks the server whether it accepts the user. */
export async function examineFile(path: string, deps: ExamineDeps, signal: AbortSignal): Promise<Examined> {
  const target = deps.show(path);
  const file = await readFound(path, deps);
  const stored = await examineStored({ target, files: file === undefined ? [] : [file] }, deps);
  if (file?.kubeconfig === undefined) return stored;
  const { kubeconfig: { contexts, currentContext, users } } = file;
  const user = contexts.find(({ name }) => name === currentContext)?.context.user;
  const [unsupported] = users.find(({ name }) => name === user)?.user.unsupported ?? [];
  const asked = unsupported === undefined
    ? await askAs(file, { target }, deps, signal)
    : reportOn(target).skip("server-access", `${unsupported} of user "${user}" is not supported`);
  const name = await examineName(file.kubeconfig.clusters[0]?.cluster.server ?? "", { target });
  return { ...stored, findings: [...stored.findings, ...asked, ...name] };
}

/** The target of the findings, and facts about the kubeconfig. */
interface AskOptions {
  readonly target: string;
  /** The command that writes the kubeconfig again. */
  readonly again?: string;
  /** True for the server of a data directory, which may be stopped. */
  readonly isOwnServer?: boolean;
}

/** Asks the server of a kubeconfig whether it accepts its user, and compares the clocks. */
export async function askAs(
  { path, shown }: Pick<FoundFile, "path" | "shown">,
  { target, again, isOwnServer = false }: AskOptions,
  { clock, files, connect }: ExamineDeps,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const report = reportOn(target);
  let server: string;
  let answer: ServerAnswer;
  try {
    const cluster = await readCluster(path, files);
    server = cluster.server;
    answer = await askServer(() => connect(cluster), clock, signal);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return report.check("server-access", [{ severity: "error", message: error.message, fix: again }]);
  }
  if (answer.kind === "unreachable" && isOwnServer) {
    return report.skip("server-access", `the server is not running: ${answer.reason}`);
  }
  const who = `the user of "${shown}"`;
  const faults = checkAccess(answer, {
    who,
    refusal: `the server does not accept ${who}`,
    next: { fix: again, advice: "get a new kubeconfig from an administrator: tlsboot kubeconfig user --help" },
  });
  const reading = "clock" in answer ? answer.clock : undefined;
  return [
    ...report.check("server-access", faults, `${server} accepts ${who}`),
    ...(reading === undefined ? [] : report.check("clock", checkClock(reading))),
  ];
}
