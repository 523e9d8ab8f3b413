/**
 * Sends the writes of tests/golden/privilege_matrix.txt to a real kube-apiserver, and compares its status codes with
 * those of `tlsboot serve`.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { TLSBOOT_GROUP } from "../../core/kube/kinds/constants.ts";
import { SNAPSHOT_PATH } from "../../server/http/snapshot.ts";
import { createCallers, type TestedServer } from "../support/privilege/callers.ts";
import { buildMatrix, formatMatrix } from "../support/privilege/matrix.ts";
import { readRoutes } from "../support/privilege/routes.ts";
import { sharedControlPlane } from "../support/interop/shared.ts";

test("kube-apiserver answers every write of every identity as in tests/golden/privilege_matrix.txt", async () => {
  await using plane = await sharedControlPlane();
  const [caPem = "", clientCaKeyPem = ""] = await Promise.all(
    [plane.caPath, plane.caKeyPath].map((path) => readFile(path, "utf8")),
  );
  const server: TestedServer = {
    port: Number(new URL(plane.server).port),
    servingCaPem: caPem,
    clientCaPem: caPem,
    clientCaKeyPem,
  };
  using callers = await createCallers(server);
  const ours = readRows(await readFile("tests/golden/privilege_matrix.txt", "utf8"));
  // A real server has many more resources.
  const routes = (await readRoutes(callers)).filter(({ key }) =>
    [...ours.keys()].some((row) => row.startsWith(`${key} `))
  );
  const theirs = readRows(formatMatrix(await buildMatrix(server, callers, routes)));
  const compared = [...ours].filter(([row]) => !isOnlyOurs(row));
  assert.deepEqual(
    compared.filter(([row, codes]) => codes !== theirs.get(row)).map(([row, codes]) =>
      `${row}\n  tlsboot         ${codes}\n  kube-apiserver  ${theirs.get(row)}`
    ),
    [],
  );
  assert.ok(compared.length > 100, `only ${compared.length} writes were compared`);
});

/** Reads the codes of a table by resource, place and verb. */
function readRows(matrix: string): ReadonlyMap<string, string> {
  const [, table = ""] = matrix.split(/^ {22,}.*\n/m);
  const rows = new Map<string, string>();
  let group = "";
  for (const line of table.split("\n")) {
    if (line.startsWith("  ")) rows.set(`${group} ${line.slice(2, 22).trimEnd()}`, line.slice(22));
    else group = line;
  }
  return rows;
}

/** Reports whether a row is of tlsboot's own group, or a path that kube-apiserver does not serve. */
function isOnlyOurs(row: string): boolean {
  return row.split(/[/ ]/)[0]!.endsWith(`.${TLSBOOT_GROUP}`) || row.startsWith(`${SNAPSHOT_PATH} `);
}
