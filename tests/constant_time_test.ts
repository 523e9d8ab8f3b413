/**
 * Checks that secrets are compared with `equalsInConstantTime()` or looked up by digest, and revealed only where they
 * are used.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import ts from "typescript";
import { readSources } from "./support/sources.ts";

interface SecretUse {
  readonly line: number;
  readonly code: string;
}

/** Names with these endings contain a secret. */
const SECRET_NAME = /(?:^|[a-z_])(?:[tT]oken|[sS]ecret|[pP]assphrase|[pP]assword|[hH]mac|[bB]earer|[kK]eyPem)$/;
/** A file without any of these has no secret and is not parsed. */
const MENTION = /(?:[tT]oken|[sS]ecret|[pP]assphrase|[pP]assword|[hH]mac|[bB]earer|[kK]eyPem|reveal)\b/;
/** Methods that return the secret or a part of it. */
const PASSING =
  /^(?:trim|slice|subarray|substring|substr|toString|toLowerCase|toUpperCase|normalize|valueOf|at|charAt)$/;
/** Functions that return their argument in another form. */
const WRAPPING = /^(?:from|encode|decode|String|encodeBase64|encodeText)$/;
/** Methods that stop at the first difference; the secret is on either side. */
const COMPARING =
  /^(?:includes|indexOf|lastIndexOf|startsWith|endsWith|equals|localeCompare|compare|is|isDeepStrictEqual)$/;
/** Methods of maps and sets: the secret is the key. */
const KEYED = /^(?:get|has|set|add|delete)$/;

