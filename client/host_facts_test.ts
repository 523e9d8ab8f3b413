import assert from "node:assert/strict";
import { test } from "node:test";
import { listSockets } from "./host_facts.ts";

test("listSockets() finds the sockets that listen on a port, in both families", () => {
  const table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
    "   0: 0100007F:192B 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 11 1\n" +
    "   1: 0100007F:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 22 1\n" +
    "   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0     0        0 33 1\n";
  assert.deepEqual([...listSockets(table, 6443)], ["socket:[22]"]);
  assert.deepEqual([...listSockets(table, 8080)], ["socket:[33]"]);
  assert.deepEqual([...listSockets(table, 80)], []);
});
