/** Examines the files of a machine beyond their states: the chain, the CA it trusts, and what the kubeconfig refers to. */
import { basename, dirname, join } from "node:path";
import { CLIENT_STORE_PREFIX } from "../../../client/bootstrap.ts";
import { SERVING_STORE_PREFIX } from "../../../client/serving.ts";
import { checkAuthorities, checkChains, checkStrictly, type StoredPair } from "../../../core/doctor/certificates.ts";
import { joinPath } from "../../../core/kube/file_path.ts";
import { type Finding, reportCheck } from "../../../core/doctor/finding.ts";
import { checkRotatingPair, type RotationEvidence } from "../../../core/doctor/machine.ts";
import { type Examined, type ExamineDeps, showPath } from "./examine.ts";
import { checkReadable, type FoundFile, readFolder, readFound, readKubeconfigParts, toPairs, toSeen } from "./files.ts";

/** A machine whose states are known. */
export interface MachineFiles {
  readonly machine: { readonly kubeconfigPath: string; readonly certDir: string };
  /** The target as it is shown in the findings. */
  readonly target: string;
}

/** Runs the checks over the files. */
export async function examineMachineFiles(
  { machine: { kubeconfigPath, certDir }, target }: MachineFiles,
  deps: ExamineDeps,
): Promise<Examined> {
  const now = deps.io.clock.now();
  const files = await readFolder(certDir, deps);
  const kubeconfig = await readFound(kubeconfigPath, deps);
  const parts = kubeconfig === undefined ? undefined : await readKubeconfigParts(kubeconfig, deps);
  const pairs = toPairs(files).filter(({ chain: [first] }) => first?.isCa === false);
  const trusted = parts?.trusted ?? [];
  const report = (check: string, faults: Parameters<typeof reportCheck>[1], okMessage: string): readonly Finding[] =>
    reportCheck({ check, target }, faults, okMessage);
  const currentPath = join(certDir, `${CLIENT_STORE_PREFIX}-current.pem`);
  const unreadable = files.filter(({ error }) => error !== undefined);
  // The other checks report these files.
  const reported = [currentPath, join(certDir, `${SERVING_STORE_PREFIX}-current.pem`), kubeconfigPath];
  return {
    findings: [
      ...report(
        "readable",
        checkReadable(unreadable.filter(({ path }) => !reported.includes(path))),
        "the files with certificates and keys can be read",
      ),
      // The CA that signed the client certificate need not be the server's, so only the order can be checked.
      ...report("chain", checkChains(pairs, [], pairs), "each certificate is followed by its issuers"),
      ...report(
        "ca-expiry",
        // During the replacement of a CA the kubeconfig trusts the old one, too.
        checkAuthorities(findLasting(trusted), [], now),
        "the CA that the kubeconfig trusts lasts for more than a year",
      ),
      ...report(
        "strict-verifiers",
        checkStrictly([...trusted, ...pairs]),
        "strict verifiers such as Python 3.13 accept the certificates",
      ),
      ...report(
        "rotating-pair",
        checkRotatingPair({
          kubeconfig: showPath(kubeconfigPath, deps),
          link: currentPath,
          ...await readRotation(kubeconfig, kubeconfigPath, currentPath, deps),
        }),
        "the kubeconfig names the certificate that is renewed",
      ),
    ],
    certificates: [...toSeen(files), ...parts?.seen ?? []],
    unreadable: unreadable.map(({ path }) => path),
  };
}

/** Finds the trusted CA that lasts longest. */
function findLasting(trusted: readonly StoredPair[]): readonly StoredPair[] {
  const single = trusted.flatMap((pair) => pair.chain.map((certificate) => ({ ...pair, chain: [certificate] })));
  const end = ({ chain: [one] }: StoredPair): number => one?.notAfter.getTime() ?? 0;
  return [...single].sort((a, b) => end(b) - end(a)).slice(0, 1);
}

/** Reads how the kubeconfig refers to the certificate, and whether the folder has a link that is renewed. */
async function readRotation(
  kubeconfig: FoundFile | undefined,
  path: string,
  link: string,
  { files }: ExamineDeps,
): Promise<Omit<RotationEvidence, "kubeconfig" | "link">> {
  const user = kubeconfig?.kubeconfig?.users[0];
  const named = user?.user.clientCertificate;
  const absolute = named === undefined ? undefined : joinPath(dirname(path), named);
  const folderOf = async (one: string): Promise<string> =>
    join(await files.realPath(dirname(one)) ?? "", basename(one));
  const isLink = absolute !== undefined && await folderOf(absolute) === await folderOf(link);
  const text = await files.readText(path).catch(() => undefined) ?? "";
  const lines = text.split("\n").map((line) => line.trim());
  const count = (pattern: RegExp): number => lines.filter((line) => pattern.test(line)).length;
  return {
    hasLink: (await files.lstat(link))?.kind === "symlink",
    named: user?.user.clientCertificateData !== undefined ? "embedded" : isLink ? "link" : absolute,
    userName: user?.name ?? "",
    isOneUser: count(/^client-certificate(?:-data)?: \S+$/) === 1 &&
      count(/^client-key(?:-data)?: \S+$/) === 1,
  };
}
