/** The action of `tlsboot doctor`: recognizes the targets, examines each one, and prints the findings. */
import { hostname } from "node:os";
import { resolve } from "node:path";
import type { Examined, ExamineDeps } from "../../../client/health/examine.ts";
import { isAppError } from "../../../core/errors.ts";
import { countFindings, formatTextfile, reportOn } from "../../../core/report/health/finding.ts";
import { createTestNotification, type NotificationSender } from "../../../core/report/notification.ts";
import { openNotifications } from "../../../instance/notifications.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { nameFlags, type Settings } from "../../framework/flags.ts";
import { forEachItem } from "../../framework/for_each_item.ts";
import type { Tools } from "../../io.ts";
import { createLogger } from "../../logging.ts";
import { displayPath } from "../../output/display_path.ts";
import { formatFindingJson, formatFindingTable } from "../../output/findings.ts";
import { examineCluster } from "./cluster.ts";
import { examineCaFolder, examineDataDir } from "./data_dir.ts";
import { examineFile } from "./files.ts";
import type { doctorCommand } from "./flags.ts";
import { examineMachineAt } from "./machine.ts";
import { type DoctorTarget, findTargets, recognizeTarget } from "./target.ts";

/** The mode of the file of `--out`, which contains no secret. */
const OUT_MODE = 0o644;

/** Runs the command. A target that cannot be read is reported, and the others are still examined. */
export async function run({ args, settings }: Input<typeof doctorCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { files, signal } = tools;
  const deps: ExamineDeps = {
    ...tools,
    logger: createLogger({ ...tools, level: "error" }),
    show: (path) => displayPath(path, tools.cwd),
  };
  const { cluster, kubeconfig } = settings;
  const named = cluster && kubeconfig !== undefined ? [kubeconfig] : args;
  const sender = await openNotifications(settings, tools);
  const names = named.length > 0 || sender !== undefined ? named : await findTargets(deps);
  const all: Examined[] = sender === undefined ? [] : [await testReceiver(sender, tools)];
  const code = await forEachItem(names, async (name) => {
    if (settings.cluster) all.push(await examineCluster(name, deps, signal));
    else all.push(await examine(await recognizeTarget(name, settings.kubeconfig, deps), { settings, deps }, signal));
  }, tools);
  // A textfile is written in any case, because it counts the targets that could not be read.
  if (all.length === 0 && settings.output !== "textfile") return code;
  const findings = all.flatMap((one) => one.findings);
  const text = settings.output === "table"
    ? formatFindingTable(findings)
    : settings.output === "json"
    ? formatFindingJson(findings)
    : formatTextfile({
      findings,
      certificates: all.flatMap(({ certificates = [] }) => certificates),
      unreadableFiles: all.flatMap(({ unreadable = [] }) => unreadable).length,
      uncheckedTargets: names.length + (sender === undefined ? 0 : 1) - all.length,
      now: tools.clock.now(),
    });
  if (settings.out === undefined) tools.stdout.write(text);
  else await files.writeAtomic(resolve(tools.cwd, settings.out), text, OUT_MODE);
  if (code !== EXIT.done) return code;
  const { error, warning } = countFindings(findings);
  if (error > 0) return EXIT.failed;
  return settings.strict && warning > 0 ? EXIT.no : EXIT.done;
}

/** Sends a test message to the receiver of notifications. */
async function testReceiver(sender: NotificationSender, { clock, signal }: Tools): Promise<Examined> {
  const report = reportOn(`receiver ${sender.host}`);
  try {
    await sender.send(createTestNotification(hostname(), clock.now()), signal);
    return { findings: report.check("notification", []) };
  } catch (error) {
    if (!isAppError(error)) throw error;
    const { message, hint } = error;
    const advice = hint && nameFlags(hint);
    return { findings: report.check("notification", [{ severity: "error", message, advice }]) };
  }
}

async function examine(
  target: DoctorTarget,
  { settings, deps }: { readonly settings: Settings<typeof doctorCommand.flags>; readonly deps: ExamineDeps },
  signal: AbortSignal,
): Promise<Examined> {
  switch (target.kind) {
    case "data directory":
      return await examineDataDir(target.path, { backups: settings.backup }, deps, signal);
    case "machine":
      return await examineMachineAt(target, settings.bootstrapKubeconfig, deps, signal);
    case "CA folder":
      return await examineCaFolder(target.path, deps);
    case "file":
      return await examineFile(target.path, deps, signal);
  }
}
