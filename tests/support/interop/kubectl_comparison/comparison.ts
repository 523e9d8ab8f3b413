/**
 * Runs the same commands of stock programs against a real control plane and against tlsboot. Exit codes, stdout and
 * stderr must match. A script is a table of commands, and each step runs against both targets at the same time.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { IDENTITIES, type Identity } from "../../../interop/comparison/corpus.ts";
import { sortManagersInYaml } from "../../../interop/comparison/managers.ts";
import { type Pair, type Side, startPair } from "../../../interop/comparison/sides.ts";
import { type Finished, runProgram, start } from "../../child.ts";
import { isPeer, peerPath } from "../../peers/go.ts";
import { createTempFolder } from "../../temp.ts";
import { formatKubeconfig } from "../kubectl.ts";
import { createRequest } from "../openssl.ts";

/** A command that ends by itself. A script may give only its arguments, as a string. */
export interface Command {
  /** The arguments of the program, which may be in single quotes. */
  readonly run: string;
  /** The program to run; kubectl by default. */
  readonly program?: string;
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The expected exit code; by default any code that both targets share. */
  readonly code?: number;
  /** The identity whose kubeconfig is used; admin by default. */
  readonly as?: Identity;
  /** What the comparison ignores: descriptions of fields, or lines about resources that tlsboot does not serve. */
  readonly cut?: "descriptions" | "lines that tlsboot lacks";
  /** Why the outputs differ, and a pattern that their `formatDiff` must match. */
  readonly intended?: { readonly reason: string; readonly difference: RegExp };
}

/** A command that watches. The commands in `while` run once the watch has begun; it is stopped after `lines` lines. */
export interface Watch {
  readonly watch: string;
  readonly lines: number;
  readonly while: readonly (string | Command)[];
}

/** A table of commands, independent of other scripts because it uses its own namespaces and names. */
export interface Script {
  readonly title: string;
  /**
   * Files in the folder where the commands run. `${csr:NAME}` is a request for the common name NAME, `${server}` the
   * host and port of the server, `${home}` the folder of the target.
   */
  readonly files?: Readonly<Record<string, string>>;
  /** The `generateName` prefixes in use; generated names are blanked. */
  readonly generated?: readonly string[];
  readonly steps: readonly (string | Command | Watch)[];
}

/** The blanked output of one step on one side. */
interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One step with its outcome on both sides. */
interface ComparedStep {
  readonly script: string;
  readonly command: string;
  readonly outcomes: readonly [Outcome, Outcome];
  /** Whether the outcomes differ, or do not differ in the intended way. */
  readonly isFault: boolean;
}

/** kubectl delete and wait run forever when the server never sends the response that they wait for. */
const TIMEOUT = ["timeout", "--signal=KILL", "180"] as const;
/** The exit codes of `timeout` for a program that is missing or cannot be run. */
const NOT_RUN: readonly number[] = [126, 127];
const KLOG_LINE = /^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ .*\n?/gm;

/** A server and the folder where its commands run. */
export interface Target {
  /** The host and port of the server. */
  readonly server: string;
  /** Contains `<identity>.kubeconfig` for each identity in scripts, and the files that commands write. */
  readonly home: string;
  /** A folder at the front of the PATH. */
  readonly bin?: string;
  /** Other values that differ between targets: `${name}` in files and commands, `<name>` in outputs. */
  readonly values?: Readonly<Record<string, string>>;
}

/** Asserts that kubectl prints the same against tlsboot serve as against kube-apiserver. */
export async function assertKubectlAgrees(scripts: readonly Script[]): Promise<void> {
  await using pair = await startPair();
  const compared = await compareKubectl(pair, scripts);
  const faults = compared.filter(({ isFault }) => isFault);
  assert.equal(faults.length, 0, `${faults.length} of ${compared.length}\n${faults.map(formatStep).join("\n")}`);
}

/** Replays scripts of kubectl commands one after the other, against both servers of a pair. */
export async function compareKubectl(pair: Pair, scripts: readonly Script[]): Promise<readonly ComparedStep[]> {
  await using folder = await createTempFolder();
  const [theirs, ours] = pair.sides;
  const createTarget = async (side: Side): Promise<Target> => {
    const home = folder.join(side.name);
    await mkdir(home);
    for (const identity of IDENTITIES) {
      await writeFile(join(home, `${identity}.kubeconfig`), createKubeconfig(side, identity), { mode: 0o600 });
    }
    return { server: `127.0.0.1:${side.port}`, home };
  };
  return await compareScripts([await createTarget(theirs), await createTarget(ours)], scripts, pair.startedAt);
}

