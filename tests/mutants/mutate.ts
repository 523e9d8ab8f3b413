/**
 * Finds the mutants of a source, and writes the source with all of them in it. Each changed place calls `__mutant(id)`
 * to find out whether its change is enabled, so a module is loaded only once for all of its mutants.
 */
import ts from "typescript";

/** One changed place of a source. */
export interface Mutant {
  readonly id: number;
  readonly file: string;
  /** The line in the file, from 1. */
  readonly line: number;
  /** The source text of the place, in one line. */
  readonly original: string;
  /** The replacement: the changed text, or a word for a larger change. */
  readonly mutated: string;
  /** The whole source with this change alone. */
  readonly source: string;
}

/** A change of an expression: the text that replaces it, and its name in reports if that is not the text. */
type Change = readonly [text: string, shown?: string];

/**
 * The replacements of each operator or method. A negation comes last, and is skipped for a condition that becomes true
 * and false.
 */
const REPLACEMENTS: ReadonlyMap<string, readonly string[]> = new Map([
  ...[["<", "<=", ">="], ["<=", "<", ">"], [">", ">=", "<="], [">=", ">", "<"], ["===", "!=="], ["!==", "==="]],
  ...[["&&", "||"], ["||", "&&"], ["+", "-"], ["-", "+"], ["some", "every"], ["every", "some"]],
].map(([name = "", ...others]) => [name, others]));

/** Methods that test for a literal text. */
const TEXT_TESTS = /^(?:startsWith|endsWith|includes|has)$/;

/** Instruments one source. The ids of its mutants begin at `firstId`. */
export function instrument(file: string, text: string, firstId: number): {
  readonly text: string;
  readonly mutants: readonly Mutant[];
} {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
  const mutants: Mutant[] = [];
  const inserted: { readonly at: number; readonly text: string }[] = [];

  function add(node: ts.Node, replacement: string, shown: string): string {
    const id = firstId + mutants.length;
    const start = node.getStart();
    const line = source.getLineAndCharacterOfPosition(start).line + 1;
    const changed = text.slice(0, start) + replacement + text.slice(node.end);
    mutants.push({ id, file, line, original: toLine(node.getText()), mutated: toLine(shown), source: changed });
    return `__mutant(${id})`;
  }

  function visit(node: ts.Node): void {
    if (isIgnored(node)) return;
    let [opening, closing] = ["", ""];
    if (isRemovable(node)) [opening, closing] = [`{ if (!${add(node, "{}", "removed")}) {`, " } }"];
    for (const [changed, shown = changed] of ts.isExpression(node) ? listChanges(node) : []) {
      opening += `${add(node, `(${changed})`, shown)} ? ${changed} : `;
      closing = ")";
    }
    if (closing === ")") opening = `(${opening}`;
    inserted.push({ at: node.getStart(), text: opening });
    ts.forEachChild(node, visit);
    inserted.push({ at: node.end, text: closing });
  }

  visit(source);
  // The sort is stable, so enclosing insertions stay outside of enclosed ones.
  inserted.sort((a, b) => a.at - b.at);
  const pieces = inserted.map(({ at, text: piece }, index) => text.slice(inserted[index - 1]?.at ?? 0, at) + piece);
  return { text: pieces.join(""), mutants };
}

/** Reports whether a node has no mutants: types, imports, logs, and the creation of errors and texts. */
function isIgnored(node: ts.Node): boolean {
  if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return true;
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node) || ts.isTemplateExpression(node)) return true;
  if (ts.isNewExpression(node)) return node.expression.getText().endsWith("Error");
  return ts.isCallExpression(node) && /(?:^|\.)(?:logger|log)\??\.\w+$/.test(node.expression.getText());
}

/** Reports whether a node is a statement that only calls a function. */
function isRemovable(node: ts.Node): boolean {
  if (!ts.isExpressionStatement(node)) return false;
  const called = ts.isAwaitExpression(node.expression) ? node.expression.expression : node.expression;
  return ts.isCallExpression(called) && !isIgnored(called) && called.expression.kind !== ts.SyntaxKind.SuperKeyword;
}

/** A branch becomes true and false; a loop becomes only false, because it might never end. */
function* listChanges(node: ts.Expression): Generator<Change> {
  const { parent } = node;
  const isBranch = ts.isIfStatement(parent) && parent.expression === node ||
    ts.isConditionalExpression(parent) && parent.condition === node;
  const isLoop = (ts.isWhileStatement(parent) || ts.isDoStatement(parent)) && parent.expression === node;
  const isTrue = node.kind === ts.SyntaxKind.TrueKeyword;
  if (isBranch || node.kind === ts.SyntaxKind.FalseKeyword) yield ["true"];
  if (isBranch || (isLoop ? !isTrue : isTrue)) yield ["false"];
  const isCondition = isBranch || isLoop;
  if (!isCondition && ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken) {
    yield [node.operand.getText()];
  }
  if (ts.isBinaryExpression(node)) yield* listBinaryChanges(node, isCondition);
  if (ts.isCallExpression(node)) yield* listCallChanges(node);
  if (ts.isStringLiteral(node) && node.text !== "" && selectsBranch(node)) yield ['""'];
}

function* listBinaryChanges(node: ts.BinaryExpression, isCondition: boolean): Generator<Change> {
  const operator = node.operatorToken.getText();
  const [left, right] = [node.left.getText(), node.right.getText()];
  if (operator === "??") yield [left];
  const isText = (side: ts.Node) => ts.isStringLiteral(side) || ts.isTemplateLiteral(side);
  if (operator === "+" && (isText(node.left) || isText(node.right))) return;
  const others = REPLACEMENTS.get(operator) ?? [];
  const isLogical = operator === "&&" || operator === "||";
  for (const other of isCondition && !isLogical ? others.slice(0, -1) : others) {
    const shown = `${left} ${other} ${right}`;
    yield [isLogical ? `(${left}) ${other} (${right})` : shown, shown];
  }
}

function* listCallChanges(node: ts.CallExpression): Generator<Change> {
  // An optional chain that continues after a call must not be put in parentheses.
  const continuesChain = (node.flags & node.parent.flags & ts.NodeFlags.OptionalChain) !== 0;
  if (!ts.isPropertyAccessExpression(node.expression) || continuesChain) return;
  const { expression: receiver, name } = node.expression;
  const [method] = REPLACEMENTS.get(name.text) ?? [];
  const [start, text] = [node.getStart(), node.getText()];
  if (method !== undefined) {
    yield [text.slice(0, name.getStart() - start) + method + text.slice(name.end - start), `.${method}(…)`];
  }
  if (name.text === "filter") yield [receiver.getText(), "without filter"];
}

/** Reports whether a text selects a branch: as a case, or as the argument of a text test. */
function selectsBranch({ parent }: ts.StringLiteral): boolean {
  if (ts.isCaseClause(parent)) return true;
  return ts.isCallExpression(parent) && ts.isPropertyAccessExpression(parent.expression) &&
    TEXT_TESTS.test(parent.expression.name.text);
}

/** Formats a text as one line of a report, with at most 100 characters. */
function toLine(text: string): string {
  return text.replace(/\s+/g, " ").replace(/^(.{99}).{2,}$/u, "$1…");
}
