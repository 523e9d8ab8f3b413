/** Searches the syntax trees of tests and their support code for causes of flakiness. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readSources } from "./support/sources.ts";
import ts from "typescript";

/** A rule, and the files that may break it, each with its reason. */
interface Rule {
  readonly name: string;
  /** Whether it applies to tests only, or also to their support code. */
  readonly scope: "tests" | "all";
  /** A pattern in every file that breaks the rule; other files are not parsed. */
  readonly hint: RegExp;
  readonly breaks: (node: ts.Node) => boolean;
  readonly advice: string;
  readonly allowed: Readonly<Record<string, string>>;
}

const RULES: readonly Rule[] = [
  {
    name: "no test waits for a fixed time",
    scope: "tests",
    hint: /\b(?:setTimeout|sleep|delay|pause)\(/,
    // Also in the text of a page.
    breaks: (node) =>
      isCall(node, ["setTimeout", "sleep", "delay", "pause"]) || isText(node) && /\bsetTimeout\(/.test(node.text),
    advice: "wait for an event, or poll a condition with eventually()",
    allowed: {
      "tests/interop/client/soak_test.ts":
        "programs of Kubernetes work for minutes, and a lease ends while the server is down",
      "tests/interop/page/ui_security_test.ts":
        "a page polls the address of a window of another site, which has no event",
    },
  },
  {
    name: "no loop awaits without a bound",
    scope: "all",
    hint: /\bwhile \(|\bdo \{|\bfor \(.*;\s*\)|\bfor \([^;]*;;/,
    breaks: (node) => isOpenLoop(node) && awaits(node.statement),
    advice: "use eventually(), or a loop with a bound",
    allowed: {
      "instance/authority/ca_swap_test.ts": "it ends with the first run that is not interrupted",
      "instance/authority/rotation_record_test.ts": "it ends with the first run that is not interrupted",
      "client/endurance_test.ts": "the fake clock moves at each step",
      "controllers/approver/indexes_test.ts": "a fake watch, which its signal ends",
      "controllers/engine/loop_test.ts": "a worker, which its signal ends",
      "tests/contract/storage_contract.ts": "each round is a page of a list, or a write that lost to another writer",
      "tests/contract/storage_model.ts": "each round is a page of a list",
      "tests/interop/comparison/replay.ts": "it counts its attempts",
      "tests/interop/differential/shrink.ts": "each round shortens a list",
      "tests/interop/storage/etcd_faults_test.ts": "it reads an answer to its end",
      "tests/interop/storage/etcd_lagging_test.ts": "each round is an acknowledged write",
      "tests/overload/floods_test.ts": "it asserts a bound",
      "tests/security/goaway_test.ts": "each round is a piece of the answer",
      "tests/support/eventually.ts": "it has a deadline",
      "tests/support/fake_after.ts": "each round ends a timer",
      "tests/support/fake_clock.ts": "each round wakes a sleeper",
      "tests/support/growth.ts": "each round takes four times as long",
      "tests/support/hostile_requests.ts": "each round is an answer, until the attack ends",
      "tests/support/interop/control_plane.ts": "it has a deadline",
      "tests/support/interop/recorded_disk.ts": "it reads a stream to its end",
      "tests/support/interop/signing_outcomes.ts": "it has a deadline",
      "tests/support/interop/small_disk.ts": "it ends when the disk is full",
      "tests/support/memory_object_store.ts": "a fake watch, which its signal ends",
      "tests/support/rotation/clients.ts": "it restarts programs until the test ends",
      "tests/support/shrink.ts": "each round is shorter, or further into the list",
      "tests/support/storage_writer.ts": "it writes until it is killed",
      "tests/support/test_app.ts": "it reads a stream to its end",
    },
  },
  {
    name: "no test measures time",
    scope: "tests",
    hint: /performance\.now|Date\.now|elapsedMs|\/growth\.ts"/,
    breaks: (node) =>
      ts.isCallExpression(node) && node.expression.getText() === "performance.now" ||
      ts.isImportDeclaration(node) && /\/growth\.ts"$/.test(node.moduleSpecifier.getText()) ||
      isDifferenceOfTimes(node),
    advice: "tests/bench/times measures, before a release only; a test counts steps or events",
    allowed: {
      "tests/bench/times/bodies_test.ts": "it runs before a release only",
      "tests/bench/times/heads_test.ts": "it runs before a release only",
      "tests/bench/times/readers_test.ts": "it runs before a release only",
      "tests/bench/times/waits_test.ts": "it runs before a release only",
      "tests/fuzz/fuzzer_test.ts": "its input is slow on purpose",
    },
  },
  {
    name: "no test depends on chance",
    scope: "all",
    hint: /Math\.random|"fast-check"/,
    breaks: (node) =>
      ts.isCallExpression(node) && node.expression.getText() === "Math.random" ||
      ts.isImportDeclaration(node) && node.moduleSpecifier.getText() === '"fast-check"',
    advice: "use a constant seed; tests/support/properties.ts has fast-check with one",
    allowed: { "tests/support/properties.ts": "it sets the seed" },
  },
  {
    name: "no server is given a port that was free a moment ago",
    scope: "all",
    hint: /findFreePort/,
    breaks: (node) => ts.isIdentifier(node) && node.text === "findFreePort",
    advice: "take port 0 and read the reported port; findServerPort() is for a server that restarts on its port",
    allowed: {},
  },
  {
    name: "set-up is inside a describe, because files share a process",
    scope: "tests",
    hint: /^(?:before|after)(?:Each)?\(/m,
    breaks: (node) => isCall(node, ["before", "after", "beforeEach", "afterEach"]) && isTopLevel(node),
    advice: "put the tests and their set-up into a describe",
    allowed: {},
  },
];

describe("tests do not fail by chance", () => {
  const sources = readSources(
    ["{core,controllers,server,client,instance,ui,cli,scripts}/**/*_test.{ts,tsx}", "tests/**/*.{ts,tsx}"],
    /^tests\/(?:bench|overload|torture|simulation|fuzz)\/(?!.*_test\.)/,
  );
  for (const { name, scope, hint, breaks, advice, allowed } of RULES) {
    test(name, () => {
      const found: string[] = [];
      for (const { path, text } of sources) {
        if (scope === "tests" && !/_test\.tsx?$/.test(path) || !hint.test(text)) continue;
        const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
        const visit = (node: ts.Node): void => {
          if (breaks(node)) found.push(`${path}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`);
          ts.forEachChild(node, visit);
        };
        visit(file);
      }
      const isAllowed = (place: string): boolean => (place.split(":")[0] ?? "") in allowed;
      assert.deepEqual(found.filter((place) => !isAllowed(place)), [], advice);
      for (const path of Object.keys(allowed)) {
        assert.ok(
          found.some((place) => place.startsWith(`${path}:`)),
          `${path} no longer breaks this rule: remove its entry`,
        );
      }
    });
  }
});

function isCall(node: ts.Node, names: readonly string[]): node is ts.CallExpression {
  return ts.isCallExpression(node) && ts.isIdentifier(node.expression) && names.includes(node.expression.text);
}

function isText(node: ts.Node): node is ts.LiteralLikeNode {
  return ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node);
}

/** Reports whether a variable is subtracted from the present time. A time before the present subtracts a constant. */
function isDifferenceOfTimes(node: ts.Node): boolean {
  return ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.MinusToken &&
    /\b(?:Date\.now|elapsedMs)\(\)$/.test(node.left.getText()) && !/^[A-Z\d_]/.test(node.right.getText());
}

type Loop = ts.WhileStatement | ts.DoStatement | ts.ForStatement;

/** Reports whether a loop may run for ever, because it has no condition or no step. */
function isOpenLoop(node: ts.Node): node is Loop {
  return ts.isWhileStatement(node) || ts.isDoStatement(node) ||
    ts.isForStatement(node) && (node.condition === undefined || node.incrementor === undefined);
}

/** Reports whether code awaits in its own function. */
function awaits(node: ts.Node): boolean {
  if (ts.isAwaitExpression(node)) return true;
  if (ts.isFunctionLike(node)) return false;
  return ts.forEachChild(node, awaits) ?? false;
}

function isTopLevel(node: ts.Node): boolean {
  return ts.isExpressionStatement(node.parent) && ts.isSourceFile(node.parent.parent);
}
