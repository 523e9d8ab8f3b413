/** Gets the certificate of a web server, prints a unit that keeps it fresh, or keeps it fresh itself. */
import { dirname, join, resolve } from "node:path";
import { createKubeconfigFinder, type FindBootstrapCluster } from "../../../client/bootstrap.ts";
import { keepFresh, type NextStep } from "../../../client/keep_fresh.ts";
import { updateWebServer, type WebServerOutcome, webServerPaths } from "../../../client/web_server.ts";
import { WEB_SIGNER } from "../../../core/approval/rules/web_certificates.ts";
import { parseWebName } from "../../../instance/settings.ts";
import { AppError, getErrorMessage } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import { NO_SERVICE } from "../../flags/common.ts";
import { formatCommand, formatCommandLine, type Input } from "../../framework/command.ts";
import { reportError, warn } from "../../framework/report.ts";
import { createHookError } from "../../hooks.ts";
import type { Tools } from "../../io.ts";
import { createLogger } from "../../logging.ts";
import { displayPath } from "../../output/files.ts";
import { escapeText } from "../../../core/lib/printable.ts";
import { waitForPlausibleClock } from "../../plausible_clock.ts";
import { checkHost, formatServiceCommands, installService, uninstallService } from "../../systemd/install.ts";
import { connectService } from "../../systemd/service.ts";
import { formatSystemdUnit } from "../../systemd/unit.ts";
import {
  checkCertificateSettings,
  deliver,
  type Delivery,
  describeDelivery,
  followUp,
  toWantedCertificate,
} from "./certificate.ts";
import { requestWebCommand } from "./flags.ts";
import { createClusterFinder, preferFile } from "../../cluster_credentials.ts";
import { reportPending, requestWithSteps } from "../../output/request_certificate.ts";

type WebSettings = Input<typeof requestWebCommand.flags>["settings"];

/** A web server, with the function that updates its certificate. */
interface WebServer extends Delivery {
  readonly settings: WebSettings;
  /** Gets or renews what is due, and prints each step on stderr. */
  readonly update: (signal: AbortSignal) => Promise<WebServerOutcome>;
}

export async function run(
  { settings: input, args: [given = ""] }: Input<typeof requestWebCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  const { signal } = tools;
  const settings = input.join === undefined ? input : preferFile(input);
  checkCertificateSettings(settings);
  const parsed = parseWebName(given);
  if (!parsed.ok) throw new UsageError(`cannot use "${given}" as the name of a web server: ${parsed.error}`);
  const name = parsed.value;
  const service = { unit: `tlsboot-web-${name}.service`, files: [] };
  const state = settings.installService || settings.uninstallService
    ? await checkHost(service.unit, requestWebCommand, { args: [name], settings }, tools)
    : {};
  if (settings.uninstallService) return await uninstallService(service, state, settings, tools);
  const web = createWebServer(name, settings, tools);
  // The unit is checked before anything is requested.
  const unit = settings.printSystemdUnit || settings.installService ? formatUnit(web) : undefined;
  await waitForPlausibleClock(tools, settings.timeout, signal);
  if (settings.rotateCertificates) return await keepWebServerFresh(web, tools);
  const outcome = await web.update(signal);
  if (unit === undefined) {
    await deliver(outcome, web);
    if (outcome.kind === "issued" && settings.output === undefined) {
      const again = listResumeWords(
        web,
        { installService: true },
        (path) => displayPath(resolve(tools.cwd, path), tools.cwd),
      );
      tools.stderr.write(escapeText(`to keep it fresh, install a service with: sudo ${formatCommandLine(again)}\n`));
    }
    return EXIT.done;
  }
  tools.stderr.write(escapeText(describeDelivery(outcome, web)));
  if (outcome.kind === "pending") {
    reportPending(outcome, tools);
    return EXIT.no;
  }
  // The service repeats what has failed, such as the reload of a web server that does not run yet.
  for (const fault of await followUp(web)) warn(fault, tools);
  if (settings.installService) {
    return await installService({ ...service, text: unit }, state, {
      ...settings,
      summary: `keeps the certificate of ${name} in ${web.folder} fresh`,
      next: () => `
  # see the certificate
  ${formatCommandLine(["inspect", join(web.folder, "tls.crt")])}

${formatServiceCommands(service.unit)}`,
      undo: `sudo tlsboot request web ${name} --uninstall-service`,
    }, tools);
  }
  tools.stdout.write(unit);
  return EXIT.done;
}

function createWebServer(name: string, settings: WebSettings, tools: Tools): WebServer {
  const { files } = tools;
  const folder = resolve(tools.cwd, settings.out ?? name);
  const wanted = toWantedCertificate(settings);
  const options = {
    ...tools,
    name,
    folder,
    ...wanted,
    logger: createLogger({ ...tools, level: tools.isDebug ? "debug" : "warn" }),
    dnsNames: settings.dns,
    ipAddresses: settings.ip,
    key: settings.keyAlgorithm,
    isForced: settings.force,
    findCluster: createFinder(settings, name, tools),
  };
  return {
    ...tools,
    settings,
    name,
    title: name,
    folder,
    signerName: WEB_SIGNER,
    paths: webServerPaths(folder, files),
    update: (signal) =>
      requestWithSteps(
        ({ onProgress }) => updateWebServer({ ...options, onProgress }, signal),
        { ...wanted, isRepeated: settings.rotateCertificates },
        tools,
      ),
  };
}

