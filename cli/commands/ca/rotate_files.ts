/**
 * Replaces the CA of a cluster in its files, as `/etc/kubernetes/pki` of kubeadm: makes the new CA, exchanges the files, and
 * reports what the operator has to do with the programs that use them.
 */
import { resolve } from "node:path";
import { createFilePort } from "../../../client/files.ts";
import { AppError } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import type { CaRotationStep } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { shellWord } from "../../../core/lib/shell_word.ts";
import { type CertificateChain, encodeTrust } from "../../../core/pki/authority_chain.ts";
import { crossSign } from "../../../core/pki/cross_sign.ts";
import { SERIAL_BYTES } from "../../../core/pki/issue.ts";
import { formatName } from "../../../core/pki/names.ts";
import { parsePemBlocks } from "../../../core/pki/pem.ts";
import { equalBytes } from "../../../core/pki/der.ts";
import { judgePlaces, type PlaceVerdict } from "../../../core/rotation/cluster_places.ts";
import type { FileRotation } from "../../../core/rotation/file_rotation.ts";
import { ExcludedCertificates, findBeginFault } from "../../../core/rotation/new_ca.ts";
import { BACKDATE_MS } from "../../../core/signing/plan.ts";
import { type NewCaFiles, toRetiredPaths, toSlotPaths } from "../../authority/ca_swap.ts";
import { readAuthority } from "../../authority/files.ts";
import { type CaKeys, type CaKeySettings, createCaKeys } from "../../authority/keys.ts";
import type { AuthorityPaths } from "../../authority/layout.ts";
import {
  getRotationPaths,
  readFileRotation,
  removeFileRotation,
  type RotationFilesDeps,
  type RotationPaths,
  storeFileRotation,
} from "../../authority/rotation_files.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Settings } from "../../framework/flags.ts";
import { warn } from "../../framework/report.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { displayPath } from "../../output/display_path.ts";
import { line } from "../../output/escape.ts";
import { writeStructured } from "../../output/structured.ts";
import { createTablePrinter } from "../../output/table.ts";
import { readIssuedLog } from "../certificates/log_source.ts";
import { readImportedAuthority } from "./import.ts";
import { checkNextCaFlags, createNextCa, type NextCa, type NextCaSettings } from "./next_ca.ts";
import type { CA_IN_FILES_FLAGS, CaRotateStatusFlags } from "./rotate_flags.ts";
import { readPlaces } from "./rotation_places.ts";

/** The settings of all commands that replace a CA in files. */
type FileSettings =
  & Settings<typeof CA_IN_FILES_FLAGS>
  & Partial<CaKeySettings>
  & { readonly kubeconfig: string | undefined };

/** The command line of a command that replaces a CA in files. */
interface FileInput<S = unknown> {
  readonly settings: FileSettings & S;
  readonly args: readonly string[];
}

interface Context extends RotationFilesDeps {
  readonly settings: FileSettings;
  readonly paths: RotationPaths;
  readonly keys: CaKeys;
  readonly io: Io;
  readonly signal: AbortSignal;
}

/** Opens the files that the flags name. Throws UsageError. */
function createContext({ settings, args: [name] }: FileInput, io: Io, signal: AbortSignal): Context {
  const { clusterSigningCertFile = "", clusterSigningKeyFile, signingKeyCommand } = settings;
  const { caPassphraseFile, caPassphraseShare = [] } = settings;
  if (name !== undefined) {
    throw new UsageError(`"${name}" and --cluster-signing-cert-file both name a CA`, "give one of them");
  }
  if (clusterSigningKeyFile === undefined && signingKeyCommand === undefined) {
    throw new UsageError("--cluster-signing-key-file is missing", "give the key of --cluster-signing-cert-file");
  }
  const certificate = resolve(io.cwd, clusterSigningCertFile);
  // With a program there are no key files, and nothing is at this path.
  const key = resolve(io.cwd, clusterSigningKeyFile ?? `${clusterSigningCertFile.replace(/\.[^./]*$/, "")}.key`);
  const files = createFilePort();
  const keys = createCaKeys({ caPassphraseFile, caPassphraseShare, signingKeyCommand }, io, files, signal);
  const verify = async (pair: AuthorityPaths): Promise<void> => void await readAuthority(pair, files, keys);
  return { settings, paths: getRotationPaths({ certificate, key }), files, keys, io, signal, verify };
}