/** Creates the kubeconfig of a user that both servers know. Only the port differs between them. */
function createKubeconfig(side: Side, identity: Identity): string {
  const { agent, authorization } = side.getCredential(identity);
  const { ca, cert, key } = agent.options;
  const encode = (pem: unknown) => Buffer.from(String(pem)).toString("base64");
  const user = {
    ...(cert === undefined ? {} : { "client-certificate-data": encode(cert), "client-key-data": encode(key) }),
    ...(authorization === undefined ? {} : { token: authorization.replace("Bearer ", "") }),
  };
  const cluster = { server: `https://127.0.0.1:${side.port}`, "certificate-authority-data": encode(ca) };
  return formatKubeconfig(cluster, user, identity);
}

/** Replays scripts one after the other, each step against both targets at once. Times since `startedAt` are blanked. */
export async function compareScripts(
  targets: readonly [Target, Target],
  scripts: readonly Script[],
  startedAt: Date = new Date(),
): Promise<readonly ComparedStep[]> {
  const compared: ComparedStep[] = [];
  for (const script of scripts) {
    const files = await expandFiles(script.files ?? {});
    const [theirs, ours] = targets;
    const [runTheirs, runOurs] = [
      await createRunner(theirs, script, files, startedAt),
      await createRunner(ours, script, files, startedAt),
    ];
    for (const entry of script.steps) {
      const step = typeof entry === "string" ? { run: entry } : entry;
      const outcomes = cut(step, ...await Promise.all([runTheirs(step), runOurs(step)]));
      compared.push({ script: script.title, command: formatCommand(step), outcomes, isFault: isFault(step, outcomes) });
    }
  }
  return compared;
}

/**
 * Formats the command and the differing lines of its outcomes with two lines of context: `-` for kube-apiserver's, `+` for
 * ours. Equal outcomes are printed in full.
 */
export function formatStep({ script, command, outcomes: [theirs, ours] }: ComparedStep): string {
  const lines = formatDiff(formatOutcome(theirs), formatOutcome(ours)).split("\n");
  const isChanged = (line: string): boolean => /^[-+] /.test(line);
  const near = lines.filter((_, index) => lines.slice(Math.max(index - 2, 0), index + 3).some(isChanged));
  return `# ${script}\n$ ${command}\n${(near.length === 0 ? lines : near).join("\n")}`;
}

function formatOutcome({ code, stdout, stderr }: Outcome): string {
  const errors = stderr.split("\n").map((line) => line === "" ? "" : `stderr: ${line}`).join("\n");
  return `(exit code ${code})\n${stdout}${stdout === "" || stdout.endsWith("\n") ? "" : "\n"}${errors}`;
}

type Step = Command | Watch;

type Runner = (step: Step) => Promise<Outcome>;

function formatCommand(step: Step): string {
  return "watch" in step ? `kubectl ${step.watch}` : `${step.program ?? "kubectl"} ${step.run}`;
}

async function createRunner(
  target: Target,
  script: Script,
  files: ReadonlyMap<string, string>,
  startedAt: Date,
): Promise<Runner> {
  const { home, server } = target;
  const values: Readonly<Record<string, string>> = { server, home, ...target.values };
  const expand = (text: string) => text.replaceAll(/\$\{(\w+)\}/g, (all, name: string) => values[name] ?? all);
  const cwd = join(home, script.title.replaceAll(/[^a-z0-9]+/gi, "-"));
  await mkdir(cwd);
  await mkdir(join(home, "tmp"), { recursive: true });
  for (const [name, text] of files) {
    await mkdir(dirname(join(cwd, name)), { recursive: true });
    await writeFile(join(cwd, name), expand(text));
  }
  const blank = createTextBlanker({ values, generated: script.generated ?? [], startedAt });
  const toOptions = (command: Command) => ({
    cwd,
    env: {
      HOME: home,
      TMPDIR: join(home, "tmp"),
      KUBECONFIG: join(home, `${command.as ?? "admin"}.kubeconfig`),
      ...(target.bin === undefined ? {} : { PATH: `${target.bin}:${process.env["PATH"] ?? ""}` }),
      ...command.env,
    },
    ...(command.stdin === undefined ? {} : { stdin: expand(command.stdin) }),
  });
  const toWords = ({ program = "kubectl", run }: Command): readonly [string, ...string[]] => {
    const path = isPeer(program) ? peerPath(program) : program;
    return [path, ...splitWords(expand(run))];
  };
  const runCommand = (command: Command) =>
    runProgram(TIMEOUT[0], [...TIMEOUT.slice(1), ...toWords(command)], toOptions(command));
  const blankAll = ({ code, stdout, stderr }: Finished): Outcome => ({
    code,
    stdout: blank(sortManagersInYaml(stdout)),
    stderr: blank(stderr),
  });
  return async (step) => {
    if (!("watch" in step)) return blankAll(await runCommand(step));
    // The request log shows when the watch has begun. The watch could miss earlier changes.
    const watch = { run: `${step.watch} -v=6` };
    const [program, ...words] = toWords(watch);
    await using running = start(program, words, toOptions(watch));
    await running.waitFor(/watch=true.* status="200 OK"/);
    for (const entry of step.while) await runCommand(typeof entry === "string" ? { run: entry } : entry);
    // Count only stdout, because the request log is on stderr. Missing lines show up in the comparison.
    await running.waitFor(new RegExp(`^(?:[^\\n]*\\n){${step.lines}}`), 150_000, "stdout").catch(() => {});
    return blankAll({ code: 0, stdout: running.stdout(), stderr: running.stderr().replaceAll(KLOG_LINE, "") });
  };
}

