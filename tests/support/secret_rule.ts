/** Finds code, in the syntax tree, that reads a secret byte by byte: it compares the secret or looks something up by it. */
import ts from "typescript";

export interface SecretUse {
  readonly line: number;
  readonly code: string;
}

/** Names with these endings have a secret. */
const SECRET_NAME = /(?:^|[a-z_])(?:[tT]oken|[sS]ecret|[pP]assphrase|[pP]assword|[hH]mac|[bB]earer|[kK]eyPem)$/;
/** Text without any of these has no secret: other files are not parsed. */
const MENTION = /(?:[tT]oken|[sS]ecret|[pP]assphrase|[pP]assword|[hH]mac|[bB]earer|[kK]eyPem|reveal)\b/;
/** Methods that answer the secret, or a part of it. */
const PASSING =
  /^(?:trim|slice|subarray|substring|substr|toString|toLowerCase|toUpperCase|normalize|valueOf|at|charAt)$/;
/** Functions that return their argument in another form. */
const WRAPPING = /^(?:from|encode|decode|String|encodeBase64|encodeText)$/;
/** Methods that stop at the first byte that differs; the secret is on either side. */
const COMPARING =
  /^(?:includes|indexOf|lastIndexOf|startsWith|endsWith|equals|localeCompare|compare|is|isDeepStrictEqual)$/;
/** Methods of maps and sets: the secret is the key. */
const KEYED = /^(?:get|has|set|add|delete)$/;

/** Finds the uses of secrets in one file. */
export function findSecretUses(text: string): readonly SecretUse[] {
  if (!MENTION.test(text)) return [];
  const file = ts.createSourceFile("a.ts", text, ts.ScriptTarget.ESNext, true);
  const named = findNamed(file);
  const uses: SecretUse[] = [];
  const visit = (node: ts.Node): void => {
    if (readsSecret(node, (one) => isSecret(one, named))) {
      const line = file.getLineAndCharacterOfPosition(node.getStart()).line + 1;
      uses.push({ line, code: node.getText().replaceAll(/\s+/g, " ") });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return uses;
}

/** Finds the variables of the file that are derived from a secret, whatever their names. */
function findNamed(file: ts.SourceFile): ReadonlySet<string> {
  const named = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (
      ts.isVariableDeclaration(node) && ts.isIdentifier(node.name) && node.initializer !== undefined &&
      isSecret(node.initializer, named)
    ) named.add(node.name.text);
    ts.forEachChild(node, visit);
  };
  // A second pass finds those that are built from a secret further down.
  for (let before = -1; before < named.size;) {
    before = named.size;
    visit(file);
  }
  return named;
}

function isSecret(node: ts.Node, named: ReadonlySet<string>): boolean {
  if (
    ts.isParenthesizedExpression(node) || ts.isNonNullExpression(node) || ts.isAsExpression(node) ||
    ts.isAwaitExpression(node) || ts.isSatisfiesExpression(node)
  ) return isSecret(node.expression, named);
  if (ts.isIdentifier(node)) return SECRET_NAME.test(node.text) || named.has(node.text);
  if (ts.isPropertyAccessExpression(node)) return SECRET_NAME.test(node.name.text);
  if (ts.isTemplateExpression(node)) return node.templateSpans.some(({ expression }) => isSecret(expression, named));
  if (ts.isConditionalExpression(node)) return isSecret(node.whenTrue, named) || isSecret(node.whenFalse, named);
  if (ts.isBinaryExpression(node)) {
    return /^(?:\+|\?\?|\|\|)$/.test(node.operatorToken.getText()) &&
      (isSecret(node.left, named) || isSecret(node.right, named));
  }
  if (!ts.isCallExpression(node)) return false;
  const { name, receiver } = findCallee(node);
  if (name === "reveal") return true;
  if (name === "valueOf" && node.arguments[1]?.getText() === '"token-secret"') return true;
  if (receiver !== undefined && PASSING.test(name) && isSecret(receiver, named)) return true;
  return WRAPPING.test(name) && node.arguments.some((one) => isSecret(one, named));
}

function readsSecret(node: ts.Node, isSecret: (node: ts.Node) => boolean): boolean {
  if (ts.isBinaryExpression(node)) {
    const operator = node.operatorToken.getText();
    if (operator === "in") return isSecret(node.left);
    return /^(?:[=!]==?|[<>]=?)$/.test(operator) && isEitherSecret(node.left, [node.right], isSecret);
  }
  if (ts.isElementAccessExpression(node)) return isSecret(node.argumentExpression);
  if (ts.isComputedPropertyName(node)) return isSecret(node.expression);
  if (ts.isSwitchStatement(node)) {
    return isSecret(node.expression) &&
      node.caseBlock.clauses.some((clause) => ts.isCaseClause(clause) && !isLiteral(clause.expression));
  }
  if (!ts.isCallExpression(node)) return false;
  const { name, receiver } = findCallee(node);
  const [first] = node.arguments;
  if (KEYED.test(name)) return receiver !== undefined && first !== undefined && isSecret(first);
  return COMPARING.test(name) && isEitherSecret(receiver, node.arguments, isSecret);
}

/** Reports whether a secret is compared, except with a literal, which is a question about form. */
function isEitherSecret(
  one: ts.Node | undefined,
  others: readonly ts.Node[],
  isSecret: (node: ts.Node) => boolean,
): boolean {
  const sides = [...(one === undefined ? [] : [one]), ...others];
  return sides.some(isSecret) && !sides.some(isLiteral);
}

function isLiteral(node: ts.Node): boolean {
  return ts.isLiteralExpression(node) || ts.isPrefixUnaryExpression(node) ||
    /^(?:undefined|null|true|false)$/.test(node.getText());
}

function findCallee({ expression }: ts.CallExpression): { readonly name: string; readonly receiver?: ts.Node } {
  if (ts.isPropertyAccessExpression(expression)) return { name: expression.name.text, receiver: expression.expression };
  return { name: expression.getText() };
}
