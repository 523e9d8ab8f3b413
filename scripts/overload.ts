/**
 * `deno task overload`: attacks a running `tlsboot up` in every way of `scripts/overload/attacks.ts`, one after another,
 * while an honest client asks on. Prints a table of memory and of the honest client's times; fails when an honest
 * request is not answered, none was made, the honest client or the server has ended, or memory is beyond its bound.
 *
 * Usage: overload.ts [--scale N] [--seconds N] [--seed N] [words of the attacks]
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { NODE_FLAGS, type Running, start } from "../tests/support/child.ts";
import { createTempFolder } from "../tests/support/temp.ts";
import { type Machine, readMachine } from "./bench/machine.ts";
import { sourcesOn } from "./bench/program.ts";
import { ensureNode, YOUNG_GENERATION_FLAG } from "./node_runtime.ts";
import { type Account, type Answer, createAccount, missingKinds } from "./overload/account.ts";
import { type Attack, ATTACKS } from "./overload/attacks.ts";

const REST_MS = 2_000;
/** Longer than the honest client waits for all that it asks from one probe to the next. */
const ANSWERED_WITHIN_MS = 120_000;
/** No attack may make the server larger than this. */
const MAX_RSS_MB = 1_200;

interface Figures {
  readonly name: string;
  /** Megabytes. */
  readonly rss: { readonly before: number; readonly peak: number; readonly after: number };
  readonly admin: Times;
  readonly probe: Times;
  readonly failed: number;
  /** The kinds of honest requests that nobody answered or made. */
  readonly missing: readonly string[];
  readonly logLines: number;
}

interface Times {
  readonly p50: number;
  readonly p99: number;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      scale: { type: "string", default: "1" },
      seconds: { type: "string", default: "10" },
      seed: { type: "string", default: "1" },
    },
    allowPositionals: true,
  });
  const [scale, seconds, seed] = [Number(values.scale), Number(values.seconds), Number(values.seed)];
  if (!(scale > 0 && scale <= 1 && seconds > 0 && Number.isInteger(seed))) {
    throw new Error("--scale is above 0 and up to 1, --seconds above 0, --seed a whole number");
  }
  const chosen = ATTACKS.filter(({ name }) => positionals.every((word) => name.includes(word)));
  if (chosen.length === 0) {
    const names = ATTACKS.map(({ name }) => `  ${name}\n`).join("");
    throw new Error(`no attack has the words ${positionals.join(", ")} in its name; there are:\n${names}`);
  }
  const node = await ensureNode();
  await using folder = await createTempFolder();
  const data = folder.join("data");
  // With the memory that the released file has.
  await using server = sourcesOn(node, [YOUNG_GENERATION_FLAG]).start(["up", "--secure-port", "0", "--data-dir", data]);
  const [, port = ""] = await server.waitFor(/tlsboot is up at https:\S+:(\d+)[^]*Next, in another terminal/);
  const token = /token: "?([a-z0-9.]+)/.exec(await readFile(join(data, "bootstrap.kubeconfig"), "utf8"))?.[1] ?? "";
  await using honest = start(node, [
    ...NODE_FLAGS,
    join("scripts", "overload", "honest.ts"),
    port,
    join(data, "admin.kubeconfig"),
  ]);
  const account = createAccount(() => honest.stdout());
  const site = { server, honest, account, port: Number(port), token, scale, seed, ms: seconds * 1000 };

  const calm = await besiege(site, { name: "no attack", run: () => Promise.resolve() });
  const figures = [calm];
  for (const attack of chosen) {
    process.stderr.write(`${attack.name}\n`);
    figures.push(await besiege(site, attack));
  }
  const how = `scale ${scale}, ${seconds} s each, seed ${seed}`;
  process.stdout.write(`${formatFigures(figures)}\n${formatMachine(readMachine(node))}, ${how}\n`);
  const isBad = ({ failed, missing, rss }: Figures) => failed > 0 || missing.length > 0 || rss.peak > MAX_RSS_MB;
  for (const { name, failed, missing, rss } of figures.filter(isBad)) {
    const none = missing.map((kind) => `, no answer to ${kind}`).join("");
    process.stderr.write(`${name}: ${failed} honest requests failed${none}, ${rss.peak} MB at most\n`);
  }
  const ended = Object.entries({ server, honest }).filter(([, running]) => running.hasEnded());
  for (const [name, running] of ended) process.stderr.write(`${name} has ended: ${running.stderr().slice(-2_000)}\n`);
  return ended.length > 0 || figures.some(isBad) ? 1 : 0;
}

