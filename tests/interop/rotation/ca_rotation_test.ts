/**
 * Rotates the CA without an interruption while servers are killed: one server with SQLite, and three that share an
 * etcd.
 */
import { test } from "node:test";
import { startLoneServer, startSharedServers } from "../../support/rotation/killed_servers.ts";
import { MACHINES, rotateUnderLoad } from "../../support/rotation/rotation.ts";

for (
  const { servers, start } of [
    { servers: "a server with SQLite", start: startLoneServer },
    { servers: "three servers with etcd", start: startSharedServers },
  ]
) {
  test(`${servers}: ${MACHINES} machines, kubelets and a watch survive a rotation while servers die`, () =>
    rotateUnderLoad(start));
}
