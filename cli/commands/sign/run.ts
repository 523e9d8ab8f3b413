/**
 * The action of `tlsboot sign`: signs requests by the rules of a signer, without an API. They are in files, in a bundle, or
 * in a folder with the requests of machines, such as a USB stick.
 */
import { Buffer } from "node:buffer";
import { basename, join, resolve } from "node:path";
import { type FilePort, FOLDER_MODE, PUBLIC_MODE, readStickFile } from "../../../client/files.ts";
import { AppError, getErrorMessage, isAppError } from "../../../core/errors.ts";
import { MIN_EXPIRATION_SECONDS } from "../../../core/kube/kinds/constants.ts";
import { type RequestSigning, signRequest } from "../../../instance/offline_signing/sign_request.ts";
import type { IssuedLog } from "../../../instance/authority/issued_log.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import { toExpirationSeconds } from "../../flags/request.ts";
import type { Input } from "../../framework/command.ts";
import type { Settings } from "../../framework/flags.ts";
import { forEachItem, reportError, warn } from "../../framework/report.ts";
import type { Tools } from "../../io.ts";
import { isBundleText, openBundleText, readBundleText, writeQrPages } from "../../offline_files.ts";
import { assertReplaceable, displayPath, readInput } from "../../output/files.ts";
import { line } from "../../../core/lib/printable.ts";
import type { signCommand } from "./flags.ts";
import { readdir } from "node:fs/promises";
import { formatTime } from "../../../core/kube/meta.ts";
import {
  computeBundleId,
  findRequestName,
  readRequests,
  type RequestBundle,
  toStickFileName,
} from "../../../core/offline/bundle.ts";
import { listTypedFlags } from "../../framework/settings.ts";
import {
  answerBundle,
  type BundleAnswer,
  openSession,
  type SessionDeps,
} from "../../../instance/offline_signing/answer.ts";
import { createSignerOpener, openSignLog } from "../../../instance/offline_signing/open_signer.ts";
import { createLogger } from "../../logging.ts";
import { createCaKeys } from "../../passphrases/passphrase.ts";
import { askForConsent } from "./consent.ts";

/** The maximum size of a request file. Real requests are much smaller. */
const MAX_BYTES = 1024 * 1024;
const STDIN = "-";
/** The minimum lifetime of certificates of Kubernetes' signers. A custom profile has its own limit. */
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
        // Another program may have created the file in the meantime.
        await assertReplaceable("certificate", target, settings.force, files);
        await files.writeAtomic(target, pem, PUBLIC_MODE);
        tools.stdout.write(line`${displayPath(target, tools.cwd)}\n`);
      }
    } catch (error) {
      tools.signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      reportError(error, tools, tools.isDebug);
      codes.add(error.code === "csr_denied" ? EXIT.no : EXIT.failed);
    }
  }
  // A failure, which can be fixed, takes precedence over the refusal of another request.
  return [EXIT.failed, EXIT.no].find((code) => codes.has(code)) ?? EXIT.done;
}

/** Reports whether the only argument is a folder. Throws UsageError for a folder among other arguments. */
async function namesFolder(args: readonly string[], files: FilePort, cwd: string): Promise<boolean> {
  for (const name of args) {
    if (name === STDIN || (await files.stat(resolve(cwd, name)))?.kind !== "directory") continue;
    if (args.length === 1) return true;
    throw new UsageError(`"${name}" is a folder: give one folder alone, or files`);
  }
  return false;
}

/** Reads the only argument to find out whether it is a bundle; undefined for several, and when the file does not exist. */
async function findBundleText(
  [file = "", ...more]: readonly string[],
  tools: Tools,
): Promise<{ readonly content: string; readonly isBundle: boolean } | undefined> {
  const isText = file === STDIN || (await tools.files.stat(resolve(tools.cwd, file)))?.kind === "file";
  if (!isText || more.length > 0) return undefined;
  const content = await readBundleText(file, tools);
  return { content, isBundle: isBundleText(content) };
}

/** The flags that apply only to a folder or a bundle. */
const BUNDLE_FLAGS = ["trustExporter", "qr", "server", "yes", "policy", "inventory"];