/** Finds the token in a join file, in the flags, or in the data directory of a server on the same machine. */
function createFinder(settings: WebSettings, name: string, tools: Tools): FindBootstrapCluster {
  const { files } = tools;
  const hint =
    "copy web.kubeconfig to this machine: tlsboot up --web-domain writes it to the data directory of the server";
  const local = resolve(tools.cwd, join(settings.dataDir, "web.kubeconfig"));
  const findLocal: FindBootstrapCluster = async (signal) => {
    if (await files.stat(local) !== undefined) return await createKubeconfigFinder(local, files)(signal);
    throw new AppError("credentials_missing", `cannot get an identity for ${name}: there is no token`, {
      hint:
        "run the command that tlsboot up --web-domain prints, or copy web.kubeconfig from the server's data directory " +
        "and give it with --join",
    });
  };
  return createClusterFinder(settings, { path: settings.join, hint }, findLocal, { ...tools, onProgress: () => {} });
}

/** The longest and the shortest time between two steps, the shortest after a renewal, and the longest after failures. */
const LONGEST_PAUSE_MS = 3_600_000;
const SHORTEST_PAUSE_MS = 10_000;
const PAUSE_AFTER_RENEWAL_MS = 60_000;
const LONGEST_RETRY_MS = 600_000;

/** Keeps the certificate fresh until the signal fires. A failure is reported, and tried again after a pause. */
async function keepWebServerFresh(web: WebServer, tools: Tools): Promise<never> {
  const { name } = web;
  const { clock } = tools;
  const logger = createLogger({ ...tools, level: "warn" });
  using service = connectService(tools, { ...tools, logger });
  const step = async (signal: AbortSignal): Promise<NextStep> => {
    const outcome = await web.update(signal);
    if (outcome.kind === "pending") return { kind: "pause", ms: SHORTEST_PAUSE_MS };
    const isNew = outcome.kind === "issued";
    if (isNew) tools.stderr.write(escapeText(describeDelivery(outcome, web)));
    const faults = await followUp(web);
    if (faults.length > 0) throw createHookError("the certificate", faults);
    service.ready(`certificate of ${name} valid until ${formatTime(outcome.leaf.notAfter)}`);
    const untilDueMs = Math.min(LONGEST_PAUSE_MS, outcome.nextAt.getTime() - clock.now().getTime());
    return { kind: "pause", ms: Math.max(isNew ? PAUSE_AFTER_RENEWAL_MS : SHORTEST_PAUSE_MS, untilDueMs) };
  };
  return await keepFresh({
    clock,
    // Any error is reported and tried again, because a service has to keep running.
    step: (signal) =>
      step(signal).catch((error: unknown) => {
        if (error instanceof AppError) throw error;
        throw new AppError("internal", getErrorMessage(error), { cause: error });
      }),
    onFailure(error, failures) {
      // Units that start after this one must not wait for a server that cannot be reached now.
      service.ready(getErrorMessage(error));
      reportError(error, tools, tools.isDebug);
      return { kind: "pause", ms: Math.min(SHORTEST_PAUSE_MS * 2 ** (failures - 1), LONGEST_RETRY_MS) };
    },
  }, tools.signal);
}

/** Formats the unit. It has no token on its command line, because the identity of the first run renews itself. */
function formatUnit(web: WebServer): string {
  const { settings: { pkcs12 }, name, folder, cwd } = web;
  const toAbsolute = (path: string) => resolve(cwd, path);
  return formatSystemdUnit({
    writtenBy: `tlsboot request web ${web.settings.installService ? "--install-service" : "--print-systemd-unit"}`,
    description: `Certificate of ${name}`,
    words: listResumeWords(
      { ...web, settings: { ...web.settings, out: folder } },
      { rotateCertificates: true },
      toAbsolute,
    ),
    folders: [folder, ...(pkcs12 === undefined ? [] : [dirname(toAbsolute(pkcs12))])],
  }, web);
}

/** Returns the words that repeat the command for its identity, without a token. */
function listResumeWords(
  { settings, name }: WebServer,
  mode: Partial<Pick<WebSettings, "installService" | "rotateCertificates">>,
  showPath: (path: string) => string,
): readonly string[] {
  const modes = {
    printSystemdUnit: false,
    rotateCertificates: false,
    force: false,
    output: undefined,
    ...NO_SERVICE,
    ...mode,
  };
  // The identity exists by then, so no file of the server's data directory is needed.
  const { default: dataDir } = requestWebCommand.flags.dataDir;
  // The address of the server is useless without its token.
  const credentials = settings.token === undefined ? {} : { token: undefined, server: undefined, caCertHash: [] };
  return formatCommand(
    requestWebCommand,
    { args: [name], settings: { ...settings, ...credentials, ...modes, dataDir } },
    showPath,
  );
}
