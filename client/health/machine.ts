/**
 * Reads the files of a machine and its server's answer, and runs every check of `core/report/health` on them. Nothing
 * is changed.
 */
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type NodeName, parseNodeName, toNodeSubject } from "../../core/machine/node_name.ts";
import {
  findCaRetirement,
  getPairStatus,
  isRetiring,
  satisfiesTemplate,
  toRenewableCertificate,
} from "../../core/machine/renewal_schedule.ts";
import {
  checkAuthorities,
  checkChains,
  checkStrictly,
  type StoredPair,
} from "../../core/report/health/certificates.ts";
import { type Finding, reportOn } from "../../core/report/health/finding.ts";
import {
  type BootstrapCommands,
  checkMachine,
  checkRenewedPair,
  checkTrust,
  type MachinePair,
  type RenewedPairEvidence,
  type ServerAnswer,
} from "../../core/report/health/machine.ts";
import { AppError } from "../../core/errors.ts";
import { joinPath } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { shellWord } from "../../core/lib/printable.ts";
import { decideTrust } from "../../core/pki/x509/ca_bundle.ts";
import { CLIENT_STORE_PREFIX } from "../bootstrap.ts";
import { findWaitingRequest, type FoundPair, viewCredentialStore } from "../certificate/credential_store.ts";
import { checkKubeconfig, connectAsNode, type KubeconfigValidity, readNodeCluster } from "../node_kubeconfig.ts";
import { createBundleStore } from "../node_trust.ts";
import { SERVING_STORE_PREFIX } from "../serving.ts";
import { readCa } from "../transport/connect.ts";
import { limitTime } from "../transport/time_limit.ts";
import {
  ANSWER_MS,
  askServer,
  type Examined,
  type ExamineDeps,
  examineDisk,
  examineName,
  findStrayTarget,
  listSecretFiles,
} from "./examine.ts";
import {
  checkReadable,
  type FoundFile,
  inspectSecret,
  inspectSecretFolder,
  OLDER_PAIR,
  readFolder,
  readFound,
  readKubeconfigParts,
  toPairs,
  toSeen,
} from "./files.ts";
import { parseNodeUser } from "../../core/kube/user.ts";

/** The name of a machine, and the absolute paths of its files. */
interface Machine {
  readonly nodeName: NodeName;
  readonly kubeconfigPath: string;
  readonly certDir: string;
}

/** The evidence about a pair, and the pair itself if it could be read. */
interface ReadPair {
  readonly evidence: MachinePair;
  readonly found: FoundPair | undefined;
}

/** The files of a machine and its server's answer, before they are checked. */
interface MachineReading {
  readonly machine: Machine;
  readonly kubeconfig: KubeconfigValidity;
  readonly client: ReadPair;
  readonly serving: ReadPair;
  readonly server: ServerAnswer;
  /** The link to the client certificate in use. */
  readonly currentPath: string;
}

/**
 * Reads the files of a machine, and asks the server whether it accepts the machine. A name in the files takes
 * precedence over the name of this computer, which may differ, but not over a name that the user gave.
 */
export async function readMachine(
  { isNameGiven, ...given }: Machine & { readonly isNameGiven: boolean },
  deps: ExamineDeps,
  signal: AbortSignal,
): Promise<MachineReading> {
  const { files, clock, connect } = deps;
  const { kubeconfigPath, certDir } = given;
  const kubeconfig = await checkKubeconfig(kubeconfigPath, { files, clock, connect });
  // A node's kubeconfig may contain its pair, which is used until a renewal stores one in the folder.
  const held = kubeconfig.kind === "valid" ? { pair: kubeconfig.pair, keyPath: kubeconfigPath } : undefined;
  const store = viewCredentialStore({ files, clock, certDir, prefix: CLIENT_STORE_PREFIX });
  const known = isNameGiven ? undefined : [
    parseNodeUser((held?.pair ?? await store.current().catch(() => undefined))?.leaf.subject.commonName),
    (await findWaitingRequest(store.temporaryKeyPath, files))?.note?.nodeName,
    ...await findOtherNames(given, deps),
  ].find((name) => name !== undefined);
  const name = parseNodeName(known ?? given.nodeName);
  const machine = name.ok ? { ...given, nodeName: name.value } : given;
  const client = await readPair(CLIENT_STORE_PREFIX, machine, deps, held);
  const serving = await readPair(SERVING_STORE_PREFIX, machine, deps);
  const server: ServerAnswer = kubeconfig.kind === "valid"
    ? await askServer(() => connectAsNode({ kubeconfigPath, store, files, connect }), clock, signal)
    : { kind: "notAsked", reason: "there is no valid kubeconfig" };
  return { machine, kubeconfig, client, serving, server, currentPath: store.currentPath };
}