async function openSigning(
  settings: Settings<typeof signCommand.flags>,
  tools: Tools,
): Promise<RequestSigning & { readonly issuedLog: IssuedLog | undefined }> {
  const deps = createDeps(settings, tools);
  const opener = await createSignerOpener(settings, deps);
  const [signerName] = opener.chosen;
  if (signerName === undefined) {
    throw new UsageError(
      "no rules given: use --signer or --profile",
      "see: tlsboot sign --help",
    );
  }
  const signer = await opener.open(signerName);
  const { authority, profile } = signer;
  const { duration, usage } = settings;
  if (duration !== undefined && duration < MIN_LIFETIME_MS && profile.lifetime === undefined) {
    throw new UsageError("--duration: want at least 10m", "Kubernetes' signers issue for ten minutes or longer");
  }
  const issuedLog = openSignLog(settings, deps);
  return {
    ...signer,
    asked: { signerName, usages: usage, expirationSeconds: toExpirationSeconds(duration) },
    issuedLog,
    record: issuedLog && ((certificate) => issuedLog.record(certificate, authority, { source: "sign", signerName })),
  };
}

function createDeps(settings: Settings<typeof signCommand.flags>, tools: Tools): SessionDeps {
  return {
    ...tools,
    logger: createLogger(tools),
    keys: createCaKeys(settings, tools),
    warn: (message) => warn(message, tools),
    askForConsent: (decided, bundle) => askForConsent(decided, bundle, settings, tools),
  };
}

/** Returns the path of each certificate; undefined for stdout. Checks all paths before anything is signed. */
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
      throw new UsageError(`--out: "${target}" is a request to be signed`);
    }
    await assertReplaceable("certificate", target, force, files);
  }
  if (isFolder) await files.makeDirectory(folder, FOLDER_MODE);
  return targets;
}

function getBaseName(source: string): string {
  return source === STDIN ? "stdin" : basename(source).replace(/\.(?:csr|req|pem|der|p10)$/i, "");
}

/** Answers a bundle. `text` is the content of `file`. */
async function signBundle(
  text: string,
  file: string,
  { settings, origins }: Input<typeof signCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  refuseFlags(origins, ["usage", "duration"], "not for a bundle", `the requests contain their own; ${SEE_HELP}`);
  const bundle = openBundleText("requests", readRequests, text, file);
  if (bundle.origin.kind === "export") {
    refuseFlags(origins, ["server"], "not for requests that a server exported", SEE_HELP);
  }
  using session = await openSession(settings, createDeps(settings, tools));
  const answer = await answerBundle(bundle, session);
  const { text: answers, isRepeated, outcomes } = answer;
  if (answers === undefined) {
    const [outcome] = outcomes;
    tools.stderr.write(
      outcome?.kind === "skipped"
        ? line`nothing is signed: ${outcome.message}\n`
        : describeAnswer(bundle.requests[0]?.name ?? "", answer),
    );
    return EXIT.no;
  }
  if (isRepeated) {
    tools.stderr.write(line`${file} was answered before: this is the same answer again, and nothing new is signed\n`);
  }
  await writeAnswers(answers, bundle, settings, tools);
  return isRepeated || outcomes.every(({ kind }) => kind === "issued") ? EXIT.done : EXIT.no;
}

/** Answers every request in a folder. If one cannot be read or answered, it is reported and the others are answered. */
export async function signFolder(
  { settings, origins, args: [folder = ""] }: Pick<
    Input<typeof signCommand.flags>,
    "settings" | "origins" | "args"
  >,
  tools: Tools,
): Promise<ExitCode> {
  refuseFlags(origins, ["trustExporter", "qr", "out", "force", "usage", "duration"], "not for a folder", SEE_HELP);
  const path = resolve(tools.cwd, folder);
  const names = await findRequests(path);
  if (names.length === 0) {
    throw new AppError("not_found", `cannot sign "${folder}": it contains no file NAME.request.pem`, {
      hint: "a machine writes one there with: tlsboot bootstrap --offline FOLDER",
    });
  }
  using session = await openSession(settings, createDeps(settings, tools));
  let answers = 0;
  let isRefused = false;
  const code = await forEachItem(names, async (name) => {
    const answer = await answerBundle(await readMachineRequest(name, path, tools.files), session);
    if (answer.text !== undefined) {
      await writeToStick(join(path, toStickFileName(name, "answer")), answer.text, tools.files);
    }
    const [outcome] = answer.outcomes;
    if (answer.text !== undefined && outcome?.kind === "issued") answers++;
    if (outcome?.kind !== "issued") isRefused = true;
    tools.stdout.write(describeAnswer(name, answer));
  }, tools);
  if (answers > 0) {
    tools.stderr.write("take the folder back, and run again on each machine the command that made its request\n");
  }
  return code === EXIT.done && isRefused ? EXIT.no : code;
}

