import assert from "node:assert/strict";
import { test } from "node:test";
import { Secret } from "../core/lib/brand.ts";
import { createCapturedIo } from "../tests/support/captured_io.ts";
import { assertShown, FORGING, HOSTILE } from "../tests/support/hostile_text.ts";
import { createLogger, createRoleLogger, type LogFormat } from "./logging.ts";

function logged(format: LogFormat, write: (logger: ReturnType<typeof createLogger>) => void): string {
  const io = createCapturedIo();
  write(createLogger({ stderr: io.stderr, clock: io.clock, format }));
  assert.equal(io.stdoutText(), "");
  return io.stderrText();
}

test("createLogger() writes text with fields", () => {
  const line = logged("text", (logger) => logger.info("CSR approved", { csr: "n1", reason: "two words", count: 2 }));
  assert.equal(line, '2026-01-01T00:00:00Z INFO  CSR approved csr=n1 reason="two words" count=2\n');
});

test("createLogger() writes JSON lines", () => {
  const line = logged("json", (logger) => logger.with({ id: 7 }).warn("odd {braces}", { csr: "n1" }));
  const { level, message, id, csr } = JSON.parse(line);
  assert.deepEqual({ level, message, id, csr }, { level: "WARN", message: "odd {braces}", id: 7, csr: "n1" });
});

test("createLogger() writes text on a terminal and JSON elsewhere", () => {
  const [terminal, pipe] = [createCapturedIo({ isTerminal: true }), createCapturedIo()];
  for (const io of [terminal, pipe]) createLogger({ stderr: io.stderr, clock: io.clock }).error("failed");
  assert.match(terminal.stderrText(), /ERROR failed\n$/);
  assert.equal(JSON.parse(pipe.stderrText()).message, "failed");
});

test("createLogger() lets no field replace a reserved field, and writes one line whatever the content", () => {
  const fields = {
    message: "a",
    level: "b",
    "@timestamp": "c",
    logger: "d",
    text: "one\ntwo",
    error: new Error("x\ny"),
  };
  const line = logged("json", (logger) => logger.info("said", fields));
  assert.equal(line.indexOf("\n"), line.length - 1);
  const read = JSON.parse(line);
  assert.deepEqual([read["@timestamp"], read.level, read.message], ["2026-01-01T00:00:00Z", "INFO", "said"]);
  const text = logged("text", (logger) => logger.info("said", fields));
  assert.equal(text.indexOf("\n"), text.length - 1);
});

for (const format of ["text", "json"] as const) {
  test(`createLogger() escapes control characters of a terminal, as ${format}`, () => {
    const line = logged(format, (logger) =>
      logger.info(HOSTILE, {
        text: FORGING,
        [`key${HOSTILE}`]: [HOSTILE, { nested: FORGING }],
        error: new Error(FORGING),
      }));
    assertShown(line.trimEnd(), false, format);
    assert.match(line, /\\u001b\[2J.*\\u009b31m.*\\u202e/);
    if (format === "json") assert.equal(JSON.parse(line).text, FORGING);
  });
}

test("createRoleLogger() follows the flags", () => {
  for (
    const [settings, isDebug, expected] of [
      [{ loggingFormat: undefined, v: 0 }, false, 0],
      [{ loggingFormat: "text", v: 3 }, false, 0],
      [{ loggingFormat: "text", v: 4 }, false, 1],
      [{ loggingFormat: "json", v: 0 }, true, 1],
    ] as const
  ) {
    const io = createCapturedIo();
    createRoleLogger(settings, { ...io, isDebug }).debug("step");
    assert.equal(io.stderrText().split("\n").length - 1, expected);
    if (expected === 1) assert.equal(io.stderrText().startsWith("{"), settings.loggingFormat === "json");
  }
});

test("createLogger() omits messages below its level", () => {
  const io = createCapturedIo();
  const logger = createLogger({ stderr: io.stderr, clock: io.clock, level: "warn" });
  logger.debug("a");
  logger.info("b");
  assert.equal(io.stderrText(), "");
});

for (const format of ["text", "json"] as const) {
  test(`createLogger() redacts secrets anywhere in a line, as ${format}`, () => {
    const key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n";
    const jwt = ["header", "claims"].map((name) => btoa(JSON.stringify({ [name]: 1 })).replaceAll("=", ""));
    jwt.push(btoa("signature"));
    const line = logged(format, (logger) =>
      logger.info("seen", {
        token: new Secret("abcdef.0123456789abcdef"),
        text: "token abcdef.0123456789abcdef used",
        nested: { list: [`Bearer abc.def.ghi`, key] },
        error: new Error("cannot use Bearer xyz"),
        jwt: `of ${jwt.join(".")}, expired`,
        failure: "invalid bearer token",
      }));
    assert.doesNotMatch(line, /0123456789abcdef|abc\.def|MHcCAQEE|xyz|c2lnbmF0dXJl/);
    assert.match(line, /invalid bearer token/);
    assert.match(line, /abcdef\.\[redacted\]/);
  });
}

test("createLogger() cuts texts that a client chose, anywhere in the fields, after redacting secrets", () => {
  const long = `/${"a".repeat(1_009)} abcdef.0123456789abcdef ${"b".repeat(60_000)}`;
  const fields = { path: long, error: new Error(long), failures: [long], nested: { text: long } };
  for (const format of ["text", "json"] as const) {
    const line = logged(format, (logger) => logger.info("request refused", fields));
    assert.ok(line.length < 5_000, `${line.length} characters`);
    assert.match(line, /… \(\d+ more characters\)/);
    assert.doesNotMatch(line, /abcdef\.0/);
  }
});