/** Makes the new CA beside the old one and the bundle of both. A run that was killed is continued. */
export async function beginOnFiles(
  input: FileInput<NextCaSettings>,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  const context = createContext(input, io, signal);
  const { paths, files } = context;
  checkNextCaFlags(input.settings);
  const found = await readFileRotation(paths, files);
  const isOpen = found !== undefined && found.step !== "Finish";
  if (isOpen && (found.step !== "Trust" || !await isSameCa(input.settings, found, context))) {
    throw new AppError("already_exists", `cannot begin: the CA in "${paths.signing.certificate}" is being replaced`, {
      hint: `see how far it is with: ${toCommand("status", context)}`,
    });
  }
  const { rotation, adopted } = isOpen ? { rotation: found } : await createRotation(input.settings, context);
  await storeFileRotation(rotation, paths, context, adopted);
  const show = (path: string): string => displayPath(path, io.cwd);
  io.stdout.write(
    line`the new CA "${formatName(rotation.newCa.certificate.subject)}" is in ${
      show(toSlotPaths(paths.signing, "next").certificate)
    }\n` + line`both CAs are in ${show(paths.bundle)}, for everything that trusts the CA; the old one still signs\n`,
  );
  await report(rotation, context);
  return EXIT.done;
}

/** Prints the step, the verdict about each place, and what to do next. */
export async function showOnFiles(
  input: FileInput<Pick<Settings<CaRotateStatusFlags>, "output">>,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  const context = createContext(input, io, signal);
  const rotation = await getRotation(context);
  const { output } = input.settings;
  const rows = output === "json" || output === "yaml"
    ? await takeCensus(rotation, context)
    : await report(rotation, context);
  if (output === "json" || output === "yaml") {
    const { step, beganAt, switchedAt, finishedAt } = rotation;
    writeStructured({ step, beganAt, switchedAt, finishedAt, places: rows }, output, io);
  }
  return rows.every(({ isReady }) => isReady) ? EXIT.done : EXIT.no;
}

/** Exchanges the files, so that the new CA signs. */
export async function switchOnFiles(input: FileInput, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const context = createContext(input, io, signal);
  const rotation = await getRotation(context);
  if (rotation.step === "Finish") throw createFinishedError(context);
  if (rotation.step === "Trust") {
    const rows = await takeCensus(rotation, context);
    const refusing = rows.find(({ role, isReady }) => role === "clients" && !isReady);
    if (refusing !== undefined) {
      throw new AppError("invalid", "cannot switch: kube-apiserver would refuse clients of the new CA", {
        hint: refusing.fix ?? "",
      });
    }
    if (context.settings.kubeconfig === undefined) {
      warn("without --kubeconfig nothing checks whether kube-apiserver trusts the new CA for clients", io);
    }
  }
  const switchedAt = rotation.switchedAt ?? formatTime(io.clock.now());
  const next: FileRotation = { ...rotation, step: "Switch", switchedAt };
  await storeFileRotation(next, context.paths, context);
  io.stdout.write(line`the new CA signs: ${displayPath(context.paths.signing.certificate, io.cwd)}\n`);
  await report(next, context);
  return EXIT.done;
}

/** Takes the old CA out of the bundle, unless a place that is not left behind would lose access. */
export async function finishOnFiles(
  input: FileInput<{ readonly leaveBehind: readonly string[] }>,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  const context = createContext(input, io, signal);
  const rotation = await getRotation(context);
  if (rotation.step === "Trust") {
    throw new AppError("invalid", "cannot finish: the old CA still signs", {
      hint: `let the new one sign first: ${toCommand("switch", context)}`,
    });
  }
  if (rotation.step === "Switch" && !await mayFinish(rotation, input.settings.leaveBehind, context)) return EXIT.no;
  const finishedAt = rotation.finishedAt ?? formatTime(io.clock.now());
  const next: FileRotation = { ...rotation, step: "Finish", finishedAt };
  await storeFileRotation(next, context.paths, context);
  const retired = toRetiredPaths(context.paths.signing, rotation.oldCa.certificate.sha256Fingerprint);
  const show = (path: string): string => displayPath(path, io.cwd);
  io.stdout.write(
    line`the old CA is in no bundle any more: ${show(context.paths.bundle)}\n` +
      line`destroy its key when everything works: ${show(retired.key)}\n`,
  );
  await report(next, context);
  return EXIT.done;
}