const SEE_HELP = "see: tlsboot sign --help";

/** Throws UsageError for given flags that do not apply to the arguments. */
function refuseFlags(origins: Input["origins"], flags: readonly string[], why: string, hint?: string): void {
  const given = listTypedFlags(origins, flags);
  if (given.length > 0) throw new UsageError(`${given.join(", ")}: ${why}`, hint);
}

async function findRequests(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).flatMap((file) => findRequestName(file) ?? []).sort();
  } catch (cause) {
    throw new AppError("io", `cannot read folder "${folder}": ${getErrorMessage(cause)}`, { cause });
  }
}

async function readMachineRequest(name: string, folder: string, files: FilePort): Promise<RequestBundle> {
  const path = join(folder, toStickFileName(name, "request"));
  const text = await readStickFile(path, files);
  const bundle = text === undefined ? undefined : readRequests(text);
  const isMachine = bundle?.ok === true && bundle.value.origin.kind === "machine";
  const found = bundle?.ok === true ? bundle.value.requests[0]?.name : undefined;
  if (isMachine && found === name) return bundle.value;
  const why = bundle === undefined
    ? "no such file"
    : !bundle.ok
    ? bundle.error.join("; ")
    : isMachine
    ? `it is the request "${found}", under another name`
    : "it is an export of a server: sign it as a file";
  throw new AppError("invalid", `cannot sign "${path}": ${why}`, {
    hint: "remove it, and run the command that wrote it on the machine again",
  });
}

async function writeToStick(path: string, text: string, files: FilePort): Promise<void> {
  // A stick that already has the answer is not written: it may be read-only.
  if (await readStickFile(path, files) === text) return;
  try {
    await files.writeAtomic(path, text, PUBLIC_MODE);
  } catch (cause) {
    if (!isAppError(cause, "io")) throw cause;
    throw new AppError("io", cause.message, {
      cause,
      hint: "free some space, or make the folder writable, and run the command again: the answer is kept",
    });
  }
}

function describeAnswer(name: string, { text, isRepeated, outcomes: [outcome] }: BundleAnswer): string {
  const answer = toStickFileName(name, "answer");
  const request = toStickFileName(name, "request");
  if (outcome?.kind === "issued") {
    const [leaf] = outcome.chain;
    const end = leaf === undefined ? "" : formatTime(leaf.notAfter);
    if (text === undefined) return line`${request}: signed before, expired at ${end}; the machine makes a new one\n`;
    return line`${answer}: ${isRepeated ? "already signed" : "signed"}, valid until ${end}\n`;
  }
  return outcome?.kind === "refused"
    ? line`${answer}: refused: ${outcome.message}\n`
    : line`${request}: ${outcome?.message ?? ""}\n`;
}

async function writeAnswers(
  text: string,
  bundle: RequestBundle,
  { out, force, qr }: Settings<typeof signCommand.flags>,
  tools: Tools,
): Promise<void> {
  const { files } = tools;
  const { origin, requests } = bundle;
  if (qr !== undefined) {
    const facts = origin.kind === "machine"
      ? []
      : [["Server", origin.server], ["Exported", origin.createdAt], ["Export", origin.id]] as const;
    const id = origin.kind === "machine" ? computeBundleId(bundle) : origin.id;
    await writeQrPages(qr, { kind: "answers", text, id, facts, names: requests.map(({ name }) => name) }, tools);
  }
  if (out === undefined || out === STDIN) {
    tools.stdout.write(text);
    return;
  }
  const path = resolve(tools.cwd, out);
  if (!force && await files.lstat(path) !== undefined) {
    throw new AppError("file_exists", `cannot write the answers to "${out}": it exists`, {
      hint: "the answers are kept: run the command again with --force, or with another --out",
    });
  }
  await files.writeAtomic(path, text, PUBLIC_MODE);
}
