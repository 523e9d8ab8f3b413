import assert from "node:assert/strict";
import { test } from "node:test";
import { argument, type Command, type CommandSpec, type CommandTable, withAction } from "./command.ts";
import { type FlagSet, switchFlag, textFlag } from "./flags.ts";
import { parseCommandLine } from "./parse.ts";
import { UsageError } from "../exit_code.ts";

const base = { summary: "S", description: "D.", group: "Program Commands", examples: {}, exitCodes: {} } as const;
const table: CommandTable = {
  program: "tlsboot",
  description: "Program.",
  families: [
    { word: "get", summary: "G", description: "G.", group: "Program Commands" },
    { word: "token", summary: "T", description: "T.", group: "Program Commands" },
  ],
  firstDay: ["token create"],
  commands: [
    createCommand({
      ...base,
      path: ["get", "csr"],
      aliases: ["certificatesigningrequests"],
      args: [argument("[NAME...]", "Names")],
      flags: {
        output: textFlag({ short: "o", summary: "O." }),
        watch: switchFlag({ short: "w", summary: "W." }),
      },
    }),
    createCommand({ ...base, path: ["token", "create"], args: [], flags: { ttl: textFlag({ summary: "T." }) } }),
    createCommand({ ...base, path: ["token", "list"], args: [], flags: {} }),
    createCommand({
      ...base,
      path: ["approve"],
      args: [argument("NAME...", "Names")],
      flags: { message: textFlag({ summary: "M." }), noWait: switchFlag({ summary: "N." }) },
    }),
    createCommand({
      ...base,
      path: ["role"],
      args: [],
      flags: { file: textFlag({ summary: "F." }), elect: switchFlag({ summary: "E." }) },
    }),
    createCommand({
      ...base,
      path: ["role", "explain"],
      args: [argument("NAME", "Name")],
      flags: { file: textFlag({ summary: "F." }) },
    }),
  ],
};

function createCommand<F extends FlagSet>(spec: CommandSpec<F>): Command<F> {
  return withAction(spec, () => Promise.resolve({ run: () => Promise.resolve(0 as const) }));
}

for (
  const { line, path, args, raw } of [
    { line: "get csr", path: "get csr", args: [], raw: {} },
    { line: "get csr a b -o json -w", path: "get csr", args: ["a", "b"], raw: { output: ["json"], watch: ["true"] } },
    { line: "get csr -ojson", path: "get csr", args: [], raw: { output: ["json"] } },
    { line: "get csr -o=json", path: "get csr", args: [], raw: { output: ["json"] } },
    { line: "get csr --output=json", path: "get csr", args: [], raw: { output: ["json"] } },
    { line: "get csr --output=jsonpath={.a=b}", path: "get csr", args: [], raw: { output: ["jsonpath={.a=b}"] } },
    { line: "get -o wide csr n1", path: "get csr", args: ["n1"], raw: { output: ["wide"] } },
    { line: "get -w csr", path: "get csr", args: [], raw: { watch: ["true"] } },
    { line: "get csr -w=false", path: "get csr", args: [], raw: { watch: ["false"] } },
    { line: "get csr --watch=true n1", path: "get csr", args: ["n1"], raw: { watch: ["true"] } },
    { line: "get certificatesigningrequests", path: "get csr", args: [], raw: {} },
    { line: "--debug get csr", path: "get csr", args: [], raw: { debug: ["true"] } },
    {
      line: "get csr --debug --config c.yaml",
      path: "get csr",
      args: [],
      raw: { debug: ["true"], config: ["c.yaml"] },
    },
    { line: "approve -- -x --watch=1", path: "approve", args: ["-x", "--watch=1"], raw: {} },
    { line: "approve --no-wait n1", path: "approve", args: ["n1"], raw: { noWait: ["true"] } },
    { line: "approve --no-wait=false n1", path: "approve", args: ["n1"], raw: { noWait: ["false"] } },
    { line: "approve n1 --message -w=1", path: "approve", args: ["n1"], raw: { message: ["-w=1"] } },
    { line: "token --ttl 1h create", path: "token create", args: [], raw: { ttl: ["1h"] } },
    { line: "-o wide get csr", path: "get csr", args: [], raw: { output: ["wide"] } },
    { line: "get csr -wojson", path: "get csr", args: [], raw: { watch: ["true"], output: ["json"] } },
    { line: "get csr --no-watch -", path: "get csr", args: ["-"], raw: { watch: ["false"] } },
    { line: "approve n1 --message= n2", path: "approve", args: ["n1", "n2"], raw: { message: [""] } },
  ]
) {
  test(`parseCommandLine() reads: ${line}`, () => {
    const invocation = parseCommandLine(line.split(" "), table);
    assert.ok(invocation.kind === "run");
    assert.equal(invocation.command.path.join(" "), path);
    assert.deepEqual(invocation.args, args);
    assert.deepEqual({ ...invocation.raw }, raw);
  });
}