async function mayFinish(
  rotation: FileRotation,
  leaveBehind: readonly string[],
  context: Context,
): Promise<boolean> {
  const { settings: { kubeconfig, issuedLog }, io } = context;
  if (kubeconfig === undefined && issuedLog === undefined) {
    throw new UsageError(
      "finish must know who would lose access",
      "give --kubeconfig of an administrator, and --issued-log of the signer if it keeps one",
    );
  }
  const rows = await takeCensus(rotation, context);
  const unknown = leaveBehind.find((name) => !rows.some((row) => isPlace(row, name)));
  if (unknown !== undefined) {
    throw new UsageError(
      `--leave-behind: there is no "${unknown}" in the census`,
      `see the names with: ${toCommand("status", context)}`,
    );
  }
  const losing = rows.filter((row) => row.losesAccess && !leaveBehind.some((name) => isPlace(row, name)));
  if (losing.length === 0) return true;
  io.stdout.write(formatRows(losing));
  io.stderr.write(
    line`not finished: ${losing.length} of ${rows.length} places would lose access; do what the table says, or name ` +
      line`them with --leave-behind ${shellWord(losing[0]?.name ?? "")}\n`,
  );
  return false;
}

/** Goes one step back: to the old CA that signs, or to the old CA alone. */
export async function abortOnFiles(
  input: FileInput<{ readonly leaveBehind: readonly string[] }>,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  const context = createContext(input, io, signal);
  const { paths } = context;
  const rotation = await getRotation(context);
  if (rotation.step === "Finish") throw createFinishedError(context);
  if (rotation.step === "Switch") {
    await storeFileRotation({ ...rotation, step: "Trust" }, paths, context);
    io.stdout.write("the old CA signs again, and both are trusted\n");
    io.stderr.write(`next, when no certificate of the new CA is in use: ${toCommand("abort", context)}\n`);
    return EXIT.done;
  }
  const using = rotation.switchedAt === undefined ? [] : await findUsers(rotation, input.settings.leaveBehind, context);
  const [first] = using;
  if (first !== undefined) {
    io.stdout.write(using.map((name) => line`${name}: certificate of the new CA\n`).join(""));
    io.stderr.write(`not removed: renew these certificates first, or give --leave-behind ${shellWord(first)}\n`);
    return EXIT.no;
  }
  await removeFileRotation(rotation, paths, context);
  io.stdout.write(line`the new CA is removed; ${displayPath(paths.bundle, io.cwd)} has the old one alone\n`);
  return EXIT.done;
}

/** Lists the places with a valid certificate of the new CA. */
async function findUsers(
  rotation: FileRotation,
  leaveBehind: readonly string[],
  context: Context,
): Promise<readonly string[]> {
  const { settings: { kubeconfig, issuedLog }, io, signal } = context;
  const now = io.clock.now();
  const places = await readPlaces({ ...context, rotation, kubeconfig, issuedLog }, signal);
  return places.flatMap((place) => {
    const isOfNew = place.kind === "certificate" && place.issuer === "new" &&
      (place.notAfter === undefined || place.notAfter > now);
    return isOfNew && !leaveBehind.some((name) => isPlace(place, name)) ? [place.name] : [];
  });
}

async function getRotation(context: Context): Promise<FileRotation> {
  const rotation = await readFileRotation(context.paths, context.files);
  if (rotation !== undefined) return rotation;
  throw new AppError("not_found", `the CA in "${context.paths.signing.certificate}" is not being replaced`, {
    hint: `begin with: ${toCommand("begin", context)}`,
  });
}

function createFinishedError(context: Context): AppError {
  return new AppError("invalid", "the rotation is finished: the old CA is trusted no more", {
    hint: `for another new CA: ${toCommand("begin", context)}`,
  });
}

/** Compares the CA that flags name with the one of the rotation; without flags it is the same. */
async function isSameCa(
  { certFile }: NextCaSettings,
  { newCa }: FileRotation,
  { files, io }: Context,
): Promise<boolean> {
  if (certFile === undefined) return true;
  const [first] = parsePemBlocks(await files.readText(resolve(io.cwd, certFile)) ?? "");
  return first !== undefined && equalBytes(first.bytes, newCa.certificate.der);
}

/** A rotation that begins, and its new CA. */
interface BegunRotation {
  readonly rotation: FileRotation;
  readonly adopted: NewCaFiles;
}

async function createRotation(settings: NextCaSettings, context: Context): Promise<BegunRotation> {
  const { paths, files, keys, io } = context;
  const oldCa = await readAuthority(paths.signing, files, keys);
  const ca = { name: paths.name, paths: paths.signing };
  const { chain: newCa, keyPem } = await readAbandoned(settings, context) ??
    await createNextCa({ ca, settings, io }, oldCa, files, keys);
  const fault = findBeginFault(newCa, oldCa, { isLeaked: false });
  if (fault !== undefined) throw cannotBegin(fault.message, fault.hint);
  await assertPermitted(newCa, oldCa, context);
  const now = io.clock.now();
  const crossSigned = await crossSign(newCa.certificate, oldCa, {
    notBefore: new Date(now.getTime() - BACKDATE_MS),
    serial: io.random.bytes(SERIAL_BYTES),
  });
  if (!crossSigned.ok) throw cannotBegin(crossSigned.error, "give another CA with --cert-file");
  return {
    rotation: {
      ...{ step: "Trust", oldCa, newCa, beganAt: formatTime(now) },
      crossSigned: { certificate: crossSigned.value, issuers: [] },
    },
    adopted: { certificatePem: encodeTrust(newCa), keyPem },
  };
}

