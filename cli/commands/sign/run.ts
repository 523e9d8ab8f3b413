/** Signs requests in files by the rules of a signer, without an API. */
import { Buffer } from "node:buffer";
import { basename, join, resolve } from "node:path";
import type { FilePort } from "../../../client/files.ts";
import { AppError } from "../../../core/errors.ts";
import { MIN_EXPIRATION_SECONDS } from "../../../core/kube/kinds/certificates_v1.ts";
import { type RequestSigning, signRequest } from "../../sign_request.ts";
import type { IssuedLog } from "../../../instance/authority/issued_log.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import { toExpirationSeconds } from "../../flags/request.ts";
import type { Input } from "../../framework/command.ts";
import type { Settings } from "../../framework/flags.ts";
import { reportError } from "../../framework/report.ts";
import type { Tools } from "../../io.ts";
import { isBundleText, readBundleText } from "../../offline_files.ts";
import { assertReplaceable, displayPath, readInput } from "../../output/files.ts";
import { line } from "../../../core/lib/printable.ts";
import { FOLDER_MODE, PUBLIC_MODE } from "../../../instance/data_dir.ts";
import { refuseFlags, signBundle, signFolder } from "./bundle.ts";
import type { signCommand } from "./flags.ts";
import { createSignerOpener, openSignLog } from "./open_signer.ts";

/** The maximum size of a request in a file; real ones are much smaller. */
const MAX_BYTES = 1024 * 1024;
const STDIN = "-";
/** The minimum lifetime of certificates of Kubernetes' signers. A custom profile has a limit of its own. */
const MIN_LIFETIME_MS = MIN_EXPIRATION_SECONDS * 1_000;

export async function run(input: Input<typeof signCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { files } = tools;
  const { settings, args } = input;
  if (await namesFolder(args, files, tools.cwd)) return await signFolder(input, tools);
  const text = await findBundleText(args, tools);
  if (text?.isBundle === true) return await signBundle(text.content, args[0] ?? "", input, tools);
  refuseFlags(input.origins, BUNDLE_FLAGS, "only for a folder or a bundle of requests");
  const targets = await planTargets(args, settings, files, tools.cwd);
  const { issuedLog: log, ...signing } = await openSigning(settings, tools);
  using _ = log;
  await log?.check();
  const codes = new Set<ExitCode>();
  for (const [index, file] of args.entries()) {
    try {
      // Stdin can be read only once.
      const bytes = file === STDIN && text !== undefined
        ? Buffer.from(text.content, "latin1")
        : await readInput(file, MAX_BYTES, tools);
      if (isBundleText(Buffer.from(bytes).toString("latin1"))) {
        throw new AppError("invalid", `cannot sign "${file}" with other files: it is a bundle`, {
          hint: "give the bundle alone, or the folder of several machines' requests",
        });
      }
      const pem = await signRequest(bytes, file, signing, tools);
      const target = targets?.[index];
      if (target === undefined) tools.stdout.write(pem);
      else {
        await writeCertificate(target, pem, settings.force, files);
        tools.stdout.write(line`${displayPath(target, tools.cwd)}\n`);
      }
    } catch (error) {
      tools.signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      reportError(error, tools, tools.isDebug);
      codes.add(error.code === "csr_denied" ? EXIT.no : EXIT.failed);
    }
  }
  // A failure that can be fixed takes precedence over a refusal of another request.
  if (codes.has(EXIT.failed)) return EXIT.failed;
  return codes.has(EXIT.no) ? EXIT.no : EXIT.done;
}

/** Reports whether the argument is a folder. UsageError for a folder with other arguments. */
async function namesFolder(args: readonly string[], files: FilePort, cwd: string): Promise<boolean> {
  for (const name of args) {
    if (name === STDIN || (await files.stat(resolve(cwd, name)))?.kind !== "directory") continue;
    if (args.length === 1) return true;
    throw new UsageError(`"${name}" is a folder: give one folder alone, or files`);
  }
  return false;
}

/** Reads the only argument as text, to find out whether it is a bundle; undefined for several, and without the file. */
async function findBundleText(
  [file = "", ...more]: readonly string[],
  tools: Tools,
): Promise<{ readonly content: string; readonly isBundle: boolean } | undefined> {
  const isText = file === STDIN || (await tools.files.stat(resolve(tools.cwd, file)))?.kind === "file";
  if (!isText || more.length > 0) return undefined;
  const content = await readBundleText(file, tools);
  return { content, isBundle: isBundleText(content) };
}

/** The flags that have a meaning only for a folder or a bundle. */
const BUNDLE_FLAGS = ["trustExporter", "qr", "server", "yes", "policy", "inventory"];

async function openSigning(
  settings: Settings<typeof signCommand.flags>,
  tools: Tools,
): Promise<RequestSigning & { readonly issuedLog: IssuedLog | undefined }> {
  const opener = await createSignerOpener(settings, tools);
  const [signerName] = opener.chosen;
  if (signerName === undefined) {
    throw new UsageError(
      "no rules are named: neither --signer nor --profile is given",
      "see: tlsboot sign --help",
    );
  }
  const signer = await opener.open(signerName);
  const { authority, profile } = signer;
  const { duration, usage } = settings;
  if (duration !== undefined && duration < MIN_LIFETIME_MS && profile.lifetime === undefined) {
    throw new UsageError("--duration: want at least 10m", "Kubernetes' signers issue for ten minutes or longer");
  }
  const issuedLog = openSignLog(settings, tools);
  return {
    ...signer,
    asked: { signerName, usages: usage, expirationSeconds: toExpirationSeconds(duration) },
    issuedLog,
    record: issuedLog && ((certificate) => issuedLog.record(certificate, authority, { source: "sign", signerName })),
  };
}

/** Returns the path for each certificate; undefined for stdout. All paths are checked before anything is signed. */
async function planTargets(
  sources: readonly string[],
  { out, force }: Settings<typeof signCommand.flags>,
  files: FilePort,
  cwd: string,
): Promise<readonly string[] | undefined> {
  if (out === undefined || out === STDIN) return undefined;
  const folder = resolve(cwd, out);
  const isFolder = sources.length > 1 || (await files.stat(folder))?.kind === "directory";
  const targets = sources.map((source) => isFolder ? join(folder, `${getBaseName(source)}.crt`) : folder);
  for (const [index, target] of targets.entries()) {
    if (targets.indexOf(target) < index) {
      throw new UsageError(`--out: two requests would be written to "${target}"`, "sign them one by one");
    }
    if (sources.some((source) => source !== STDIN && resolve(cwd, source) === target)) {
      throw new UsageError(`--out: "${target}" is a request that is to be signed`);
    }
    await assertReplaceable("certificate", target, force, files);
  }
  if (isFolder) await files.makeDirectory(folder, FOLDER_MODE);
  return targets;
}

function getBaseName(source: string): string {
  return source === STDIN ? "stdin" : basename(source).replace(/\.(?:csr|req|pem|der|p10)$/i, "");
}

async function writeCertificate(target: string, pem: string, force: boolean, files: FilePort): Promise<void> {
  // Another program may have created the file while the certificate was signed.
  await assertReplaceable("certificate", target, force, files);
  await files.writeAtomic(target, pem, PUBLIC_MODE);
}