function cut(step: Step, theirs: Outcome, ours: Outcome): readonly [Outcome, Outcome] {
  if (!("run" in step) || step.cut === undefined) return [theirs, ours];
  if (step.cut === "descriptions") {
    return [{ ...theirs, stdout: cutDescriptions(theirs.stdout) }, { ...ours, stdout: cutDescriptions(ours.stdout) }];
  }
  return [{ ...theirs, stdout: keepLines(ours.stdout, theirs.stdout) }, ours];
}

function isFault(step: Step, [theirs, ours]: readonly [Outcome, Outcome]): boolean {
  if ("run" in step && step.code !== undefined && theirs.code !== step.code) return true;
  if (NOT_RUN.includes(theirs.code)) return true;
  const [left, right] = [formatOutcome(theirs), formatOutcome(ours)];
  if (!("run" in step) || step.intended === undefined) return left !== right;
  return left === right || !step.intended.difference.test(formatDiff(left, right));
}

async function expandFiles(files: Readonly<Record<string, string>>): Promise<ReadonlyMap<string, string>> {
  const expanded = new Map<string, string>();
  const requests = new Map<string, string>();
  for (const [name, text] of Object.entries(files)) {
    for (const [, subject = ""] of text.matchAll(/\$\{csr:([^}]+)\}/g)) {
      if (!requests.has(subject)) requests.set(subject, await createRequest(`/CN=${subject}`));
    }
    expanded.set(name, text.replaceAll(/\$\{csr:([^}]+)\}/g, (_, subject: string) => requests.get(subject)!));
  }
  return expanded;
}

/** Splits a line into words as a shell does. Only single quotes are supported. */
function splitWords(line: string): readonly string[] {
  const words = line.match(/(?:[^\s']|'[^']*')+/g) ?? [];
  return words.map((word) => word.replaceAll(/'([^']*)'/g, "$1"));
}

/** Compares two texts line by line, using their longest common subsequence. */
function formatDiff(left: string, right: string): string {
  const [a, b] = [left.split("\n"), right.split("\n")];
  // length[i][j] is the length of the longest common subsequence of a[i:] and b[j:].
  const length = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      length[i]![j] = a[i] === b[j] ? length[i + 1]![j + 1]! + 1 : Math.max(length[i + 1]![j]!, length[i]![j + 1]!);
    }
  }
  const out: string[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      out.push(`  ${a[i++]}`);
      j++;
    } else if (j >= b.length || (i < a.length && length[i + 1]![j]! >= length[i]![j + 1]!)) out.push(`- ${a[i++]}`);
    else out.push(`+ ${b[j++]}`);
  }
  return `${out.join("\n").trimEnd()}\n`;
}

