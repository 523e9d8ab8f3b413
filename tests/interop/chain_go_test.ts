/** The cases of our checks of paths, before Go's x509, which is what client-go verifies with. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { peerPath } from "../support/peers/go.ts";
import { buildChainCases } from "../support/chain_cases.ts";
import { runProgram } from "../support/child.ts";

test("a Go client gives the verdict of each case", async () => {
  const cases = await buildChainCases(new Date());
  const base64 = (der: Uint8Array): string => Buffer.from(der).toString("base64");
  const questions = cases.map(({ chain, roots, host }) =>
    JSON.stringify({ chain: chain.map(base64), roots: roots.map(base64), host })
  );
  const { code, stdout, stderr } = await runProgram(peerPath("chainjudge"), [], { stdin: questions.join("\n") });
  assert.equal(code, 0, stderr);
  const answers = stdout.trim().split("\n");
  assert.equal(answers.length, cases.length);
  const differences = cases.flatMap(({ name, go }, index) =>
    answers[index]?.startsWith(go) === true ? [] : [`${name}: ${answers[index]}`]
  );
  assert.deepEqual(differences, []);
});
