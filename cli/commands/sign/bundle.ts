/** Signs bundles of requests: one in a file, or those of machines in a folder, such as a USB stick. */
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type FilePort, readStickFile } from "../../../client/files.ts";
import { AppError, getErrorMessage, isAppError } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import {
  computeBundleId,
  findRequestName,
  readRequests,
  type RequestBundle,
  toStickFileName,
} from "../../../core/offline/bundle.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { reportError } from "../../framework/report.ts";
import { listTypedFlags } from "../../framework/settings.ts";
import { PUBLIC_MODE } from "../../../instance/data_dir.ts";
import type { Tools } from "../../io.ts";
import { openBundleText, writeQrPages } from "../../offline_files.ts";
import { line } from "../../../core/lib/printable.ts";
import { answerBundle, type BundleAnswer, type Desk, openDesk } from "./answer.ts";
import type { signCommand } from "./flags.ts";

/** Answers a bundle; `text` is the content of `file`. */
export async function signBundle(
  text: string,
  file: string,
  { settings, origins }: Input<typeof signCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  refuseFlags(origins, ["usage", "duration"], "not for a bundle", SEE_REQUESTS);
  const bundle = openBundleText("requests", readRequests, text, file);
  if (bundle.origin.kind === "export") {
    refuseFlags(origins, ["server"], "not for requests that a server exported", SEE_REQUESTS);
  }
  using desk = await openDesk(settings, tools);
  const answer = await answerBundle(bundle, desk);
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
    tools.stderr.write(line`${file} was answered before: this is the same answer again, and nothing more is signed\n`);
  }
  await writeAnswers(answers, bundle, desk);
  return isRepeated || outcomes.every(({ kind }) => kind === "issued") ? EXIT.done : EXIT.no;
}

/** Answers every request in a folder. One that cannot be read or answered does not keep the others from it. */
export async function signFolder(
  { settings, origins, args: [folder = ""] }: Pick<
    Input<typeof signCommand.flags>,
    "settings" | "origins" | "args"
  >,
  tools: Tools,
): Promise<ExitCode> {
  refuseFlags(origins, ["trustExporter", "qr", "out", "force", "usage", "duration"], "not for a folder", SEE_REQUESTS);
  const path = resolve(tools.cwd, folder);
  const names = await findRequests(path);
  if (names.length === 0) {
    throw new AppError("not_found", `cannot sign "${folder}": no file in it is called NAME.request.pem`, {
      hint: "a machine writes one there with: tlsboot bootstrap --offline FOLDER",
    });
  }
  using desk = await openDesk(settings, tools);
  const codes = new Set<ExitCode>();
  let answers = 0;
  for (const name of names) {
    try {
      const answer = await answerBundle(await readMachineRequest(name, path, tools.files), desk);
      if (answer.text !== undefined) {
        await writeToStick(join(path, toStickFileName(name, "answer")), answer.text, tools.files);
      }
      const [outcome] = answer.outcomes;
      if (answer.text !== undefined && outcome?.kind === "issued") answers++;
      if (outcome?.kind !== "issued") codes.add(EXIT.no);
      tools.stdout.write(describeAnswer(name, answer));
    } catch (error) {
      tools.signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      reportError(error, tools, tools.isDebug);
      codes.add(EXIT.failed);
    }
  }
  if (answers > 0) {
    tools.stderr.write("carry the folder back, and run there again the command that made each request\n");
  }
  if (codes.has(EXIT.failed)) return EXIT.failed;
  return codes.has(EXIT.no) ? EXIT.no : EXIT.done;
}

const SEE_REQUESTS = "the requests in it say what they ask for";

/** UsageError for flags that have no meaning for what the arguments name. */
export function refuseFlags(origins: Input["origins"], flags: readonly string[], why: string, hint?: string): void {
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
    : "it is an export of a server, which is signed as a file";
  throw new AppError("invalid", `cannot sign "${path}": ${why}`, {
    hint: "remove it, and write it again at the machine, with the command that made it",
  });
}

async function writeToStick(path: string, text: string, files: FilePort): Promise<void> {
  // Nothing is written to a stick that has the answer, which may be read-only by now.
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

async function writeAnswers(text: string, bundle: RequestBundle, desk: Desk): Promise<void> {
  const { settings: { out, force, qr }, files } = desk;
  const { origin, requests } = bundle;
  if (qr !== undefined) {
    const facts = origin.kind === "machine"
      ? []
      : [["Server", origin.server], ["Exported", origin.createdAt], ["Export", origin.id]] as const;
    const id = origin.kind === "machine" ? computeBundleId(bundle) : origin.id;
    await writeQrPages(qr, { kind: "answers", text, id, facts, names: requests.map(({ name }) => name) }, desk);
  }
  if (out === undefined || out === "-") {
    desk.stdout.write(text);
    return;
  }
  const path = resolve(desk.cwd, out);
  if (!force && await files.lstat(path) !== undefined) {
    throw new AppError("file_exists", `cannot write the answers to "${out}": it exists`, {
      hint: "the answers are kept: run the command again with --force, or with another --out",
    });
  }
  await files.writeAtomic(path, text, PUBLIC_MODE);
}
