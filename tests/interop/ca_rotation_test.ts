/** A new CA without an interruption while a server with SQLite is killed at random. */
import { test } from "node:test";
import { startLoneServer } from "../support/rotation/killed_servers.ts";
import { MACHINES, rotateUnderLoad, SEED } from "../support/rotation/rotation.ts";

test(`SQLite: ${MACHINES} machines, kubelets and a watch live through a rotation while servers die (seed ${SEED})`, () =>
  rotateUnderLoad(startLoneServer));
