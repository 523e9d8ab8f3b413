/**
 * `deno task expressions`: has recheck judge every regular expression of the product, and fails for each whose time is not
 * linear in the length of the text, because most of them read what a client sends. A verdict follows from the expression
 * alone, so it is computed once a machine: all of them take half a minute, the new ones of a change a second.
 */
import { existsSync } from "node:fs";
import { glob, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import ts from "typescript";
import { cacheDir, mustRun } from "../../scripts/processes.ts";

/** The checker, from npm by name: https://makenowjust-labs.github.io/recheck/. */
const CHECKER = "recheck@4.5.0";
/** The slowest verdict takes five seconds of one processor. */
const TIMEOUT_MS = 120_000;
/** The longest search without limits in seconds, on a busy machine. */
const PATIENT_TIMEOUT_MS = 1_200_000;
const ROOMS = "{core,controllers,server,client,instance,ui,cli}/**/*.ts";

/** An expression that is not shown to be linear, and why it stays: each entry is a debt. There is none. */
const EXEMPT: Readonly<Record<string, string>> = {};

/** The verdict of recheck about an expression (its `Diagnostics`). */
interface Verdict {
  readonly status: "safe" | "vulnerable" | "unknown";
  readonly complexity?: { readonly summary: string };
  readonly error?: { readonly kind: string };
  readonly attack?: { readonly pattern: string };
}

/** The checker's limits in milliseconds: for all of its search, and for single matches, where null is none. */
interface Limits {
  readonly timeout: number;
  readonly incubationTimeout?: null;
  readonly attackTimeout?: null;
}

type Check = (source: string, flags: string, limits: Limits) => Verdict;

type Verdicts = Record<string, Verdict>;

async function main(): Promise<number> {
  const folder = join(cacheDir(), CHECKER.replace("@", "-"));
  const check = await loadChecker(folder);
  const file = join(folder, "verdicts_by_steps.json");
  const known: Verdicts = existsSync(file) ? JSON.parse(await readFile(file, "utf8")) : {};
  const places = await findExpressions();
  let found = 0;
  for (const [expression, where] of places) {
    const verdict = known[expression] ??= judge(check, expression);
    if (verdict.status === "safe" || EXEMPT[expression] !== undefined) continue;
    found++;
    process.stdout.write(`${where.join(", ")}: ${expression}\n  ${describe(verdict)}\n`);
  }
  // An unknown verdict is not kept: the machine may have been too busy for it.
  const lasting = Object.entries(known).filter(([, { status }]) => status !== "unknown");
  await writeFile(`${file}.${process.pid}`, JSON.stringify(Object.fromEntries(lasting)));
  await rename(`${file}.${process.pid}`, file);
  process.stdout.write(`expressions: ${places.size} judged, ${found} not linear\n`);
  return found === 0 ? 0 : 1;
}

/** Installs recheck where it is missing. Its optional packages are the same checker for Java and as native programs. */
async function loadChecker(folder: string): Promise<Check> {
  if (!existsSync(join(folder, "node_modules"))) {
    await mkdir(folder, { recursive: true });
    const quiet = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    await mustRun("npm", ["install", "--prefix", folder, ...quiet, "--omit=optional", CHECKER]);
  }
  process.env["RECHECK_BACKEND"] = "pure";
  const { checkSync } = createRequire(join(folder, "index.js"))("recheck") as { readonly checkSync: Check };
  return checkSync;
}

/**
 * The checker takes a match that lasts a second for an attack, which on a busy machine condemns linear expressions. So a
 * bad verdict is asked for again with limits in steps alone, which take longer and are the same on each machine.
 */
function judge(check: Check, expression: string): Verdict {
  const end = expression.lastIndexOf("/");
  const [source, flags] = [expression.slice(1, end), expression.slice(end + 1)];
  const first = check(source, flags, { timeout: TIMEOUT_MS });
  const { status, complexity, error, attack } = first.status === "safe"
    ? first
    : check(source, flags, { timeout: PATIENT_TIMEOUT_MS, incubationTimeout: null, attackTimeout: null });
  return {
    status,
    ...(complexity === undefined ? {} : { complexity: { summary: complexity.summary } }),
    ...(error === undefined ? {} : { error: { kind: error.kind } }),
    ...(attack === undefined ? {} : { attack: { pattern: attack.pattern } }),
  };
}

function describe({ status, complexity, error, attack }: Verdict): string {
  if (status === "unknown") return `unknown (${error?.kind}): write a simpler expression, or none`;
  return `${complexity?.summary}, for instance on ${attack?.pattern.slice(0, 200)}`;
}

/** Finds every regular expression of the product, with its place. */
async function findExpressions(): Promise<ReadonlyMap<string, readonly string[]>> {
  const places = new Map<string, string[]>();
  for await (const path of glob(ROOMS)) {
    if (path.endsWith("_test.ts")) continue;
    const source = ts.createSourceFile(path, await readFile(path, "utf8"), ts.ScriptTarget.Latest, true);
    visit(source, (node) => {
      const expression = readExpression(node, source);
      if (expression === undefined) return;
      const line = source.getLineAndCharacterOfPosition(node.getStart()).line + 1;
      const known = places.get(expression) ?? [];
      places.set(expression, [...known, `${path}:${line}`]);
    });
  }
  return places;
}

function visit(node: ts.Node, act: (node: ts.Node) => void): void {
  act(node);
  ts.forEachChild(node, (child) => visit(child, act));
}

/** A literal, or the argument of `RegExp()`; undefined for any other node, and for a copy of a literal. */
function readExpression(node: ts.Node, source: ts.SourceFile): string | undefined {
  if (node.kind === ts.SyntaxKind.RegularExpressionLiteral) return node.getText();
  if (!(ts.isNewExpression(node) || ts.isCallExpression(node)) || node.expression.getText() !== "RegExp") {
    return undefined;
  }
  const [pattern, flags] = node.arguments ?? [];
  if (pattern === undefined) return undefined;
  if (ts.isIdentifier(pattern) && findConstant(pattern.text, source)?.kind === ts.SyntaxKind.RegularExpressionLiteral) {
    return undefined;
  }
  return `/${foldText(pattern, source)}/${flags === undefined ? "" : foldText(flags, source)}`;
}

/**
 * Returns the text of an expression of literals and constants of its file; a part that only running it would yield is
 * an `x`.
 */
function foldText(node: ts.Expression, source: ts.SourceFile): string {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node)) {
    const spans = node.templateSpans.map(({ expression, literal }) => foldText(expression, source) + literal.text);
    return node.head.text + spans.join("");
  }
  const constant = ts.isIdentifier(node) ? findConstant(node.text, source) : undefined;
  return constant === undefined ? "x" : foldText(constant, source);
}

function findConstant(name: string, source: ts.SourceFile): ts.Expression | undefined {
  const statements = source.statements.filter(ts.isVariableStatement);
  const declarations = statements.flatMap(({ declarationList }) => declarationList.declarations);
  return declarations.find((declaration) => declaration.name.getText() === name)?.initializer;
}

main().then((code) => process.exit(code), (error: unknown) => {
  process.stderr.write(`expressions: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