/**
 * Finds the name of a machine without a current pair, in a kubeconfig that kubeadm wrote and in its older pairs.
 */
async function findOtherNames(
  { kubeconfigPath, certDir }: Machine,
  deps: ExamineDeps,
): Promise<readonly (string | undefined)[]> {
  const users = (await readFound(kubeconfigPath, deps))?.kubeconfig?.users.map(({ name }) => name) ?? [];
  const older = (await readdir(certDir).catch(() => [])).filter((name) => OLDER_PAIR.test(name)).sort().at(-1);
  const certificates = older === undefined ? undefined : (await readFound(join(certDir, older), deps))?.certificates;
  return [...users, certificates?.[0]?.subject.commonName].map((name) => parseNodeUser(name));
}

async function readPair(
  prefix: string,
  { nodeName, certDir }: Machine,
  { files, clock, show }: ExamineDeps,
  held?: FoundPair,
): Promise<ReadPair> {
  const store = viewCredentialStore({ files, clock, certDir, prefix });
  const request = await findWaitingRequest(store.temporaryKeyPath, files);
  // In a copy of the folder, the command would apply to the original.
  const isHere = request?.note?.command.includes(shellWord(certDir)) === true;
  const waiting = request === undefined ? undefined : { command: isHere ? request.note?.command : undefined };
  const base = { path: show(store.currentPath), waiting };
  let found: FoundPair | undefined;
  try {
    found = await store.find() ?? held;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { evidence: { ...base, state: "broken", reason: error.message }, found };
  }
  if (found === undefined) return { evidence: { ...base, state: "missing" }, found };
  const { leaf } = found.pair;
  const { state, ...renewal } = getPairStatus(leaf, clock.now());
  const stored = { leaf, ...renewal };
  const own = { ...toNodeSubject(nodeName), dnsNames: [], ipAddresses: [] };
  const isOwn = prefix !== CLIENT_STORE_PREFIX || satisfiesTemplate(toRenewableCertificate(leaf), own);
  return state === "valid" && !isOwn
    ? { evidence: { ...base, stored, state: "mismatched", reason: `it is not for ${own.commonName}` }, found }
    : { evidence: { ...base, stored, state }, found };
}

/** Examines a machine. The findings name the folder of its certificates as their target. */
export async function examineMachine(
  reading: MachineReading,
  commands: BootstrapCommands,
  deps: ExamineDeps,
  signal: AbortSignal,
): Promise<Examined> {
  const { machine, kubeconfig, client, serving, server, currentPath } = reading;
  const { nodeName, kubeconfigPath, certDir } = machine;
  const { files, show } = deps;
  const target = show(certDir);
  const cluster = kubeconfig.kind === "valid" ? kubeconfig.cluster : undefined;
  const secrets = listSecretFiles([client.found, serving.found], { path: kubeconfigPath, cluster });
  const hasServing = serving.evidence.state !== "missing" || serving.evidence.waiting !== undefined;
  const checked = checkMachine(
    {
      nodeName,
      certDir: target,
      kubeconfig: {
        path: show(kubeconfigPath),
        state: kubeconfig.kind,
        reason: kubeconfig.kind === "invalid" ? kubeconfig.reason : undefined,
        isOfPair: kubeconfig.kind === "invalid" && kubeconfig.isOfPair,
      },
      client: client.evidence,
      hasLink: await files.lstat(currentPath) !== undefined,
      serving: hasServing ? serving.evidence : undefined,
      secrets: await Promise.all(secrets.map((path) => inspectSecret(path, deps))),
      folders: await inspectSecretFolder(certDir, deps),
      strayTarget: await findStrayTarget(currentPath, files),
      server,
      isUnverified: cluster?.insecureSkipTlsVerify === true,
    },
    commands,
    target,
  );
  const stored = await examineFiles(machine, deps);
  const findings = [
    ...checked,
    ...stored.findings,
    ...(cluster === undefined ? [] : await examineName(cluster.server, { target })),
    ...await examineDisk(certDir, target, deps),
    ...(server.kind === "accepted"
      ? await examineTrust(reading, commands.line(nodeName, "renewal"), deps, signal)
      : []),
  ];
  return { ...stored, findings };
}

/**
 * Checks the chain, the trusted CA, and the files that the kubeconfig names.
 */
