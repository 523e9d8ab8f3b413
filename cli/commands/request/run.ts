/** Gets a certificate for any program and writes it with its key. */
import { resolve } from "node:path";
import { openPairFolder } from "../../../client/certificate/pair_folder.ts";
import { readPrivateFile } from "../../../client/private_file.ts";
import {
  requestCertificate,
  type RequestCertificateOptions,
  requestOffline,
  RequestRefusedError,
} from "../../../client/request_certificate.ts";
import { AppError } from "../../../core/errors.ts";
import { parsePrivateKey, type PrivateKey } from "../../../core/pki/keys/keys.ts";
import { publicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { createLogger } from "../../logging.ts";
import { reportFirstTrust, reportNextSteps } from "../../offline_files.ts";
import { displayPath } from "../../output/files.ts";
import { escapeText } from "../../../core/lib/printable.ts";
import { writeStructured } from "../../output/structured.ts";
import { waitForPlausibleClock } from "../../plausible_clock.ts";
import { checkCertificateSettings, deliver, type Delivery, toWantedCertificate } from "./certificate.ts";
import type { requestCommand } from "./flags.ts";
import { connect } from "../../connection.ts";
import { parseCsrNames } from "../../../client/admin/csrs.ts";
import { requestWithSteps } from "../../output/request_certificate.ts";

type RequestSettings = Input<typeof requestCommand.flags>["settings"];

export async function run(input: Input<typeof requestCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { files, signal } = tools;
  const { settings: given } = input;
  checkSettings(input);
  const settings = given.noWait ? { ...given, timeout: 0 } : given;
  const { signer: signerName = "", subject = {}, out = "" } = settings;
  const target = openPairFolder(resolve(tools.cwd, out), files);
  const key = settings.key === undefined
    ? settings.keyAlgorithm
    : await readKey(resolve(tools.cwd, settings.key), tools);
  await waitForPlausibleClock(tools, settings.timeout, signal);
  const wanted = toWantedCertificate(settings);
  const { dns: dnsNames, ip: ipAddresses, uri: uris, email: emailAddresses } = settings;
  const options = {
    ...tools,
    target,
    signerName,
    subject,
    key,
    ...wanted,
    names: { dnsNames, ipAddresses, uris, emailAddresses },
    usages: settings.usage.length === 0 ? undefined : settings.usage,
    csrName: settings.name,
    renewal: { isForced: settings.force, renewBeforeMs: settings.renewBefore },
  };
  const name = subject.commonName ?? dnsNames[0] ?? "tlsboot";
  const delivery = { ...tools, settings, signerName, name, folder: resolve(tools.cwd, out), paths: target.paths };
  if (settings.offline !== undefined) {
    return await runOffline(settings, settings.offline, { options, delivery });
  }
  await using connection = await connect(settings, tools);
  const { transport } = connection;
  const logger = createLogger({ ...tools, level: tools.isDebug ? "debug" : "warn" });
  const outcome = await requestWithSteps(
    ({ onProgress }) => requestCertificate({ ...options, transport, logger, onProgress }, signal),
    wanted,
    tools,
  );
  await deliver(outcome, delivery);
  return EXIT.done;
}

function checkSettings({ settings }: Input<typeof requestCommand.flags>): void {
  checkCertificateSettings(settings);
  if (settings.name !== undefined) parseCsrNames([settings.name]);
  const names = [settings.dns, settings.ip, settings.uri, settings.email];
  if (settings.subject === undefined && names.every((list) => list.length === 0)) {
    throw new UsageError(
      "the certificate needs a name",
      "give --subject CN=name, or --dns, --ip, --uri or --email",
    );
  }
}

/** A request and the delivery of its certificate, without a connection to the signer. */
interface OfflineRequest {
  readonly options: Omit<RequestCertificateOptions, "transport" | "random" | "logger">;
  readonly delivery: Delivery;
}

/** Writes the request into the folder, or delivers the certificate of its answer. */
async function runOffline(
  { caCertHash: site, output, signer: signerName }: RequestSettings,
  folder: string,
  { options, delivery }: OfflineRequest,
): Promise<ExitCode> {
  const outcome = await requestOffline({ ...options, folder: resolve(delivery.cwd, folder), site }).catch(
    (error: unknown) => {
      throw error instanceof RequestRefusedError ? new UsageError(error.message) : error;
    },
  );
  if (outcome.kind === "pending") {
    const { requestPath, isNew } = outcome;
    const pendingKey = options.target.pendingKeyPath;
    const path = displayPath(requestPath, delivery.cwd);
    const text = isNew ? `request written: ${path}\n` : `no answer yet to the request ${path}\n`;
    if (output === undefined) delivery.stdout.write(escapeText(text));
    else writeStructured({ outcome: "pending", signerName, requestFile: requestPath, pendingKey }, output, delivery);
    reportNextSteps(folder, "the same command again", delivery);
    return isNew ? EXIT.done : EXIT.no;
  }
  const [[ca] = []] = outcome.kind === "issued" ? outcome.answer.authorities : [];
  if (site.length === 0 && ca !== undefined) reportFirstTrust(publicKeyPin(ca), delivery);
  await deliver(outcome.kind === "kept" ? outcome : { kind: "issued", leaf: outcome.pair.leaf }, delivery);
  return EXIT.done;
}

async function readKey(path: string, tools: Tools): Promise<PrivateKey> {
  const key = parsePrivateKey(await readPrivateFile(path, tools.files, { what: `key "${path}"` }));
  if (key.ok) return key.value;
  throw new AppError("key_invalid", `cannot use key "${displayPath(path, tools.cwd)}": ${key.error}`);
}
