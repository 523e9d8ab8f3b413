/**
 * Finds the mutants of a source, and writes the source with all of them in it: each changed place asks `__mutant(id)`
 * whether its own change is in force, so that a module is loaded once for all of its mutants.
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
  /** What takes its place: the changed text, or a word for a larger change. */
  readonly mutated: string;
}

/** A change of an expression: the text that replaces it, and what it is called in reports if not by its text. */
type Change = readonly [text: string, shown?: string];

/** What each operator becomes. The negation comes last, and is left out where a condition becomes true and false. */
const OPERATORS: ReadonlyMap<string, readonly string[]> = new Map([
  ...[["<", "<=", ">="], ["<=", "<", ">"], [">", ">=", "<="], [">=", ">", "<"], ["===", "!=="], ["!==", "==="]],
  ...[["&&", "||"], ["||", "&&"], ["+", "-"], ["-", "+"]],
].map(([operator = "", ...others]) => [operator, others]));

const METHODS: ReadonlyMap<string, string> = new Map([["some", "every"], ["every", "some"]]);

/** Methods that decide by a literal text. */
const TEXT_TESTS: ReadonlySet<string> = new Set(["startsWith", "endsWith", "includes", "has"]);

/** Objects whose calls are logs: no test reads all of their fields. */
const LOGGERS: ReadonlySet<string> = new Set(["logger", "log"]);

/** The longest text of a place in a report. */
const SHOWN_LENGTH = 100;

/** Instruments one source; its mutants count up from an id. */
export function instrument(file: string, text: string, firstId: number): {
  readonly text: string;
  readonly mutants: readonly Mutant[];
} {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
  const mutants: Mutant[] = [];

  function add(node: ts.Node, mutated: string): number {
    const id = firstId + mutants.length;
    const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
    mutants.push({ id, file, line, original: oneLine(node.getText(source)), mutated: oneLine(mutated) });
    return id;
  }

  /** The text of a node, from the end of the one before it, with the mutants of its children in it. */
  function write(node: ts.Node): string {
    if (isLeftAlone(node)) return node.getFullText(source);
    const leading = text.slice(node.getFullStart(), node.getStart(source));
    if (isRemovable(node, source)) {
      const id = add(node, "removed");
      return `${leading}{ if (!__mutant(${id})) {${writeChildren(node)} } }`;
    }
    const changes = ts.isExpression(node) ? [...listChanges(node, source)] : [];
    const chosen = changes.map(([changed, shown]) => `__mutant(${add(node, shown ?? changed)}) ? ${changed} : `).join(
      "",
    );
    return leading + (chosen === "" ? writeChildren(node) : `(${chosen}${writeChildren(node)})`);
  }

  /** The text of a node without what leads it, with the mutants of its children in it. */
  function writeChildren(node: ts.Node): string {
    let written = "";
    let end = node.getStart(source);
    ts.forEachChild(node, (child) => {
      const start = Math.max(end, child.getFullStart());
      written += text.slice(end, start);
      // The first child begins with what leads its parent.
      written += write(child).slice(start - child.getFullStart());
      end = child.end;
    });
    return written + text.slice(end, node.end);
  }

  return { text: write(source), mutants };
}

/** Types, imports, logs and the making of errors and texts have no mutants. */
function isLeftAlone(node: ts.Node): boolean {
  if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return true;
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node) || ts.isTemplateExpression(node)) return true;
  if (ts.isNewExpression(node)) return /Error$/.test(node.expression.getText());
  return ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression) &&
    LOGGERS.has(node.expression.expression.getText().split(/[.?]/).at(-1) ?? "");
}

/** A statement that only calls something, which matters only when the call has an effect. */
function isRemovable(node: ts.Node, source: ts.SourceFile): boolean {
  if (!ts.isExpressionStatement(node)) return false;
  const called = ts.isAwaitExpression(node.expression) ? node.expression.expression : node.expression;
  return ts.isCallExpression(called) && !isLeftAlone(called) && !called.getText(source).startsWith("super(");
}

function* listChanges(node: ts.Expression, source: ts.SourceFile): Generator<Change> {
  const condition = conditionKind(node);
  if (condition === "branch") yield ["true"];
  if (condition !== undefined) yield ["false"];
  else if (node.kind === ts.SyntaxKind.TrueKeyword && !isLoopForEver(node)) yield ["false"];
  else if (node.kind === ts.SyntaxKind.FalseKeyword) yield ["true"];
  else if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken) {
    yield [node.operand.getText(source)];
  }
  if (ts.isBinaryExpression(node)) yield* listBinaryChanges(node, source, condition !== undefined);
  if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression) && !continuesChain(node)) {
    const { expression: receiver, name } = node.expression;
    const method = METHODS.get(name.text);
    const [before, after] = [
      source.text.slice(node.getStart(source), name.getStart(source)),
      source.text.slice(name.end, node.end),
    ];
    if (method !== undefined) yield [before + method + after, `.${method}(…)`];
    if (name.text === "filter") yield [receiver.getText(source), "without filter"];
  }
  if (ts.isStringLiteral(node) && node.text !== "" && decides(node)) yield ['""'];
}

function* listBinaryChanges(node: ts.BinaryExpression, source: ts.SourceFile, isCondition: boolean): Generator<Change> {
  const operator = node.operatorToken.getText(source);
  const [left, right] = [node.left.getText(source), node.right.getText(source)];
  if (operator === "??") yield [left];
  if (operator === "+" && [node.left, node.right].some(isText)) return;
  const others = OPERATORS.get(operator) ?? [];
  const isLogical = operator === "&&" || operator === "||";
  const open = (operand: string) => isLogical ? `(${operand})` : operand;
  for (const other of isCondition && /[<>=]/.test(operator) ? others.slice(0, -1) : others) {
    yield [`${open(left)} ${other} ${open(right)}`, `${left} ${other} ${right}`];
  }
}

/** A branch may become true and false; a loop only false, because it might never end. */
function conditionKind(node: ts.Expression): "branch" | "loop" | undefined {
  const { parent } = node;
  if (ts.isIfStatement(parent) && parent.expression === node) return "branch";
  if (ts.isConditionalExpression(parent) && parent.condition === node) return "branch";
  if (ts.isWhileStatement(parent) && parent.expression === node && node.kind !== ts.SyntaxKind.TrueKeyword) {
    return "loop";
  }
  return undefined;
}

function isLoopForEver(node: ts.Node): boolean {
  return (ts.isWhileStatement(node.parent) || ts.isDoStatement(node.parent)) && node.parent.expression === node;
}

/** An optional chain that goes on after a call must not be put in parentheses. */
function continuesChain(node: ts.CallExpression): boolean {
  return (node.flags & ts.NodeFlags.OptionalChain) !== 0 && (node.parent.flags & ts.NodeFlags.OptionalChain) !== 0;
}

function isText(node: ts.Node): boolean {
  return ts.isStringLiteral(node) || ts.isTemplateLiteral(node);
}

/** Whether a text chooses what happens next: a case, or the argument of a test of texts. */
function decides(node: ts.StringLiteral): boolean {
  const { parent } = node;
  if (ts.isCaseClause(parent)) return parent.expression === node;
  return ts.isCallExpression(parent) && ts.isPropertyAccessExpression(parent.expression) &&
    TEXT_TESTS.has(parent.expression.name.text);
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, " ");
  return line.length <= SHOWN_LENGTH ? line : `${line.slice(0, SHOWN_LENGTH - 1)}…`;
}
