/**
 * `deno task expressions`: checks every regular expression of the product with recheck, and fails for each that does
 * not match in linear time, because most of them read text from clients. Verdicts are cached, because they depend only
 * on the expression: all of them take half a minute, those of a change a second.
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
/** The time limit for an expression. The slowest takes five seconds of one processor. */
const TIMEOUT_MS = 120_000;
/** The time limit for an expression whose single matches have none, on a busy machine. */
const UNLIMITED_TIMEOUT_MS = 1_200_000;
const ROOMS = "{core,controllers,server,client,instance,ui,cli}/**/*.ts";

/** Expressions that are allowed although recheck does not find them linear, with the reasons. */
const EXEMPT: Readonly<Record<string, string>> = {};

/** The result of recheck for an expression (its `Diagnostics`). */
interface Verdict {
  readonly status: "safe" | "vulnerable" | "unknown";
  readonly complexity?: { readonly summary: string };
  readonly error?: { readonly kind: string };
  readonly attack?: { readonly pattern: string };
}

/** The checker's limits in milliseconds: for the whole search, and for single matches, where null is no limit. */
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
    const verdict = known[expression] ??= checkExpression(check, expression);
    if (verdict.status === "safe" || EXEMPT[expression] !== undefined) continue;
    found++;
    process.stdout.write(`${where.join(", ")}: ${expression}\n  ${describe(verdict)}\n`);
  }
  // Unknown verdicts are not kept, because the machine may have been too busy.
  const lasting = Object.entries(known).filter(([, { status }]) => status !== "unknown");
  await writeFile(`${file}.${process.pid}`, JSON.stringify(Object.fromEntries(lasting)));
  await rename(`${file}.${process.pid}`, file);
  process.stdout.write(`expressions: ${places.size} checked, ${found} not linear\n`);
  return found === 0 ? 0 : 1;
}

/** Installs recheck if it is missing. Its optional packages are the same checker for Java and as native programs. */
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
 * Checks an expression. recheck takes any match that lasts a second for an attack, even of a linear expression on a
 * busy machine, so an expression that fails is checked again with limits in steps only, which takes longer.
 */
function checkExpression(check: Check, expression: string): Verdict {
  const end = expression.lastIndexOf("/");
  const [source, flags] = [expression.slice(1, end), expression.slice(end + 1)];
  const first = check(source, flags, { timeout: TIMEOUT_MS });
  const { status, complexity, error, attack } = first.status === "safe"
    ? first
    : check(source, flags, { timeout: UNLIMITED_TIMEOUT_MS, incubationTimeout: null, attackTimeout: null });
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

/** Reads a literal or the arguments of `RegExp()`. Returns undefined for other nodes and for copies of literals. */
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
 * Returns the text of an expression of literals and constants of its file. Parts that are known only at run time become
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
