/** Bootstraps a machine with `--offline`: a stick carries the requests to the CA, and the answers back. */
import { resolve } from "node:path";
import {
  bootstrapOffline,
  bootstrapServingOffline,
  type OfflineBootstrapOptions,
} from "../../../client/offline_bootstrap.ts";
import type { Logger } from "../../../core/ports.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import { toExpirationSeconds } from "../../flags/request.ts";
import type { Settings } from "../../framework/flags.ts";
import { createHookError, type HookRunner } from "../../hooks.ts";
import type { Tools } from "../../io.ts";
import { reportFirstTrust, reportNextSteps } from "../../offline_files.ts";
import { displayPath } from "../../output/files.ts";
import { escapeText } from "../../../core/lib/printable.ts";
import type { bootstrapCommand } from "./flags.ts";
import { getServingTemplate, type Machine } from "./machine.ts";
import { describeOutcome, describeServing } from "./progress_text.ts";
import { formatResumeCommand } from "./service.ts";

/** The settings and the adapters of a run without a network. */
interface OfflineRun extends Tools {
  readonly settings: Settings<typeof bootstrapCommand.flags>;
  readonly machine: Machine;
  readonly folder: string;
  readonly logger: Logger;
  readonly runHooksFor: HookRunner;
}

/** Takes the next step for each certificate. */
export async function runOffline(run: OfflineRun): Promise<ExitCode> {
  const { settings, machine, stdout, cwd, runHooksFor } = run;
  const options = toOptions(run);
  const outcome = await bootstrapOffline(options);
  const waiting = outcome.kind === "pending" ? [outcome] : [];
  const hookFaults: string[] = [];
  if (outcome.kind !== "pending") {
    stdout.write(escapeText(describeOutcome(outcome, machine, cwd)));
    if (outcome.kind === "issued") {
      if (outcome.trustedCa !== undefined) reportFirstTrust(outcome.trustedCa, run);
      hookFaults.push(...await runHooksFor({ purpose: "client", ...outcome }));
    }
  }
  if (settings.serving) {
    const template = await getServingTemplate(settings, machine, run.files);
    const served = await bootstrapServingOffline({ ...options, template });
    if (served.kind === "pending") waiting.push({ ...served, current: undefined });
    else {
      stdout.write(escapeText(describeServing(served, cwd)));
      if (served.kind === "issued") hookFaults.push(...await runHooksFor({ purpose: "serving", ...served }));
    }
  }
  if (waiting.length > 0) reportWaiting(waiting, run);
  if (hookFaults.length > 0) throw createHookError("the certificate", hookFaults);
  return waiting.some(({ isNew }) => !isNew) ? EXIT.no : EXIT.done;
}

function toOptions(run: OfflineRun): OfflineBootstrapOptions {
  const { settings, machine, folder, cwd } = run;
  return {
    ...run,
    ...machine,
    folder: resolve(cwd, folder),
    site: settings.caCertHash,
    server: settings.server,
    renewBeforeMs: settings.renewBefore,
    resumeCommand: formatResumeCommand(settings, machine, cwd),
    expirationSeconds: toExpirationSeconds(settings.duration),
  };
}

/** Reports the requests that wait for an answer, and the next two commands. */
function reportWaiting(
  waiting: readonly { readonly requestPath: string; readonly isNew: boolean }[],
  run: OfflineRun,
): void {
  const { settings, machine, folder, stdout, cwd } = run;
  for (const { requestPath, isNew } of waiting) {
    const path = displayPath(requestPath, cwd);
    stdout.write(escapeText(isNew ? `request written: ${path}\n` : `no answer yet to the request ${path}\n`));
  }
  reportNextSteps(folder, formatResumeCommand(settings, machine, cwd), run);
}