interface Site {
  readonly server: Running;
  readonly honest: Running;
  readonly account: Account;
  readonly port: number;
  readonly token: string;
  readonly scale: number;
  readonly seed: number;
  readonly ms: number;
}

async function besiege(site: Site, attack: Attack): Promise<Figures> {
  const before = await readRss(site.server.pid);
  const linesBefore = linesOf(site.server);
  let peak = before;
  const sampling = setInterval(() => {
    readRss(site.server.pid).then((rss) => peak = Math.max(peak, rss), () => undefined);
  }, 100);
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), site.ms);
  const target = { ...site, random: randomFrom(site.seed), signal: over.signal };
  await Promise.all([attack.run(target), new Promise((resolve) => over.signal.addEventListener("abort", resolve))]);
  clearTimeout(timer);
  const during = [...site.account.take(), ...await answersOfEachKind(site)];
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  clearInterval(sampling);
  const timesOf = (kind: Answer["kind"]) => times(during.filter((answer) => answer.kind === kind));
  return {
    name: attack.name,
    rss: { before, peak, after: await readRss(site.server.pid) },
    admin: timesOf("admin"),
    probe: timesOf("probe"),
    failed: [...during, ...site.account.take()].filter(({ code }) => code !== 200).length,
    missing: missingKinds(during),
    logLines: linesOf(site.server) - linesBefore,
  };
}

/** Waits for one more of each: what an attack keeps from being answered counts as its own. */
async function answersOfEachKind({ honest, account }: Site): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (const until = performance.now() + ANSWERED_WITHIN_MS; performance.now() < until && !honest.hasEnded();) {
    answers.push(...account.take());
    if (missingKinds(answers).length === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return answers;
}

async function readRss(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(text)?.[1]) / 1024);
}

function linesOf(running: Running): number {
  return running.stderr().split("\n").length;
}

function times(answers: readonly Answer[]): Times {
  const sorted = answers.map(({ ms }) => ms).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

/** mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function formatMachine({ date, cores, processor, memoryGib, system, versions, load }: Machine): string {
  const facts = [`${cores} cores (${processor})`, `${memoryGib} GiB`, system, `Node ${versions["Node"]}`];
  return `${date.slice(0, 10)}, ${facts.join(", ")}, load ${load.toFixed(1)}`;
}

function formatFigures(figures: readonly Figures[]): string {
  const [calm] = figures;
  const head = [
    "attack",
    "memory before, at most, after",
    "admin p50, p99",
    "×",
    "probe p50, p99",
    "×",
    "failed",
    "log",
  ];
  const pair = ({ p50, p99 }: Times) => `${p50.toFixed(0)}, ${p99.toFixed(0)} ms`;
  const ratio = (own: Times, base: Times | undefined) => (own.p50 / (base?.p50 ?? NaN)).toFixed(1);
  const rows = figures.map(({ name, rss, admin, probe, failed, logLines }) => [
    name,
    `${rss.before}, ${rss.peak}, ${rss.after} MB`,
    pair(admin),
    ratio(admin, calm?.admin),
    pair(probe),
    ratio(probe, calm?.probe),
    String(failed),
    `${logLines}`,
  ]);
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  return line(head) + line(head.map(() => "---")) + rows.map(line).join("");
}

main().then((code) => process.exit(code), (error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
