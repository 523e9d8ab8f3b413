/** Sends the same writes of the same users to a real kube-apiserver and to `tlsboot serve`: every code is the same. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { TLSBOOT_GROUP } from "../../core/kube/tlsboot_v1alpha1.ts";
import { SNAPSHOT_PATH } from "../../server/http/snapshot.ts";
import { startTlsboot } from "../support/child.ts";
import { createCallers, type JudgedServer } from "../support/privilege/callers.ts";
import { IDENTITIES } from "../support/privilege/identities.ts";
import { judgeServer, type Row } from "../support/privilege/matrix.ts";
import { readRoutes, type Route } from "../support/privilege/routes.ts";
import { startControlPlane } from "../support/interop/control_plane.ts";

test("kube-apiserver answers every write of every identity as tlsboot serve does", async () => {
  await using plane = await startControlPlane({ controllers: false });
  const { folder } = plane;
  await using serve = startTlsboot([
    ...["serve", "--data-dir", folder.join("data"), "--secure-port", "0", "--client-ca-file", plane.caPath],
    ...["--tls-cert-file", folder.join("server.crt"), "--tls-private-key-file", folder.join("server.key")],
    ...["--token-auth-file", folder.join("tokens.csv")],
  ], { cwd: folder.path });
  const [, port = ""] = await serve.waitFor(/serves https:\/\/\S+:(\d+)/);
  const [caPem, clientCaKeyPem] = await Promise.all(
    [plane.caPath, plane.caKeyPath].map((path) => readFile(path, "utf8")),
  );
  const at = (port: number): JudgedServer => ({
    port,
    servingCaPem: caPem!,
    clientCaPem: caPem!,
    clientCaKeyPem: clientCaKeyPem!,
  });
  const [ours, theirs] = [at(Number(port)), at(Number(new URL(plane.server).port))];
  using ourCallers = await createCallers(ours);
  using theirCallers = await createCallers(theirs);
  // Ours alone: a real server has many more, and what ours writes must be theirs too.
  const all: readonly Route[] = await readRoutes(ourCallers);
  // kube-apiserver does not have the group of tlsboot.
  const routes = all.filter(({ key }) => !key.split("/")[0]!.endsWith(`.${TLSBOOT_GROUP}`));
  const [mine, real] = await Promise.all([
    judgeServer(ours, ourCallers, routes),
    judgeServer(theirs, theirCallers, routes),
  ]);
  assert.deepEqual(differences(mine, real), []);
  assert.ok(mine.length > 100, `only ${mine.length} ways to write were tried`);
});

function differences(mine: readonly Row[], real: readonly Row[]): readonly string[] {
  return mine.flatMap(({ route, label, verb, codes }, row) =>
    // A path that only tlsboot has, which is 404 there for clients with every right.
    route === SNAPSHOT_PATH ? [] : codes.flatMap((code, column) => {
      const other = real[row]?.codes[column];
      const who = IDENTITIES[column]?.name;
      return code === other ? [] : [`${verb} ${route} (${label}) by ${who}: ${code}, kube-apiserver ${other}`];
    })
  );
}