const UUID = /\b[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b/g;
/** Times in objects, in the output of describe, in the file headers of diff, and in the output of helm. */
const TIMES = [
  /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g,
  /\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}/g,
  /\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [+-]\d{4}/g,
  /\b[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\b/g,
];
/** An age, as a whole cell or inside a cell of events. kubectl prints ages below two minutes in seconds. */
const AGE = /(?<=[\s("]|^)(?:\d+s|([2-9]|\d{2,})m(?:\d+s)?)(?=[\s)"]|$)/gm;
/** A duration as Go's `time.Duration` prints it. */
const DURATION = /\b\d+\.\d{3,}m?s\b/g;
const REVISION = /((?:resourceVersion|ResourceVersion|Resource Version)\\?"?: *\\?"?)([1-9]\d*)/g;
/** A bootstrap token, and the signature that proves its secret. */
const TOKEN = /\b[a-z0-9]{6}\.[a-z0-9]{16}\b/g;
/** A service account token, whose times, id and signature differ. */
const ACCOUNT_TOKEN = /\beyJ[\w-]+\.eyJ[\w-]+\.[\w-]{40,}/g;
const SIGNATURE = /\beyJ[\w-]+\.\.[\w-]{43}\b/g;
/** The time and thread id at the start of a klog line. */
const KLOG_HEAD = /^([IWEF])\d{4} [\d:.]+ +\d+ /gm;
/** Messages of client-go about a watch that the client or a limit ends. They depend on the timing of its goroutines. */
const ENDED_WATCH = /^[IWE] reflector\.go:.*(?:"very short watch: |context (?:canceled|deadline exceeded)).*\n?/gm;
/**
 * A kubeadm warning about a port in use (`preflight.PortOpenCheck`). kubeadm checks a port by listening on it, so another
 * kubeadm that runs at the same time can cause the warning.
 */
const CHECKED_PORT = /^\t\[WARNING Port-(\d+)\]: Port \1 is in use\n/gm;
/** The names of temporary files of kubectl and diff. */
const TEMPORARY = /\b(LIVE-|MERGED-|kubectl-edit-)\d+/g;
/** The tables of `helm status`, which helm prints in the order of a Go map (`pkg/cmd/status.go`). */
const HELM_TABLES = /(?:^==> .*\n(?:.+\n)+\n)+/gm;

/** Lines about tlsboot's own API group. */
const OWN_GROUP = /^(?:.*\btlsboot\/v1alpha1\b.*|[a-z]+\.tlsboot)\n/gm;

interface TextBlankerOptions {
  /** Values of this target, such as its server and its folder, by the names that replace them. */
  readonly values: Readonly<Record<string, string>>;
  /** Times after this are blanked. */
  readonly startedAt: Date;
  /** The `generateName` prefixes that the scripts use. */
  readonly generated: readonly string[];
}

/** Creates a function that blanks the outputs of one script, which must be passed in order. */
function createTextBlanker(options: TextBlankerOptions): (text: string) => string {
  // The servers create some objects a few seconds before `startedAt`.
  const from = options.startedAt.getTime() - 120_000;
  const uids = createLabels("uid");
  const revisions = createLabels("rv");
  const tokens = createLabels("token");
  const values = Object.entries(options.values).sort(([, a], [, b]) => b.length - a.length);
  return (text) => {
    let out = text.replace(OWN_GROUP, "");
    for (const [name, value] of values) out = out.replaceAll(value, `<${name}>`);
    for (const base of options.generated) {
      const name = new RegExp(`\\b${base.replaceAll(".", "\\.")}[bcdfghjklmnpqrstvwxz2456789]{5}\\b`, "g");
      out = out.replace(name, `${base}<generated>`);
    }
    out = out.replace(ACCOUNT_TOKEN, "<service account token>").replace(KLOG_HEAD, "$1 ").replace(ENDED_WATCH, "")
      .replace(CHECKED_PORT, "").replace(UUID, uids).replace(TOKEN, tokens).replace(SIGNATURE, "<signature>");
    for (const time of TIMES) out = out.replace(time, (at) => Date.parse(at) < from ? at : "<time>");
    // A longer duration is not an age, unless the scripts have run that long.
    const oldest = Math.max(9, (Date.now() - from) / 60_000);
    out = out.replace(AGE, (age, minutes = "0") => Number(minutes) <= oldest ? "<age>" : age);
    out = out.replace(REVISION, (_, before: string, rv: string) => `${before}${revisions(rv)}`);
    out = out.replace(DURATION, "<duration>").replace(TEMPORARY, "$1<n>");
    out = out.replace(/v1\.37\.2\+tlsboot\.[\w.-]+/g, "v1.37.2");
    out = out.replace(HELM_TABLES, (tables) => tables.split(/(?=^==> )/m).sort().join(""));
    // The width of a column depends on its longest cell, which may be an age.
    return out.replace(/(?<=\S) {2,}/g, "  ");
  };
}

/** Keeps the headings of `explain`, and the name, type and `-required-` mark of each field. */
function cutDescriptions(text: string): string {
  const kept = text.split("\n").filter((line) => line.trim() !== "" && (!/^ {4,}/.test(line) || line.includes("\t<")));
  return `${kept.join("\n")}\n`;
}

/** Drops the lines that are not in the other text. */
function keepLines(other: string, text: string): string {
  const kept = new Set(other.split("\n"));
  return text.split("\n").filter((line) => kept.has(line)).join("\n");
}

/** Numbers values in the order of their first appearance. */
function createLabels(name: string): (value: string) => string {
  const known = new Map<string, string>();
  return (value) => {
    const label = known.get(value) ?? `<${name} ${known.size + 1}>`;
    known.set(value, label);
    return label;
  };
}