/** Finds code that compares a secret or uses it as a key, which takes time that depends on its bytes. */
function findSecretUses(text: string): readonly SecretUse[] {
  if (!MENTION.test(text)) return [];
  const file = ts.createSourceFile("a.ts", text, ts.ScriptTarget.ESNext, true);
  const named = findSecretVariables(file);
  const uses: SecretUse[] = [];
  const visit = (node: ts.Node): void => {
    if (leaksSecret(node, (one) => isSecret(one, named))) {
      const line = file.getLineAndCharacterOfPosition(node.getStart()).line + 1;
      uses.push({ line, code: node.getText().replaceAll(/\s+/g, " ") });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return uses;
}

/** Finds the variables that are derived from a secret, whatever their names. */
function findSecretVariables(file: ts.SourceFile): ReadonlySet<string> {
  const named = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (
      ts.isVariableDeclaration(node) && ts.isIdentifier(node.name) && node.initializer !== undefined &&
      isSecret(node.initializer, named)
    ) named.add(node.name.text);
    ts.forEachChild(node, visit);
  };
  // Later passes find variables that are built from a secret declared further down.
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

function leaksSecret(node: ts.Node, isSecret: (node: ts.Node) => boolean): boolean {
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

/** Reports whether one side is a secret. A comparison with a literal does not count: it only checks the form. */
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

/** The files that reveal a secret, and why. A new entry needs a review. */
const REVEALED: Readonly<Record<string, string>> = {
  "core/kube/kubeconfig/kubeconfig.ts": "written into the requested kubeconfig",
  "core/token/token_secret.ts": "written into the Secret; compared in constant time; assembled for its creator",
  "core/token/cluster_info.ts": "the key of an HMAC",
  "controllers/signer/ca_provider.ts": "decrypts the CA's key",
  "server/authn/authenticator.ts": "hashed at the start",
  "client/transport/tls_transport.ts": "sent to the server, and to TLS",
  "client/transport/tunnel.ts": "the login that is sent to the proxy",
  "client/node_kubeconfig.ts": "the URL of the proxy, written into the kubeconfig",
  "client/web_server.ts": "the URL of the proxy, written into the kubeconfig",
  "client/certificate/pair_folder.ts": "written into the key's file",
  "client/certificate/credential_store.ts": "written into the pair's file",
  "client/transport/connect.ts": "read out of a kubeconfig for the transport",
  "cli/commands/request/certificate.ts": "the password of the PKCS#12 file that is encrypted",
  "cli/commands/up/run.ts": "the token in the line for web servers, on a terminal only",
  "cli/commands/inspect/run.ts": "parsed for its id",
  "cli/commands/ca/shares.ts": "split into shares; written into the requested file",
  "client/health/files.ts": "compared with the public key of its certificate",
  "cli/commands/doctor/machine.ts": "parsed, to ask the server whether it still works",
  "instance/authority/keys.ts": "seals the CA's key",
  "cli/passphrases/passphrase.ts": "two entries, compared in constant time",
  "instance/backup/encryption.ts": "seals and opens a backup",
  "instance/joining.ts": "parsed, to find its Secret again",
  "instance/parts/admin_kubeconfig.ts": "read out of the kubeconfig that it checks",
  "instance/parts/serving.ts": "written into the key's file, and to TLS",
  "instance/memory_instance.ts": "given to TLS",
  "cli/cluster_credentials.ts": "a flag that is parsed",
  "cli/commands/bootstrap/service.ts": "written into the file of the service",
  "instance/notifications.ts": "sent to the receiver, as a header and as the key of an HMAC",
};

/** Code that the rule finds, but that unauthenticated clients cannot reach. */
const HARMLESS: readonly { readonly path: string; readonly code: RegExp; readonly why: string }[] = [
  { path: "core/lib/linear_text.ts", code: /^token === char$/, why: "tokens of a grammar" },
  {
    path: "core/token/token_file.ts",
    code: /^entries\.(?:has|set)\(token\b/,
    why: "finds duplicates in the operator's file, at startup",
  },
  {
    path: "core/token/token_secret.ts",
    code: /^(?:texts|expirations|groupsBySecret)\.(?:get|set)\(secret\b/,
    why: "weak maps whose keys are objects of the API",
  },
  {
    path: "cli/passphrases/secret_shares.ts",
    code: /^(?:padded\.set\(text|text\.(?:includes|indexOf)\((?:BEGIN|END)_MARK)\b/,
    why: "bytes that are split, and markers in the operator's file",
  },
  {
    path: "instance/authority/ca_swap.ts",
    code: /^keyPem === await files\.readText\(slot\.key\)$/,
    why: "compares two files of the operator",
  },
];

/** The files of the product; `code` is the text without comments. */
const sources = readSources(["{core,controllers,server,client,instance,ui,cli}/**/*.ts"], /_test\.ts$|\/_test_/)
  .map((source) => ({ ...source, code: source.text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "") }));

test("secrets are revealed only in the files of REVEALED", () => {
  const found = sources.filter(({ path, code }) => path !== "core/lib/brand.ts" && /\breveal\s*\(\)/.test(code));
  assert.deepEqual(found.map(({ path }) => path).sort(), Object.keys(REVEALED).sort());
});

test("secrets are compared in constant time only", () => {
  const used = new Set<unknown>();
  for (const { path, text, code } of sources) {
    if (path === "core/lib/brand.ts") {
      assert.match(text, /timingSafeEqual\(left, right\)/);
      continue;
    }
    assert.ok(!/\btimingSafeEqual\b/.test(code), `${path} calls timingSafeEqual() itself`);
    for (const use of findSecretUses(text)) {
      const reason = HARMLESS.find((one) => one.path === path && one.code.test(use.code));
      used.add(reason);
      assert.ok(
        reason !== undefined,
        `${path}:${use.line} compares or looks up a secret: ${use.code}: use equalsInConstantTime(), or a digest as the key`,
      );
    }
  }
  assert.deepEqual(HARMLESS.filter((one) => !used.has(one)), [], "entries that match no code");
});

test("the files that compare secrets use equalsInConstantTime()", () => {
  for (
    const path of [
      "core/token/token_secret.ts",
      "core/token/cluster_info.ts",
      "cli/passphrases/passphrase.ts",
    ]
  ) {
    const source = sources.find((one) => one.path === path);
    assert.match(source?.code ?? "", /\bequalsInConstantTime\(/, path);
  }
});

for (
  const { code, isFound } of [
    { code: 'if (valueOf(secret, "token-secret") !== token.secret.reveal()) {}', isFound: true },
    { code: "stored ===\n  // a comment\n  user.token", isFound: true },
    { code: "first.reveal() != second.reveal()", isFound: true },
    { code: "users.find((user) => user.token === sent)", isFound: true },
    { code: "const sent = header.token.trim();\nstored === sent", isFound: true },
    {
      code: "const text = given.reveal();\nconst half = text.slice(0, 8);\nswitch (half) { case stored: }",
      isFound: true,
    },
    { code: "const users = new Map();\nusers.get(token)", isFound: true },
    { code: "users.set(token.reveal(), user)", isFound: true },
    { code: "known.has(\n  bearerToken,\n)", isFound: true },
    { code: "users[token]", isFound: true },
    { code: "const users = { [token]: user }", isFound: true },
    { code: "sent in users; token in users", isFound: true },
    { code: "tokens.includes(token)", isFound: true },
    { code: "header.startsWith(`Bearer ${token}`)", isFound: true },
    { code: "Buffer.from(token).equals(stored)", isFound: true },
    { code: "Buffer.compare(stored, Buffer.from(passphrase))", isFound: true },
    { code: "token.localeCompare(stored) === 0", isFound: true },
    { code: "Object.is(stored, password)", isFound: true },
    { code: "equalsInConstantTime(stored, token.reveal())", isFound: false },
    { code: "users.get(hashOf(token))", isFound: false },
    { code: 'if (token === "") {}', isFound: false },
    { code: "token === undefined ? {} : { token }", isFound: false },
    { code: "current.continueToken !== null", isFound: false },
    { code: "if (token.id === other.id) {}", isFound: false },
  ]
) {
  test(`findSecretUses() ${isFound ? "finds" : "ignores"} ${code.replaceAll("\n", " ")}`, () => {
    assert.equal(findSecretUses(code).length > 0, isFound);
  });
}
