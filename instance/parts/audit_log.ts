/** The audit log of an instance, with kube-apiserver's settings: its policy, its file, and the rotation of the file. */
import { dirname, resolve } from "node:path";
import { DEFAULT_AUDIT_POLICY, parseAuditPolicy } from "../../core/audit/policy.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import type { AuditOptions, AuditSink } from "../../server/mod.ts";
import { openLogFile } from "./log_file.ts";
import type { InstanceDeps } from "../deps.ts";
import { readRequiredFile } from "../named_files.ts";
import type { AuditSettings } from "../settings.ts";

/** An open audit log; `audit` is undefined when there is none. */
export interface AuditLog extends AsyncDisposable {
  readonly audit: AuditOptions | undefined;
  /** The folder of the log file; undefined when there is none. */
  readonly folder: string | undefined;
}

const STDOUT = "-";
/** The bytes of a megabyte, as kube-apiserver counts them. */
const MEGABYTE = 1_048_576;
/** How often a failure to write, such as a full disk, is logged. */
const REPORT_INTERVAL_MS = 60_000;

/**
 * Opens the audit log. AppError `usage` for a faulty setting, AppError `io`, and `config_invalid` for the
 * policy.
 */
export async function openAuditLog(settings: AuditSettings, deps: InstanceDeps): Promise<AuditLog> {
  const path = settings.auditLogPath;
  if (path === undefined) {
    return { audit: undefined, folder: undefined, [Symbol.asyncDispose]: doNothing };
  }
  const policy = await readPolicy(settings, deps);
  const { sink, close } = openSink(path, settings, deps);
  const { auditLogFormat: format, auditLogMode: mode } = settings;
  return {
    audit: { policy, sink, format, isStrict: mode === "blocking-strict" },
    folder: path === STDOUT ? undefined : dirname(resolve(deps.cwd, path)),
    [Symbol.asyncDispose]: close,
  };
}

async function readPolicy({ auditPolicyFile: path }: AuditSettings, deps: InstanceDeps) {
  if (path === undefined) return DEFAULT_AUDIT_POLICY;
  const policy = parseAuditPolicy(await readRequiredFile(path, deps, "audit policy"));
  if (policy.ok) return policy.value;
  throw new AppError("config_invalid", `cannot use audit policy "${path}": ${policy.error.join("; ")}`, {
    hint: "docs/guides/monitoring.md has an example",
  });
}

function openSink(
  path: string,
  settings: AuditSettings,
  deps: InstanceDeps,
): { readonly sink: AuditSink; close(): Promise<void> } {
  if (path === STDOUT) return { sink: { write: (line) => (deps.stdout.write(`${line}\n`), true) }, close: doNothing };
  const file = openFile(resolve(deps.cwd, path), settings, deps);
  const report = createLossReporter(path, deps);
  return {
    async close() {
      await file[Symbol.asyncDispose]();
    },
    sink: {
      write(line) {
        try {
          file.append(line);
          return true;
        } catch (error) {
          report(error);
          return false;
        }
      },
    },
  };
}

function openFile(path: string, settings: AuditSettings, deps: InstanceDeps) {
  try {
    return openLogFile({
      path,
      maxBytes: (settings.auditLogMaxsize || 100) * MEGABYTE,
      maxAgeDays: settings.auditLogMaxage,
      maxBackups: settings.auditLogMaxbackup,
      compress: settings.auditLogCompress,
    }, deps);
  } catch (cause) {
    throw new AppError("io", `cannot open audit log "${settings.auditLogPath}": ${getErrorMessage(cause)}`, {
      cause,
      hint: "use a path that can be written",
    });
  }
}

/** Creates a function that logs the first lost event and then, once a minute, the number of lost events. */
function createLossReporter(path: string, { clock, logger }: InstanceDeps): (error: unknown) => void {
  let silentUntil = 0;
  let lost = 0;
  return (error) => {
    lost += 1;
    const now = clock.elapsedMs();
    if (now < silentUntil) return;
    logger.error("audit events lost", { path, lost, error: getErrorMessage(error) });
    silentUntil = now + REPORT_INTERVAL_MS;
    lost = 0;
  };
}

function doNothing(): Promise<void> {
  return Promise.resolve();
}
