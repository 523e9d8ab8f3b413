/** Examines a kubeconfig that is not a kubelet's: its certificates, and whether its server accepts its user. */
import { askServer } from "../../../client/health/machine_evidence.ts";
import { readCluster } from "../../../client/transport/connect.ts";
import { AppError } from "../../../core/errors.ts";
import { type Finding, reportOn } from "../../../core/doctor/finding.ts";
import { checkAccess, checkClock, type ServerAnswer } from "../../../core/doctor/machine.ts";
import type { Examined, ExamineDeps } from "../../../client/health/examine.ts";
import { type FoundFile, readFound } from "../../../client/health/files.ts";
import { examineName } from "../../../client/health/host.ts";
import { examineStored } from "./stored.ts";

/** Examines the kubeconfig at an absolute path. */
export async function examineKubeconfig(path: string, deps: ExamineDeps, signal: AbortSignal): Promise<Examined> {
  const file = await readFound(path, deps);
  const target = deps.show(path);
  const files = file === undefined ? [] : [file];
  const stored = await examineStored({ target, files, folders: [], extraSecrets: [], renew: () => ({}) }, deps);
  const asked = file === undefined ? [] : await askAs(file, { target }, deps, signal);
  const name = await examineName(file?.kubeconfig?.clusters[0]?.cluster.server ?? "", { target });
  return { ...stored, findings: [...stored.findings, ...asked, ...name] };
}

/** What is known about the server of a kubeconfig. */
export interface AskOptions {
  readonly target: string;
  /** The command that writes the kubeconfig anew. */
  readonly again?: string;
  /** True for the server of a data directory, which need not run. */
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
    return report.skip("server-access", `it does not run: ${answer.reason}`);
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