for (
  const { line, message, hint } of [
    { line: "constructor", message: 'unknown command "constructor" for "tlsboot"', hint: "see: tlsboot --help" },
    { line: "gte csr", message: 'unknown command "gte" for "tlsboot"', hint: "did you mean get? see: tlsboot --help" },
    {
      line: "token creat",
      message: 'unknown command "creat" for "tlsboot token"',
      hint: "did you mean create? see: tlsboot token --help",
    },
    {
      line: "get csr --outptu json",
      message: 'unknown flag "--outptu" for "tlsboot get csr"',
      hint: "did you mean --output? see: tlsboot get csr --help",
    },
    { line: "token list --ttl 1h", message: 'unknown flag "--ttl" for "tlsboot token list"' },
    { line: "get", message: '"tlsboot get" needs a command: csr', hint: "see: tlsboot get --help" },
    { line: "token --debug", message: '"tlsboot token" needs a command: create, list' },
    { line: "rolle", message: 'unknown command "rolle" for "tlsboot"', hint: "did you mean role? see: tlsboot --help" },
    { line: "rule", message: 'unknown command "rule" for "tlsboot"', hint: "did you mean role? see: tlsboot --help" },
    { line: "revoke", message: 'unknown command "revoke" for "tlsboot"', hint: "see: tlsboot --help" },
    { line: "approve", message: '"tlsboot approve" needs NAME', hint: "see: tlsboot approve --help" },
    { line: "token list extra", message: 'too many arguments for "tlsboot token list"' },
    { line: "get csr -o", message: "flag --output needs a value" },
    { line: "get csr --watch=maybe", message: 'cannot read --watch: "maybe" found, want true or false' },
    { line: "get csr -w=maybe", message: 'cannot read -w: "maybe" found, want true or false' },
    { line: "token list -o=json", message: 'unknown flag "-o" for "tlsboot token list"' },
    { line: "get csr --no-output", message: 'unknown flag "--no-output" for "tlsboot get csr"' },
    { line: "--ttl 1h", message: 'unknown flag "--ttl" for "tlsboot"', hint: "see: tlsboot --help" },
  ]
) {
  test(`parseCommandLine() refuses: ${line}`, () => {
    assert.throws(() => parseCommandLine(line.split(" "), table), (error) => {
      assert.ok(error instanceof UsageError);
      assert.equal(error.message, message);
      if (hint !== undefined) assert.equal(error.hint, hint);
      return true;
    });
  });
}

for (
  const line of [
    "",
    "--debug",
    "--help",
    "-h",
    "help",
    "get --help",
    "help token",
    "approve --help",
    "get csr -h",
    "-h get csr",
  ]
) {
  test(`parseCommandLine() prints help for: ${line === "" ? "an empty line" : line}`, () => {
    const invocation = parseCommandLine(line === "" ? [] : line.split(" "), table);
    assert.ok(invocation.kind === "help");
    assert.match(invocation.text, /\nUsage:\n {2}tlsboot/);
  });
}

for (
  const { line, path, args, raw } of [
    { line: "role --file x", path: "role", args: [], raw: { file: ["x"] } },
    { line: "role explain n --file x", path: "role explain", args: ["n"], raw: { file: ["x"] } },
    { line: "role --file x explain n", path: "role explain", args: ["n"], raw: { file: ["x"] } },
  ]
) {
  test(`parseCommandLine() distinguishes a command from its subcommands: ${line}`, () => {
    const invocation = parseCommandLine(line.split(" "), table);
    assert.ok(invocation.kind === "run");
    assert.equal(invocation.command.path.join(" "), path);
    assert.deepEqual(invocation.args, args);
    assert.deepEqual(invocation.raw, raw);
  });
}

test("parseCommandLine() refuses a parent's flag for its subcommand, and help lists the subcommands", () => {
  for (
    const [line, message] of [
      ["role explain n --elect", 'unknown flag "--elect" for "tlsboot role explain"'],
      ["role --elect explain n", 'unknown flag "--elect" for "tlsboot role explain"'],
      ["role explian", '"tlsboot role" takes no arguments but its commands explain'],
    ] as const
  ) {
    assert.throws(
      () => parseCommandLine(line.split(" "), table),
      (error: unknown) => error instanceof UsageError && error.message === message,
      line,
    );
  }
  const help = parseCommandLine(["role", "--help"], table);
  assert.ok(help.kind === "help");
  assert.match(help.text, /\nAvailable Commands:\n {2}explain {9}S\n/);
});