function cannotBegin(why: string, hint: string): AppError {
  return new AppError("ca_invalid", `cannot begin with this new CA: ${why}`, { hint });
}

/** Refuses a new CA that could not have issued a certificate of the old one that the issued log has. */
async function assertPermitted(
  newCa: CertificateChain,
  oldCa: CertificateChain,
  { settings: { issuedLog }, io, signal }: Context,
): Promise<void> {
  const excluded = new ExcludedCertificates(newCa, oldCa, io.clock.now());
  if (issuedLog === undefined || !excluded.isPossible) return;
  for await (const { record } of readIssuedLog(resolve(io.cwd, issuedLog), signal)) excluded.add(record);
  const [first, ...others] = excluded.list();
  if (first === undefined) return;
  const more = others.length === 0 ? "" : `, and ${others.length} more`;
  throw cannotBegin(
    `it could not certify ${first.subject}: ${first.fault}${more}`,
    "permit these names with --permit-dns and --permit-ip",
  );
}

/** Reads the new CA of a run that was killed before it had a record; undefined when there is none, or flags name one. */
async function readAbandoned({ certFile }: NextCaSettings, context: Context): Promise<NextCa | undefined> {
  const { paths, files, keys, io } = context;
  const next = toSlotPaths(paths.signing, "next");
  const isThere = await files.stat(next.certificate) !== undefined && await files.stat(next.key) !== undefined;
  if (certFile !== undefined || keys.hasProgram || !isThere) return undefined;
  const { authority, key } = await readImportedAuthority(next, io.clock.now(), { files, keys });
  return { chain: authority, keyPem: key?.pem };
}

async function takeCensus(rotation: FileRotation, context: Context): Promise<readonly PlaceVerdict[]> {
  const { settings: { kubeconfig, issuedLog }, io, signal } = context;
  const places = await readPlaces({ ...context, rotation, kubeconfig, issuedLog }, signal);
  return judgePlaces(places, rotation.step, io.clock.now());
}

/** Prints the census and the next step; returns the verdicts. */
async function report(rotation: FileRotation, context: Context): Promise<readonly PlaceVerdict[]> {
  const rows = await takeCensus(rotation, context);
  if (rows.length > 0) context.io.stdout.write(formatRows(rows));
  context.io.stderr.write(`${describeNext(rotation.step, rows.every((row) => row.isReady), context)}\n`);
  return rows;
}

function describeNext(step: CaRotationStep, isReady: boolean, context: Context): string {
  if (step === "Finish") {
    return isReady ? "nothing trusts the old CA" : "next: do what the table says";
  }
  const command = toCommand(step === "Trust" ? "switch" : "finish", context);
  return isReady ? `next: ${command}` : `next, when all places are ready: ${command}`;
}

function toCommand(verb: string, { settings }: Context): string {
  const flags = [
    ["--cluster-signing-cert-file", settings.clusterSigningCertFile],
    ["--cluster-signing-key-file", settings.clusterSigningKeyFile],
    ["--signing-key-command", settings.signingKeyCommand],
    ...(verb === "status" ? [] : [
      ["--ca-passphrase-file", settings.caPassphraseFile],
      ...(settings.caPassphraseShare ?? []).map((share) => ["--ca-passphrase-share", share]),
    ]),
    ["--kubeconfig", settings.kubeconfig],
    ["--issued-log", settings.issuedLog],
  ].flatMap(([flag = "", value]) => value === undefined ? [] : [`${flag} ${shellWord(value)}`]);
  return `tlsboot ca rotate ${verb} ${flags.join(" ")}`;
}

/** Reports whether a name that the operator typed means a place: `n7`, `node/n7`, `user/alice`, a path. */
function isPlace({ name }: { readonly name: string }, typed: string): boolean {
  return name === typed || name === `node/${typed}` || name === `user/${typed}`;
}

function formatRows(rows: readonly PlaceVerdict[]): string {
  const columns = ["Place", "State", "To do"].map((name) => ({ name }));
  return createTablePrinter({ isWide: false }).print(
    columns,
    rows.map(({ name, state, fix = "" }) => ({ cells: [name, state, fix] })),
  );
}
