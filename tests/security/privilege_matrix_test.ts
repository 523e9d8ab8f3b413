/** Every write by every identity, compared with a table. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { PLAIN_RESOURCES } from "../../server/registry/resources.ts";
import { assertGolden } from "../support/golden.ts";
import { createCallers } from "../support/privilege/callers.ts";
import { TOKEN_FILE_USER } from "../support/privilege/identities.ts";
import { buildMatrix, formatMatrix } from "../support/privilege/matrix.ts";
import { readRoutes } from "../support/privilege/routes.ts";
import { startInstance } from "../support/instance_process.ts";
import { createTempFolder } from "../support/temp.ts";

test("tlsboot serve answers writes as tests/golden/privilege_matrix.txt lists", async () => {
  await using folder = await createTempFolder();
  const tokens = folder.join("tokens.csv");
  await writeFile(tokens, `${TOKEN_FILE_USER.token},${TOKEN_FILE_USER.username},1\n`, { mode: 0o600 });
  await using instance = await startInstance(folder, ["--token-auth-file", tokens], "serve");
  const [caPem, caKeyPem] = await Promise.all(
    ["ca.crt", "ca.key"].map((name) => readFile(`${instance.data}/pki/${name}`, "utf8")),
  );
  const server = { port: instance.port, servingCaPem: caPem!, clientCaPem: caPem!, clientCaKeyPem: caKeyPem! };
  using callers = await createCallers(server);
  const rows = await buildMatrix(server, callers, await readRoutes(callers));
  await assertGolden("tests/golden/privilege_matrix.txt", formatMatrix(rows));
});

test("a resource without a discovery document cannot be written", () => {
  for (const { kind, verbs, subresources = [], isHidden } of PLAIN_RESOURCES) {
    if (isHidden !== true) continue;
    const all = [...verbs, ...subresources.flatMap((one) => one.verbs)];
    assert.deepEqual(all.filter((verb) => !["get", "list", "watch"].includes(verb)), [], kind.plural);
  }
});
