/** The cases of our checks of paths, before openssl: the expected verdicts are not ours alone. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { encodePem } from "../../core/pki/pem.ts";
import { buildChainCases, type ChainCase } from "../support/chain_cases.ts";
import type { Verdict } from "../support/chain_drafts.ts";
import { runProgram } from "../support/child.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

/** Where openssl's command keeps what RFC 6125 calls legacy; our client refuses these, as Go does. */
const LEGACY: ReadonlySet<string> = new Set(["host: a common name alone", "host: a wildcard within a label"]);

test("openssl verify gives the verdict of each case", async () => {
  await using folder = await createTempFolder();
  const cases = await buildChainCases(new Date());
  const differences: string[] = [];
  for (const one of cases) {
    const want = LEGACY.has(one.name) ? "accept" : one.want;
    const found = await verdictOf(folder, one);
    if (found !== want) differences.push(`${one.name}: ${found}`);
  }
  assert.deepEqual(differences, []);
});

async function verdictOf(folder: TempFolder, { chain, roots, host }: ChainCase): Promise<Verdict> {
  const [leaf, ...behind] = chain.map((der) => encodePem("CERTIFICATE", der));
  const files = { leaf: leaf ?? "", behind: behind.join(""), roots: "" };
  files.roots = roots.map((der) => encodePem("CERTIFICATE", der)).join("");
  for (const [name, text] of Object.entries(files)) await writeFile(folder.join(`${name}.pem`), text);
  const { code, stdout, stderr } = await runProgram("openssl", [
    ...["verify", "-CAfile", folder.join("roots.pem"), "-partial_chain", "-auth_level", "2", "-purpose", "sslserver"],
    ...(behind.length === 0 ? [] : ["-untrusted", folder.join("behind.pem")]),
    ...[host === "127.0.0.1" ? "-verify_ip" : "-verify_hostname", host, folder.join("leaf.pem")],
  ]);
  assert.ok(code === 0 || /error \d+ at \d+ depth lookup|verification failed/.test(stdout + stderr), stdout + stderr);
  return code === 0 ? "accept" : "refuse";
}
