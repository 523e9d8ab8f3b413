/** A new CA without an interruption while three servers on an etcd are killed at random. */
import { test } from "node:test";
import { startSharedServers } from "../support/rotation/killed_servers.ts";
import { MACHINES, rotateUnderLoad, SEED } from "../support/rotation/rotation.ts";

test(`three servers with etcd: ${MACHINES} machines, kubelets and a watch live through a rotation while servers die (seed ${SEED})`, () =>
  rotateUnderLoad(startSharedServers));
