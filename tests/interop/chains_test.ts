/**
 * The cases of our checks of paths, before openssl and before Go's x509, which client-go verifies with: the expected
 * verdicts are not ours alone.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { test } from "node:test";
import { encodePem } from "../../core/pki/pem.ts";
import { buildChainCases, type ChainCase } from "../support/chain_cases.ts";
import type { Verdict } from "../support/chain_drafts.ts";
import { runProgram, succeedProgram } from "../support/child.ts";
import { peerPath } from "../support/peers/go.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

/** The cases in which openssl's command decides otherwise than Go, which we follow. */
const DIFFERENT: Readonly<Record<string, Verdict>> = {
  // It keeps what RFC 6125 calls legacy.
  "host: a common name alone": "accept",
  "host: a wildcard within a label": "accept",
  "host: an empty list of names": "accept",
  // It ignores unparsable names.
  "a negative serial number": "accept",
  "host: a name that is not ASCII beside a good one": "accept",
  "host: an address of 5 octets": "accept",
  // It compares as it is.
  "host: a final dot in the requested name": "refuse",
  "host: an IPv4 address within IPv6": "refuse",
};

test("openssl verify gives the verdict of each case", async () => {
  await using folder = await createTempFolder();
  const cases = await buildChainCases(new Date());
  const differences: string[] = [];
  for (const one of cases) {
    const want = DIFFERENT[one.name] ?? one.openssl;
    const found = await verify(folder, one);
    if (found !== want) differences.push(`${one.name}: ${found}`);
  }
  assert.deepEqual(differences, []);
});

test("a Go client gives the verdict of each case", async () => {
  const cases = await buildChainCases(new Date());
  const base64 = (der: Uint8Array): string => Buffer.from(der).toString("base64");
  const questions = cases.map(({ chain, roots, host }) =>
    JSON.stringify({ chain: chain.map(base64), roots: roots.map(base64), host })
  );
  const { stdout } = await succeedProgram(peerPath("chainjudge"), [], { stdin: questions.join("\n") });
  const answers = stdout.trim().split("\n");
  assert.equal(answers.length, cases.length);
  const differences = cases.flatMap(({ name, go }, index) =>
    answers[index]?.startsWith(go) === true ? [] : [`${name}: ${answers[index]}`]
  );
  assert.deepEqual(differences, []);
});

async function verify(folder: TempFolder, { chain, roots, host }: ChainCase): Promise<Verdict> {
  const [leaf, ...behind] = chain.map((der) => encodePem("CERTIFICATE", der));
  const files = { leaf: leaf ?? "", behind: behind.join(""), roots: "" };
  files.roots = roots.map((der) => encodePem("CERTIFICATE", der)).join("");
  for (const [name, text] of Object.entries(files)) await writeFile(folder.join(`${name}.pem`), text);
  const { code, stdout, stderr } = await runProgram("openssl", [
    ...["verify", "-CAfile", folder.join("roots.pem"), "-partial_chain", "-auth_level", "2", "-purpose", "sslserver"],
    ...(behind.length === 0 ? [] : ["-untrusted", folder.join("behind.pem")]),
    ...[isIP(host) > 0 ? "-verify_ip" : "-verify_hostname", host, folder.join("leaf.pem")],
  ]);
  assert.ok(code === 0 || /error \d+ at \d+ depth lookup|verification failed/.test(stdout + stderr), stdout + stderr);
  return code === 0 ? "accept" : "refuse";
}