async function examineFiles({ kubeconfigPath, certDir }: Machine, deps: ExamineDeps): Promise<Examined> {
  const target = deps.show(certDir);
  const now = deps.clock.now();
  const files = await readFolder(certDir, deps);
  const kubeconfig = await readFound(kubeconfigPath, deps);
  const parts = kubeconfig === undefined ? undefined : await readKubeconfigParts(kubeconfig, deps);
  const pairs = toPairs(files).filter(({ chain: [first] }) => first?.isCa === false);
  const trusted = parts?.trusted ?? [];
  const report = reportOn(target);
  const currentPath = join(certDir, `${CLIENT_STORE_PREFIX}-current.pem`);
  const unreadable = files.filter(({ error }) => error !== undefined);
  // The other checks report these files.
  const reported = [currentPath, join(certDir, `${SERVING_STORE_PREFIX}-current.pem`), kubeconfigPath];
  return {
    findings: [
      ...report.check("readable", checkReadable(unreadable.filter(({ path }) => !reported.includes(path)))),
      // The CA that signed the client certificate need not be the server's, so only the order can be checked.
      ...report.check("chain", checkChains(pairs, [], pairs)),
      ...report.check(
        "ca-expiry",
        // While a CA is being replaced, the kubeconfig trusts the old one too.
        checkAuthorities(findLongestValid(trusted), [], now),
        "the CA that the kubeconfig trusts is valid for more than a year",
      ),
      ...report.check("strict-verifiers", checkStrictly([...trusted, ...pairs])),
      ...report.check(
        "renewed-pair",
        checkRenewedPair({
          kubeconfig: deps.show(kubeconfigPath),
          link: currentPath,
          ...await readRenewedPair(kubeconfig, kubeconfigPath, currentPath, deps),
        }),
      ),
    ],
    certificates: [...toSeen(files), ...parts?.seen ?? []],
    unreadable: unreadable.map(({ path }) => path),
  };
}

/** Finds the trusted CA that expires last. */
function findLongestValid(trusted: readonly StoredPair[]): readonly StoredPair[] {
  const single = trusted.flatMap((pair) => pair.chain.map((certificate) => ({ ...pair, chain: [certificate] })));
  const end = ({ chain: [one] }: StoredPair): number => one?.notAfter.getTime() ?? 0;
  return [...single].sort((a, b) => end(b) - end(a)).slice(0, 1);
}

/** Reads how the kubeconfig refers to the certificate, and whether the folder has the link that renewals replace. */
async function readRenewedPair(
  kubeconfig: FoundFile | undefined,
  path: string,
  link: string,
  { files }: ExamineDeps,
): Promise<Omit<RenewedPairEvidence, "kubeconfig" | "link">> {
  const user = kubeconfig?.kubeconfig?.users[0];
  const named = user?.user.clientCertificate;
  const absolute = named === undefined ? undefined : joinPath(dirname(path), named);
  const resolveFolder = async (file: string): Promise<string> =>
    join(await files.realPath(dirname(file)) ?? "", basename(file));
  const isLink = absolute !== undefined && await resolveFolder(absolute) === await resolveFolder(link);
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

/** Checks that the machine has followed a replacement of its server's CA. */
async function examineTrust(
  { machine: { nodeName, kubeconfigPath, certDir }, client }: MachineReading,
  fix: string,
  { files, connect, clock, random, logger, show }: ExamineDeps,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const report = reportOn(show(certDir));
  const store = viewCredentialStore({ files, clock, certDir, prefix: CLIENT_STORE_PREFIX });
  const tooLate = (): Error => new AppError("timeout", "no answer in time", { retryable: true });
  try {
    const cluster = await readNodeCluster({ kubeconfigPath, store, files });
    if (cluster.ca === undefined) return [];
    await using limit = limitTime(clock, ANSWER_MS, tooLate, signal);
    await using transport = await connect(cluster);
    const bundles = await createBundleStore(transport, { clock, random, logger }).list(limit.signal);
    if (bundles.length === 0) return report.skip("trusted-cas", "the cluster publishes no CAs");
    const decision = decideTrust(await readCa(cluster.ca, files), bundles.map(({ spec }) => spec.trustBundle));
    const { added, removed } = decision.kind === "changed" ? decision : { added: 0, removed: 0 };
    const retirement = findCaRetirement(bundles.map(({ metadata }) => metadata.annotations), nodeName);
    const isDue = retirement !== undefined && retirement.renewAt <= clock.now() &&
      isRetiring(client.found?.pair.leaf, retirement);
    const evidence = { kubeconfig: show(kubeconfigPath), added, removed, isRetiring: isDue };
    return report.check("trusted-cas", checkTrust(evidence, fix));
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    return report.skip("trusted-cas", `the CAs of the cluster cannot be read: ${error.message}`);
  }
}
